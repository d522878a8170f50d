"""What exceeds a model's window is cut from the end, and counted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from radio.cache import Cache
from radio.generators import Prompt
from radio.generators.prompting import GeneratorTemplate
from radio.generators.window import shown
from radio.llm.base import Call, LanguageModel, Result
from radio.schema import InputError, Passage, Question

QUESTION = Question("q", "Who lit the lamp?", ("Ada",))


class Words(LanguageModel):
    """A model whose tokens are words."""

    def __init__(self, window: int | None) -> None:
        super().__init__("words", None, 10)
        self._window = window

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        raise NotImplementedError

    def estimate(self, calls: Sequence[Call]) -> str:
        raise NotImplementedError

    def window(self) -> int | None:
        return self._window

    def prompt_tokens(self, system: str, user: str) -> int:
        return len(system.split()) + len(user.split())

    def first_tokens(self, text: str, count: int) -> str:
        return " ".join(text.split()[:count])


@pytest.fixture
def template() -> GeneratorTemplate:
    return GeneratorTemplate("open_qa", shows_passages=True)


def prompt(*lengths: int) -> Prompt:
    passages = []
    for number, length in enumerate(lengths):
        passages.append(Passage(str(number), f"Lamp {number}\n" + " ".join(["wick"] * length)))
    return Prompt(QUESTION, tuple(passages))


def size(template: GeneratorTemplate, asked: Prompt) -> int:
    user = template.render(asked.question, asked.passages)
    return Words(None).prompt_tokens(template.system, user)


def test_all_passages_where_the_window_is_not_known_or_has_room(
    template: GeneratorTemplate,
) -> None:
    asked = prompt(9, 9, 9)
    for window in (None, size(template, asked), 10_000):
        assert shown(asked, template, Words(window)) == (asked.passages, 0, 0)


def test_whole_passages_are_cut_from_the_end(template: GeneratorTemplate) -> None:
    asked = prompt(9, 9, 9, 9)
    for left in (3, 2, 1):
        window = size(template, prompt(*[9] * left)) + 4
        assert shown(asked, template, Words(window)) == (asked.passages[:left], 4 - left, 0)


def test_a_short_passage_behind_a_long_one_is_cut_all_the_same(
    template: GeneratorTemplate,
) -> None:
    # the order is a ranking: what stands behind does not move up
    asked = prompt(9, 500, 1)
    window = size(template, prompt(9, 9))
    assert shown(asked, template, Words(window)) == (asked.passages[:1], 2, 0)


def test_of_the_last_one_the_end_is_cut(template: GeneratorTemplate) -> None:
    asked = prompt(50, 9)
    window = size(template, prompt(20))
    passages, passages_cut, tokens_cut = shown(asked, template, Words(window))
    assert [passage.contents for passage in passages] == ["Lamp 0\n" + " ".join(["wick"] * 20)]
    assert (passages_cut, tokens_cut) == (1, 30)


def test_no_room_for_a_word_of_a_passage(template: GeneratorTemplate) -> None:
    window = size(template, prompt())
    assert shown(prompt(50, 9), template, Words(window)) == ((), 2, 0)


def test_no_room_for_question_and_instruction_is_an_error(template: GeneratorTemplate) -> None:
    bare = size(template, prompt())
    match = f"question and instruction have {bare} tokens, .*'words' has room for {bare - 1}"
    with pytest.raises(InputError, match=match):
        shown(prompt(9), template, Words(bare - 1))


def test_it_always_fits_and_one_more_would_not(template: GeneratorTemplate) -> None:
    rng = random.Random(0)
    bare = size(template, prompt())
    for _ in range(200):
        asked = prompt(*[rng.randint(1, 60) for _ in range(rng.randint(1, 6))])
        window = bare + rng.randint(0, 200)
        passages, passages_cut, tokens_cut = shown(asked, template, Words(window))
        assert size(template, Prompt(QUESTION, passages)) <= window
        assert len(passages) + passages_cut == len(asked.passages)
        if passages_cut and not tokens_cut and passages:
            one_more = Prompt(QUESTION, asked.passages[: len(passages) + 1])
            assert size(template, one_more) > window
