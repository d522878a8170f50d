"""Retrievers: from questions and a corpus to ranked candidates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.fingerprints import Fingerprinted
from radio.schema import Candidate, InputError, Passage, Question

TOGETHER = 4096
"""Questions that are looked at together: an index on disk is read once for them."""


class Retriever(Fingerprinted):
    """Finds candidates. A subclass implements :meth:`search`, and :meth:`index` if it needs it."""

    filling: ClassVar[float | None] = None
    """Score of passages that fill up a list though nothing speaks for them; None if it has none."""

    learns: bool = False
    """Whether it is to be told the training questions (:meth:`learn`) before anything else."""

    def learn(self, questions: Sequence[Question]) -> None:
        """Take note of the training questions, where candidates depend on them.

        Then they are part of its fingerprint; nothing is computed yet.
        """

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Get ready to search these passages; called once, if anything is to be searched."""

    def asked(self, question: Question) -> list[Any]:
        """What its candidates may depend on of a question beside the id, for the key.

        That is all, unless a subclass knows better.
        """
        return question.content

    @abstractmethod
    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        """At most ``k`` candidates for each question, best first, in the order of ``questions``."""

    def release(self) -> None:
        """Let go of what was read for a search, once all questions have their candidates; another
        search reads it again (optional)."""


def top_k(scores: NDArray[np.float32], ids: Sequence[str], k: int) -> list[Candidate]:
    """The ``k`` best of ``scores [len(ids)]``; ties by position, so that runs repeat exactly."""
    k = min(k, len(ids))
    floor = np.partition(scores, len(ids) - k)[len(ids) - k]
    above = np.flatnonzero(scores > floor)
    above = above[np.argsort(-scores[above], kind="stable")]
    # these need no sorting, and may be the whole corpus
    last = np.flatnonzero(scores == floor)[: k - len(above)]
    rows = np.append(above, last)
    return listed([ids[row] for row in rows.tolist()], scores[rows])


def listed(names: Sequence[str], scores: NDArray[np.float32]) -> list[Candidate]:
    """Candidates of these ids and scores, best first."""
    found = []
    for rank, (name, score) in enumerate(zip(names, scores.tolist(), strict=True)):
        found.append(Candidate(name, rank, score))
    return found


def check_passages(path: Path, found: int | None, ids: Sequence[str]) -> None:
    """Refuse an index of another size: its rows are known by their position in the corpus."""
    if found != len(ids):
        raise InputError(
            f"{path}: an index of {found} passages, expected {len(ids)} as in the corpus; give the "
            "corpus that the index was built from, or build the index again"
        )


BM25S_FILES = (
    "params.index.json",
    "vocab.index.json",
    "data.csc.index.npy",
    "indices.csc.index.npy",
    "indptr.csc.index.npy",
)
"""What ``bm25s.BM25.save`` writes, without the corpus."""
