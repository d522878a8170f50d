"""Group samplers: which candidates of a question enter the loss together."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from radio.schema import InputError

Selection = list[int]
"""Positions in the teacher's order (0 = best); the first one is the positive, the others are negatives."""


class GroupSampler(ABC):
    """Draws the groups of one question for one epoch. A subclass implements :meth:`select`."""

    @abstractmethod
    def select(self, scores: Sequence[float], rng: random.Random) -> list[Selection]:
        """Groups of at least two positions.

        Args:
            scores: teacher scores, best first, at least two.
            rng: seeded by (seed, epoch, question id): the same on every machine and process.
        """

    def groups(self, scores: Sequence[float], *, seed: int, epoch: int, question_id: str) -> list[Selection]:
        """The groups of a question in an epoch; fewer than two candidates make none (the data module reports it)."""
        if len(scores) < 2:
            return []
        return self.select(scores, random.Random(f"{seed}/{epoch}/{question_id}"))


class Shift(GroupSampler):
    """The published group: positive at rank 0, negatives at fixed 0-based ranks of the teacher's order.

    When a question has too few candidates, each rank beyond the end is replaced by the lowest candidate that is not
    in the group yet; when none is left, the group is smaller.

    Args:
        positive: rank of the positive.
        negatives: ranks of the negatives.
    """

    def __init__(self, positive: int = 0, negatives: Sequence[int] = (3, 4, 6, 9, 13, 18)) -> None:
        offsets = [positive, *negatives]
        if len(set(offsets)) != len(offsets) or min(offsets) < 0 or not negatives:
            raise InputError(f"Shift: found ranks {offsets}, expected a positive and negatives, all different, >= 0")
        self.positive = positive
        self.negatives = list(negatives)

    def select(self, scores: Sequence[float], rng: random.Random) -> list[Selection]:
        size = len(scores)
        positive = min(self.positive, size - 2)
        inside = [rank for rank in self.negatives if rank < size and rank != positive]
        spare = [rank for rank in range(size - 1, positive, -1) if rank not in inside]
        filled = inside + spare[: len(self.negatives) - len(inside)]
        return [[positive, *filled]]


class Iteration(GroupSampler):
    """The published alternative: the order is cut into blocks; in each, every candidate but the last is once the
    positive against those below it.

    A last block of a single candidate joins the block before it, so that no candidate is lost.

    Args:
        block: candidates in a block.
        depth: ranks used, from the top.
        per_epoch: groups of a question drawn each epoch, at random; None takes all.
    """

    def __init__(self, block: int = 5, depth: int = 20, per_epoch: int | None = None) -> None:
        if block < 2 or depth < 2 or (per_epoch is not None and per_epoch < 1):
            raise InputError(
                f"Iteration: found block={block}, depth={depth}, per_epoch={per_epoch}; expected >= 2, >= 2, >= 1"
            )
        self.block = block
        self.depth = depth
        self.per_epoch = per_epoch

    def select(self, scores: Sequence[float], rng: random.Random) -> list[Selection]:
        size = min(len(scores), self.depth)
        edges = [*range(0, size, self.block), size]
        if len(edges) > 2 and edges[-1] - edges[-2] == 1:
            del edges[-2]
        groups = [list(range(i, end)) for start, end in pairwise(edges) for i in range(start, end - 1)]
        if self.per_epoch is not None and self.per_epoch < len(groups):
            groups = rng.sample(groups, self.per_epoch)
        return groups


class FullList(GroupSampler):
    """All candidates (or the first ``depth`` and a random draw of the rest) in one group, for listwise losses.

    Args:
        size: largest group; beyond it, a random sample that keeps the best candidate. None takes all.
    """

    def __init__(self, size: int | None = None) -> None:
        if size is not None and size < 2:
            raise InputError(f"FullList: size: found {size}, expected at least 2")
        self.size = size

    def select(self, scores: Sequence[float], rng: random.Random) -> list[Selection]:
        others = list(range(1, len(scores)))
        if self.size is not None and len(others) > self.size - 1:
            others = sorted(rng.sample(others, self.size - 1))
        return [[0, *others]]
