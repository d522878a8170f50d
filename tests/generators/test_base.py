"""What a generator is: answers are kept by all that they may depend on, and by no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from radio.generators import Generator, Prompt
from radio.generators.base import what_is_read
from radio.schema import Passage, Question

QUESTION = Question("q1", "Who lit the lamp?", ("Ada",), ("Ada", "Bo"), {"hops": 2})
PASSAGES = (Passage("p1", "Lamp\nAda lit it."), Passage("p2", "Bell\nBo rang it."))
PROMPT = Prompt(QUESTION, PASSAGES)


class Echo(Generator):
    def __init__(self, word: str = "echo") -> None:
        self.word = word

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [self.word for _ in prompts]


class Reader(Echo):
    def asked(self, prompt: Prompt) -> list[object]:
        return what_is_read(prompt)


@pytest.mark.parametrize(
    "other",
    [
        replace(PROMPT, question=replace(QUESTION, question="Who rang the bell?")),
        replace(PROMPT, passages=PASSAGES[::-1]),
        replace(PROMPT, passages=PASSAGES[:1]),
        replace(PROMPT, passages=(replace(PASSAGES[0], contents="Lamp\nBo lit it."), PASSAGES[1])),
    ],
)
def test_another_question_and_other_passages_or_another_order_are_another_prompt(
    other: Prompt,
) -> None:
    for generator in (Echo(), Reader()):
        assert generator.key(other) != generator.key(PROMPT)


def test_a_setting_of_the_generator_is_part_of_the_key() -> None:
    assert Echo("other").key(PROMPT) != Echo().key(PROMPT)


def test_a_reader_of_texts_sees_no_ids_no_metadata_and_no_golden_answers() -> None:
    question = replace(QUESTION, id="q2", golden_answers=("Bo",), metadata={})
    passages = tuple(replace(passage, id=f"other-{passage.id}") for passage in PASSAGES)
    same = Prompt(question, passages)
    assert Reader().key(same) == Reader().key(PROMPT)
    assert Echo().key(same) != Echo().key(PROMPT)


def test_a_generator_need_not_prefetch() -> None:
    assert Echo().prefetch([PROMPT], None) is None  # type: ignore[arg-type, func-returns-value]
