"""How fast ``radio diagnose`` looks for the questions' runs of words in a corpus, and its memory:

python -m benchmarks.overlap
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from radio.diagnosing.grams import Grams
from radio.indexes.building import peak_memory

QUESTIONS, QUESTION_WORDS = 10_000, 10
PASSAGES, PASSAGE_WORDS = 20_000, 100
KNOWN_WORDS = 50_000
WIKIPEDIA = 21_000_000
"""Passages of 100 words in the corpus of DPR."""


def texts(count: int, words: int, seed: int) -> Iterator[tuple[str, str]]:
    """Texts whose words are as unevenly common as those of a language (Zipf)."""
    draw = np.random.default_rng(seed)
    common = 1 / np.arange(1, KNOWN_WORDS + 1)
    ranks = draw.choice(KNOWN_WORDS, (count, words), p=common / common.sum())
    for number, row in enumerate(ranks.tolist()):
        yield f"{seed}/{number}", " ".join(f"w{rank}" for rank in row)


def main() -> None:
    questions = dict(texts(QUESTIONS, QUESTION_WORDS, seed=0))
    passages = list(texts(PASSAGES, PASSAGE_WORDS, seed=1))
    grams = Grams(questions)
    before = peak_memory()
    start = time.perf_counter()
    found = grams.look_for(passages)
    seconds = time.perf_counter() - start
    more = (peak_memory() - before) / 2**20
    print(f"{PASSAGES:,} passages, {QUESTIONS:,} questions: {seconds:.1f} s, {more:.0f} MiB more")
    hours = WIKIPEDIA / PASSAGES * seconds / 3600
    print(f"{WIKIPEDIA:,} passages would take {hours:.1f} h; found of {len(found):,} questions")


if __name__ == "__main__":
    main()
