"""How answers of a generator come into the cache: each prompt is asked once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from radio import contracts
from radio.cache import Cache
from radio.generators.base import Answer as Reply
from radio.generators.base import Generator, Prompt
from radio.llm.base import Failure
from radio.llm.fill import Answer, Source, fill
from radio.llm.outcomes import outcome_of

TOGETHER = 32
"""Prompts that a generator is given at a time; a kill loses no more answers than that."""


def ask(generator: Generator, prompts: Sequence[Prompt], cache: Cache) -> list[Reply | Failure]:
    """An answer for each prompt, from the cache where it is there.

    Warns where most of the new answers are empty.

    Raises:
        InputError: the generator cannot go on, or the cache cannot be written.
    """
    keys = [generator.key(prompt) for prompt in prompts]
    source = Answers(generator, dict(zip(keys, prompts, strict=True)), cache)
    outcomes = fill(source, list(dict.fromkeys(keys)), cache)
    empty, written = outcomes["empty"], outcomes["written"]
    asked = empty + written
    if 2 * empty > asked >= 10:
        warnings.warn(
            f"{source.model}: {empty} of {asked} answers are empty; they are kept, and asked for "
            "again only after: radio cache prune --kind answer --outcome empty --yes",
            stacklevel=2,
        )
    stored = cache.get_json(keys, _as_answer)
    found: list[Reply | Failure] = []
    for key, prompt in zip(keys, prompts, strict=True):
        found.append(
            Reply(stored[key]) if key in stored else Failure(prompt.question.id, "no answer")
        )
    return found


class Answers(Source):
    """A generator as the source of answers to some prompts."""

    kind = "answer"
    title = "generator"
    unit = "answer"
    keeps_bar = False
    # an empty answer is wrong and counts as such: only many of them are worth a word
    useless = ()

    def __init__(self, generator: Generator, prompts: dict[str, Prompt], cache: Cache) -> None:
        self._generator = generator
        self._prompts = prompts
        self._cache = cache
        self.model = str(getattr(generator, "model", type(generator).__name__))

    def is_current(self, row: Any) -> bool:
        _as_answer(row)
        return True

    def prepare(self, keys: Sequence[str]) -> None:
        self._generator.prefetch(self._of(keys), self._cache)

    def obtain(self, keys: Sequence[str]) -> Iterator[Answer]:
        for start in range(0, len(keys), TOGETHER):
            part = keys[start : start + TOGETHER]
            prompts = self._of(part)
            texts = contracts.answers(
                self._generator, self._generator.answer(prompts), len(prompts)
            )
            for key, prompt, text in zip(part, prompts, texts, strict=True):
                row = {
                    "id": prompt.question.id,
                    "question": prompt.question.question,
                    "answer": text,
                    "model": self.model,
                }
                yield Answer(key, row, outcome_of(text, "written"))

    def _of(self, keys: Sequence[str]) -> list[Prompt]:
        return [self._prompts[key] for key in keys]


def _as_answer(row: Any) -> str:
    """The answer in an entry of the cache; anything else is a TypeError."""
    if not isinstance(row["answer"], str):
        raise TypeError("expected a text as the answer")
    return str(row["answer"])
