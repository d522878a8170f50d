"""The words of a rationale: refusals, and answers that it mentions."""

from __future__ import annotations

import pytest

from radio.rationales.wording import mentions_answer, refuses, words
from radio.schema import Question
from tests.rationales.test_checks import MULTIPLE


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but this answer is not right.",
        "  I can't help with this request.",
        "I cannot provide a rationale for this answer.",
        "I cannot verify that the answer is correct.",
        "I can not confirm it.",
        "I am unable to confirm this.",
        "I'm not able to provide a reason.",
        "As an AI language model, I do not have access to news.",
        "As an AI, I have no opinion.",
        "Sorry, but the answer is wrong.",
        "Unfortunately, I cannot answer.",
        "I apologize, but I will not write this.",
        "I'm really sorry. I won't write that.",
        "I'm afraid I can't verify that.",
        "I must respectfully decline.",
        "Rationale: I cannot answer this.",
        "I do not have enough information to explain it.",
        "I don't know why the answer is correct.",
    ],
)
def test_refusals(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "I cannot be divided by two without a remainder, so the number is odd.",
        "I Can't Help Myself is a song by the Four Tops.",
        '"I\'m Sorry" is a song of 1960 by Brenda Lee.',
        "I'm Sorry I Haven't a Clue is a radio comedy of the BBC.",
        "I'm Sorry, I Haven't a Clue is a radio comedy of the BBC.",
        "I Can't Explain was the first single of The Who.",
        "As an AI researcher, Marvin Minsky founded a laboratory.",
        "As an AI system, Watson won the quiz against two champions.",
        "There is not enough evidence to convict, which is why the jury acquitted.",
        "I, Claudius was written by Robert Graves.",
        "I can help.",
        "The doctor said: I cannot help you.",
        '"I cannot tell a lie" is what Washington is said to have answered.',
        "Unfortunately, the Titanic sank before help came.",
        "Sorry is a game in which I cannot answer for others.",
        "Captain3 lit it. I'm sorry, but I cannot say more.",
        "",
    ],
)
def test_what_only_looks_like_a_refusal(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (("March 10, 2017",), "The finale aired on 10 March 2017."),
        (("captain3", "the keeper"), "It was The Keeper."),
        (("7",), "Five balls and two stars make seven numbers."),
        (("REFUTES",), "So the claim is refuted."),
        (("have a vertebral column",), "They are known by having a vertebral column."),
        (
            ("acts as a primer, by polymerizing the first glucose molecules",),
            "It is a primer for glucose molecules.",
        ),
        (("The Who",), "The single made The Who famous."),
        (("Beyoncé",), "The song is by Beyonce."),
        (("Beyonce",), "The song is by Beyoncé."),
        (("巴黎",), "法国的首都是巴黎。"),
        (("東京",), "日本の首都は東京です。"),
        (("yes",), "Both were born in Ohio, so they share a state."),
        (("???",), "Nobody knows."),
        ((), "There is nothing to look for."),
    ],
)
def test_an_answer_is_mentioned(answers: tuple[str, ...], text: str) -> None:
    assert mentions_answer(text, Question("q", "?", answers))


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (("March 10, 2017",), "The finale aired in the spring."),
        (("New York",), "It is the capital of New Jersey."),
        (("Jackson",), "Jacksonville is a city in Florida."),
        (("The Who",), "The man who sang it was famous."),
        (("巴黎",), "法国的首都是伦敦。"),
        (("captain3",), ""),
        (("Peter Marc Jacobson",), "She was married to Peter Smith."),
    ],
)
def test_an_answer_is_not_mentioned(answers: tuple[str, ...], text: str) -> None:
    assert not mentions_answer(text, Question("q", "?", answers))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It has the greatest mass, and it is Jupiter.", True),
        ("It has the greatest mass of them, so option B is correct.", True),
        ("B is correct, since its mass is greatest.", True),
        ("It has the greatest mass (B).", True),
        ("Its mass is greatest, giving B.", True),
        ("It is the red one, so option A is correct.", False),
        ("BBC programmes say that it is the red one.", False),
    ],
)
@pytest.mark.parametrize("golden", ["Jupiter", "B"])
def test_of_a_multiple_choice_text_and_letter_count(text: str, expected: bool, golden: str) -> None:
    question = Question("q1", MULTIPLE.question, (golden,), MULTIPLE.choices)
    assert mentions_answer(text, question) is expected


def test_the_article_a_is_not_the_letter_of_a_choice() -> None:
    question = Question("q1", "Which is largest?", ("Mars",), ("Mars", "Jupiter"))
    assert not mentions_answer(
        "A planet of gas is largest, since gas is light. A star is larger.", question
    )
    assert mentions_answer("Rock is heavy, so option A.", question)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("It's 3.5 m!", 5),
        ("naïve Ångström", 2),
        ("法国的首都", 5),
        ("한국 사람", 2),
        ("e\u0301te\u0301 \u200b", 1),
    ],
)
def test_words_of_all_scripts(text: str, expected: int) -> None:
    assert len(words(text)) == expected
