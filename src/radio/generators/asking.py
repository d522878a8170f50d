"""How answers of a generator come into the cache: each prompt is asked once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from radio.cache import Cache
from radio.generators.base import Answer, Generator, Prompt, name_of
from radio.llm import fill as durable
from radio.llm.base import Failure
from radio.llm.outcomes import outcome_of, whole_text
from radio.schema import Question


def ask(generator: Generator, prompts: Sequence[Prompt], cache: Cache) -> list[Answer | Failure]:
    """What came of each prompt, from the cache where it is there; the next run asks again for those
    that failed.

    Warns where most of the new answers are empty.

    Raises:
        InputError: the generator cannot go on, or the cache cannot be written.
    """
    keys = [generator.key(prompt) for prompt in prompts]
    source = Answers(generator, dict(zip(keys, prompts, strict=True)), cache)
    outcomes = durable.fill(source, list(dict.fromkeys(keys)), cache)
    _warn_of_empty(source.model, outcomes)
    stored = cache.get_json(keys, from_row)
    results: list[Answer | Failure] = []
    for key, prompt in zip(keys, prompts, strict=True):
        if key in source.failed:
            results.append(Failure(prompt.question.id, source.failed[key]))
        elif key in stored:
            results.append(replace(stored[key], cached=key not in source.new, key=key))
        else:
            results.append(Failure(prompt.question.id, generator.hint() or "it was not asked"))
    return results


def _warn_of_empty(model: str, outcomes: Mapping[str, int]) -> None:
    empty, written = outcomes.get("empty", 0), outcomes.get("written", 0)
    if 2 * empty > empty + written >= 10:
        warnings.warn(
            f"{model}: {empty} of {empty + written} answers are empty; they are kept, and asked "
            "for again only after: radio cache prune --kind answer --outcome empty --yes",
            stacklevel=3,
        )


class Answers(durable.Source):
    """A generator as the source of answers to some prompts, by key."""

    kind = "answer"
    title = "generator"
    unit = "answer"
    keeps_bar = False
    # an empty answer is wrong and counts as such: only many of them are worth a word
    useless = ()

    def __init__(self, generator: Generator, prompts: Mapping[str, Prompt], cache: Cache) -> None:
        self._generator = generator
        self._prompts = prompts
        self._cache = cache
        self.model = name_of(generator)
        self.new: set[str] = set()
        """Keys whose answers were not in the cache before."""
        self.failed: dict[str, str] = {}
        """Why, of the keys that have no answer."""

    def is_current(self, row: Any) -> bool:
        return not self._generator.outdated(from_row(row))

    def prepare(self, keys: Sequence[str]) -> None:
        self._generator.prefetch(list(self._of(keys).values()), self._cache)

    def obtain(self, keys: Sequence[str]) -> Iterator[durable.Answer | Failure]:
        for key, result in self._generator.replies(self._of(keys), self._cache):
            if isinstance(result, Failure):
                self.failed[key] = result.error
                yield result
                continue
            text = whole_text(result.text)
            answer = replace(result, text=text, outcome=outcome_of(text, result.outcome))
            self.new.add(key)
            row = to_row(self._prompts[key].question, self.model, answer)
            yield durable.Answer(key, row, answer.outcome)

    def estimate(self, keys: Sequence[str]) -> str:
        return self._generator.estimate(self._of(keys))

    def status(self) -> str:
        return self._generator.status()

    def _of(self, keys: Sequence[str]) -> dict[str, Prompt]:
        return {key: self._prompts[key] for key in keys}


def to_row(question: Question, model: str, answer: Answer) -> dict[str, Any]:
    """An entry of the cache; what is 0 or not known is left out."""
    row: dict[str, Any] = {
        "id": question.id,
        "question": question.question,
        "answer": answer.text,
        "model": model,
    }
    if answer.outcome not in ("written", "empty"):
        row["outcome"] = answer.outcome
    for name in ("usage", "seconds", "dollars", "passages_cut", "tokens_cut"):
        value = getattr(answer, name)
        if value:
            row[name] = dict(value) if name == "usage" else value
    return row


def from_row(row: Any) -> Answer:
    """The answer in an entry of the cache; anything else is a TypeError."""
    if not isinstance(row["answer"], str):
        raise TypeError("expected a text as the answer")
    text = row["answer"]
    return Answer(
        text,
        outcome_of(text, str(row.get("outcome", "written"))),
        {str(kind): int(count) for kind, count in row.get("usage", {}).items()},
        float(row.get("seconds", 0.0)),
        None if row.get("dollars") is None else float(row["dollars"]),
        int(row.get("passages_cut", 0)),
        int(row.get("tokens_cut", 0)),
    )
