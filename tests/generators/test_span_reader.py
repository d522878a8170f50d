"""Generators: SpanReader answers only from its passages, the same way every time, in the order it
is given."""

from __future__ import annotations

import re

import pytest

from radio.generators import Prompt, SpanReader
from radio.schema import Passage, Question

MARLOW = Passage(
    "p1",
    "The Marlow light\nThe Marlow lighthouse was built in 1871 by Ada Quill. The Marlow lighthouse "
    "has 96 steps. "
    "Its lamp burns whale oil, and the gallery rail was cast in bronze.",
)
DUNMORE = Passage(
    "p2",
    "The Dunmore light\nThe Dunmore lighthouse was built in 1790 by Tom Reed, and it has 40 steps.",
)
ODD = Passage("p3", "…\n“Élan”—naïve, e.g. 3,5 ‘x’?! A-b_c  the\tof\nof.. \u200b")
QUESTIONS = [
    "In which year was the Marlow lighthouse built?",
    "How many steps does the Marlow lighthouse have?",
    "Who built the Marlow lighthouse?",
    "What does the lamp burn?",
    "",
    "?",
]


def ask(question: str, *passages: Passage, reader: SpanReader | None = None) -> str:
    (answer,) = (reader or SpanReader()).answer(
        [Prompt(Question("q", question, ("golden",)), passages)]
    )
    return answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("In which year was the Marlow lighthouse built?", "1871"),
        ("When was the Marlow lighthouse built?", "1871"),
        ("How many steps does the Marlow lighthouse have?", "96"),
        ("Who built the Marlow lighthouse?", "Ada Quill"),
    ],
)
def test_it_finds_years_numbers_and_names(question: str, answer: str) -> None:
    assert ask(question, MARLOW) == answer
    assert ask(question, MARLOW, DUNMORE) == answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("In which year did the Skerry bridge open?", "1905"),
        ("Who designed the Skerry bridge?", "Ines Moreau"),
    ],
)
def test_the_kind_of_answer_counts_more_than_a_near_word(question: str, answer: str) -> None:
    text = (
        "The Skerry bridge is 600 metres long, with four towers. It opened in 1905; Ines Moreau of "
        "Lyon designed it."
    )
    assert ask(question, Passage("p", text)) == answer


def test_it_trusts_the_order_of_the_passages() -> None:
    question = "When was the lighthouse built?"
    assert ask(question, MARLOW, DUNMORE) == "1871"
    assert ask(question, DUNMORE, MARLOW) == "1790"


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("max_words", [1, 3, 6])
def test_an_answer_is_copied_from_a_passage(question: str, max_words: int) -> None:
    for passages in ([MARLOW], [DUNMORE, MARLOW], [ODD], [ODD, MARLOW]):
        answer = ask(question, *passages, reader=SpanReader(max_words=max_words))
        assert answer
        assert any(answer in passage.text for passage in passages)
        assert len(answer.split()) <= max_words
        assert not set(re.findall(r"\w+", answer.lower())) & set(
            re.findall(r"\w+", question.lower())
        )


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_answers_the_same_every_time_and_one_by_one(question: str) -> None:
    prompts = [
        Prompt(Question("q", question), passages)
        for passages in ((MARLOW, DUNMORE), (DUNMORE,), ())
    ]
    together = SpanReader().answer(prompts)
    assert SpanReader().answer(prompts) == together
    assert [SpanReader().answer([prompt])[0] for prompt in prompts] == together


@pytest.mark.parametrize(
    "passages", [[], [Passage("e", "")], [Passage("e", "Title\n")], [Passage("e", "of the ... !")]]
)
def test_nothing_to_read_gives_no_answer(passages: list[Passage]) -> None:
    assert ask("Who built the Marlow lighthouse?", *passages) == ""


def test_it_does_not_see_the_golden_answers() -> None:
    prompts = [
        Prompt(Question("q", QUESTIONS[0], answers), (MARLOW,))
        for answers in ((), ("1790",), ("bronze",))
    ]
    assert SpanReader().answer(prompts) == ["1871"] * 3


def test_a_key_stands_for_question_passages_in_order_and_settings() -> None:
    reader, question = SpanReader(), Question("q", "When was it built?")
    key = reader.key(Prompt(question, (MARLOW, DUNMORE)))
    assert (
        SpanReader().key(Prompt(Question("other id", question.question, ("x",)), (MARLOW, DUNMORE)))
        == key
    )
    others = [
        reader.key(Prompt(question, (DUNMORE, MARLOW))),
        reader.key(Prompt(question, (MARLOW,))),
        reader.key(Prompt(Question("q", "Who built it?"), (MARLOW, DUNMORE))),
        reader.key(Prompt(Question("q", question.question, choices=("a", "b")), (MARLOW, DUNMORE))),
        SpanReader(max_words=2).key(Prompt(question, (MARLOW, DUNMORE))),
    ]
    assert len({key, *others}) == 6
