"""Asking a generator: each prompt once, its answer kept."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_warn

from radio import contracts
from radio.cache import Cache
from radio.generators import Generator, Prompt
from radio.generators.base import as_answer

ASKED_AT_ONCE = 32
"""Prompts between two writes to the cache: what is lost when a run is killed."""


def ask(generator: Generator, prompts: Sequence[Prompt], cache: Cache) -> list[str]:
    """Answers to these prompts, in order; what the cache holds is not asked again."""
    keys = [generator.key(prompt) for prompt in prompts]
    missing = dict(zip(keys, prompts, strict=True))
    for key in cache.get(keys):
        missing.pop(key)
    if missing:
        _fill(generator, missing, cache)
    stored = cache.get_json(keys, as_answer)
    return [stored[key] for key in keys]


def _fill(generator: Generator, missing: dict[str, Prompt], cache: Cache) -> None:
    """Ask for the answers that are missing, by their keys, and put them into the cache."""
    from tqdm import tqdm

    asked = list(missing.items())
    generator.prefetch(list(missing.values()), cache)
    model = getattr(generator, "model", type(generator).__name__)
    empty = 0
    with tqdm(total=len(asked), desc="generator", unit="answer", leave=False) as bar:
        for start in range(0, len(asked), ASKED_AT_ONCE):
            part = asked[start : start + ASKED_AT_ONCE]
            answers = generator.answer([prompt for _, prompt in part])
            answers = contracts.answers(generator, answers, len(part))
            entries = {}
            for (key, prompt), answer in zip(part, answers, strict=True):
                empty += not answer.strip()
                entries[key] = {
                    "id": prompt.question.id,
                    "question": prompt.question.question,
                    "answer": answer,
                    "model": model,
                }
            cache.put_json("answer", entries)
            bar.update(len(part))
    if 2 * empty > len(asked) >= 10:
        rank_zero_warn(
            f"{model}: {empty} of {len(asked)} answers are empty; they are kept, and asked "
            "for again only after: radio cache prune --kind answer --outcome empty --yes"
        )
