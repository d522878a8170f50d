"""Group samplers: which candidates of a question enter the loss together."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from radio import contracts
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    from radio.losses import Loss

Selection = list[int]
"""Positions in the teacher's order (0 = best): first the positives (mostly one), then the
negatives."""


class GroupSampler(ABC):
    """Draws the groups of one question for one epoch. A subclass implements :meth:`select`."""

    needs_student: ClassVar[bool] = False
    """Whether :meth:`select` needs the reranker's own scores, which are renewed before each
    epoch."""

    needs_ranks: ClassVar[bool] = False
    """Whether :meth:`select` is given ``ranks`` too: the 0-based rank of each candidate in the
    retriever's list, in the order of the scores."""

    positives: int = 1
    """How many positions at the head of each selection are positives; the last position never
    is."""

    marks_positives: ClassVar[bool] = True
    """Whether the positives are more than the best of a list: a loss that takes its own must take
    the same ones. False where a group is a plain list, of which a loss may take as many as it
    likes."""

    best_first: bool = True
    """Whether the teacher prefers the positives of every group to its other candidates, as far as
    settings tell."""

    @abstractmethod
    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        """Groups of at least two positions.

        Args:
            scores: teacher scores, best first, at least two.
            rng: seeded by (seed, epoch, question id): the same on every machine and process.
            student: the reranker's own scores of the same candidates; None unless
                :attr:`needs_student`.
        """

    def groups(
        self,
        scores: Sequence[float],
        *,
        seed: int,
        epoch: int,
        question_id: str,
        student: Sequence[float] | None = None,
        ranks: Sequence[int] = (),
        taken: AbstractSet[int] = frozenset(),
    ) -> list[Selection]:
        """The groups of a question in an epoch; fewer than two candidates make none.

        The data module reports it.

        Raises:
            InputError: :meth:`select` gave something else than groups of the candidates, or groups
                whose positives a loss would not take: ``taken`` is its
                :attr:`radio.losses.Loss.positives_taken`.
        """
        if len(scores) < 2:
            return []
        rng = random.Random(f"{seed}/{epoch}/{question_id}")
        further = {"ranks": ranks} if self.needs_ranks else {}
        selected = self.select(scores, rng, student if self.needs_student else None, **further)
        return contracts.selections(self, selected, scores, taken)


def check_groups(sampler: GroupSampler, loss: Loss) -> None:
    """Refuse a loss that takes other positives than the sampler draws.

    A loss sees teacher scores alone, so one with positives of its own takes the highest of a group.
    Losses that follow the scores themselves go with every sampler.
    """
    name, kind = type(sampler).__name__, type(loss).__name__
    for taken in sorted(loss.positives_taken) if sampler.marks_positives else ():
        if taken != sampler.positives:
            raise InputError(
                f"{name} and {kind}: found {sampler.positives} positives in a group, of which the "
                f"loss takes {taken}; expected the same number: "
                f"--model.init_args.loss.init_args.positives {sampler.positives}, another sampler, "
                "or a loss that follows the teacher's scores, such as ListNet"
            )
    if loss.positives_taken and not sampler.best_first:
        raise InputError(
            f"{name} and {kind}: found a negative that the teacher ranks above the positive: the "
            "loss takes the highest teacher score of a group for the positive, and would train "
            "that negative up; expected negatives below the positive, or a loss that follows the "
            "teacher's scores, such as ListNet"
        )


def _draw(pool: Sequence[int], count: int | None, rng: random.Random) -> Selection:
    """``count`` of these positions at random, in order; None, or fewer than that, takes all."""
    return list(pool) if count is None or count >= len(pool) else sorted(rng.sample(pool, count))


class Shift(GroupSampler):
    """The published group: positive at rank 0, negatives at fixed 0-based ranks.

    When a question has too few candidates, each rank beyond the end is replaced by the lowest
    candidate that is not in the group yet; when none is left, the group is smaller.

    Args:
        positive: rank of the positive.
        negatives: ranks of the negatives. With one above the positive, a loss that takes the
            teacher's best of a group for its positive, such as InfoNCE, is refused.
    """

    def __init__(self, positive: int = 0, negatives: Sequence[int] = (3, 4, 6, 9, 13, 18)) -> None:
        check(self, locals())
        offsets = [positive, *negatives]
        if len(set(offsets)) != len(offsets) or not negatives:
            raise InputError(
                f"Shift: found ranks {offsets}, expected a positive and negatives, all different"
            )
        self.positive = positive
        self.negatives = list(negatives)
        self.best_first = positive < min(negatives)

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        size = len(scores)
        positive = min(self.positive, size - 2)
        inside = [rank for rank in self.negatives if rank < size and rank != positive]
        spare = [rank for rank in range(size - 1, positive, -1) if rank not in inside]
        filled = inside + spare[: len(self.negatives) - len(inside)]
        return [[positive, *filled]]


class Iteration(GroupSampler):
    """The published alternative: groups within blocks of the order.

    In each block every candidate but the last is once the positive against those below it.

    A last block of a single candidate joins the block before it, so that no candidate is lost.

    Args:
        block: candidates in a block.
        depth: ranks used, from the top.
        per_epoch: groups of a question drawn each epoch, at random; None takes all.
    """

    def __init__(self, block: int = 5, depth: int = 20, per_epoch: int | None = None) -> None:
        check(self, locals())
        self.block = block
        self.depth = depth
        self.per_epoch = per_epoch

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        size = min(len(scores), self.depth)
        edges = [*range(0, size, self.block), size]
        if len(edges) > 2 and edges[-1] - edges[-2] == 1:
            del edges[-2]
        groups = []
        for start, end in pairwise(edges):
            for positive in range(start, end - 1):
                groups.append(list(range(positive, end)))
        if self.per_epoch is not None and self.per_epoch < len(groups):
            groups = rng.sample(groups, self.per_epoch)
        return groups


class FullList(GroupSampler):
    """All candidates in one group, for listwise losses; at least two, whatever there is.

    Args:
        size: largest group; beyond it, a random sample that keeps the best candidate. None takes
            all.
    """

    marks_positives = False

    def __init__(self, size: int | None = None) -> None:
        check(self, locals())
        self.size = size

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        others = None if self.size is None else self.size - 1
        return [[0, *_draw(range(1, len(scores)), others, rng)]]


class AllNegatives(GroupSampler):
    """The best candidate against every candidate from rank ``skip`` on.

    Without a candidate that low, the lowest one is the negative.

    Args:
        skip: 0-based rank of the first negative; the ranks between it and the positive, which may
            be true positives that the teacher missed, are left out.
        negatives: most negatives, drawn at random each epoch; None takes all.
    """

    def __init__(self, skip: int = 1, negatives: int | None = None) -> None:
        check(self, locals())
        self.skip = skip
        self.negatives = negatives

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        lowest = len(scores) - 1
        return [[0, *_draw(range(min(self.skip, lowest), lowest + 1), self.negatives, rng)]]


class TopVsRandom(GroupSampler):
    """A positive from the top against negatives from below it, drawn anew each epoch.

    With too few candidates the top shrinks until one is below it; with fewer than ``negatives``
    below, all are taken.

    Args:
        top: candidates that may be the positive.
        negatives: negatives of a group.
    """

    def __init__(self, top: int = 3, negatives: int = 6) -> None:
        check(self, locals())
        self.top = top
        self.negatives = negatives

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        top = min(self.top, len(scores) - 1)
        return [[rng.randrange(top), *_draw(range(top, len(scores)), self.negatives, rng)]]


class TeacherMargin(GroupSampler):
    """The best candidate against those that the teacher scores clearly lower.

    It is a guard against false negatives.

    A candidate within ``margin`` of the best is no negative (as the positive-aware mining of
    Moreira et al., arXiv 2407.15831, its absolute margin). When all are, the lowest candidate is
    the only negative.

    Args:
        margin: a negative's teacher score is lower than the positive's by more than this; scores
            are in [0, 1].
        negatives: most negatives, drawn at random each epoch; None takes all.
    """

    def __init__(self, margin: float = 0.1, negatives: int | None = None) -> None:
        check(self, locals())
        self.margin = margin
        self.negatives = negatives

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        return [[0, *_draw(_outside(scores, self.margin), self.negatives, rng)]]


def _outside(scores: Sequence[float], margin: float, skip: int = 1) -> Selection:
    """Ranks from ``skip`` on more than ``margin`` below the best; else the lowest one."""
    ranks = [rank for rank in range(skip, len(scores)) if scores[0] - scores[rank] > margin]
    return ranks or [len(scores) - 1]


class MultiPositive(GroupSampler):
    """The best few candidates as positives against negatives from below, anew each epoch.

    With too few candidates the lowest stays a negative; with fewer than ``negatives`` below, all
    are taken.

    Args:
        positives: positives of a group. A loss that picks its own, such as InfoNCE, needs the same
            number.
        negatives: negatives of a group.
    """

    def __init__(self, positives: int = 2, negatives: int = 6) -> None:
        check(self, locals())
        self.positives = positives
        self.negatives = negatives

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        best = min(self.positives, len(scores) - 1)
        return [[*range(best), *_draw(range(best, len(scores)), self.negatives, rng)]]


class HardNegatives(GroupSampler):
    """The best candidate against those that the reranker in training now scores highest.

    Xiong et al., ANCE, arXiv 2007.00808; with a guard against false negatives.

    All candidates of all training questions are scored by the current weights before each epoch,
    which costs one forward pass over them. With fewer than ``negatives`` outside the guard, all of
    them are taken; with none, the lowest candidate is the only negative. Equal scores stay in the
    teacher's order.

    Args:
        negatives: negatives of a group.
        margin: a negative's teacher score is lower than the positive's by more than this; scores
            are in [0, 1].
        skip: 0-based rank of the first candidate that may be a negative.
    """

    needs_student = True

    def __init__(self, negatives: int = 6, margin: float = 0.1, skip: int = 1) -> None:
        check(self, locals())
        self.negatives = negatives
        self.margin = margin
        self.skip = skip

    def select(
        self, scores: Sequence[float], rng: random.Random, student: Sequence[float] | None = None
    ) -> list[Selection]:
        if student is None or len(student) != len(scores):
            raise ValueError("HardNegatives needs the student's score of every candidate")
        hardest = sorted(_outside(scores, self.margin, self.skip), key=lambda rank: -student[rank])
        return [[0, *hardest[: self.negatives]]]


class RetrieverNegatives(GroupSampler):
    """The best candidate against those that the retriever ranks high, drawn anew each epoch.

    A reranker learns where its retriever errs, and complements it: CoRT (Wrzalik and Krechel, NAACL
    2021, arXiv 2010.10252), whose negatives are drawn from BM25's first 100 passages.

    What the teacher scores as high as the positive is no negative. With fewer than ``negatives`` at
    these ranks all are taken; with none, the candidate that the teacher likes least is the only
    negative.

    Args:
        negatives: negatives of a group (published: 1).
        first: 0-based rank, in the retriever's list, of the first that may be a negative; those
            before it may answer the question though nobody has said so (published code: 7).
        last: rank of the last one (published: 99); None takes all from ``first`` on.
        margin: a negative's teacher score is lower than the positive's by more than this; scores
            are in [0, 1].
    """

    needs_ranks = True

    def __init__(
        self, negatives: int = 1, first: int = 0, last: int | None = None, margin: float = 0.0
    ) -> None:
        check(self, locals())
        if last is not None and last < first:
            raise InputError(
                f"RetrieverNegatives: last: found {last}, expected {first} or more, as first is"
            )
        self.negatives = negatives
        self.first = first
        self.last = last
        self.margin = margin

    def select(
        self,
        scores: Sequence[float],
        rng: random.Random,
        student: Sequence[float] | None = None,
        ranks: Sequence[int] = (),
    ) -> list[Selection]:
        if len(ranks) != len(scores):
            raise ValueError("RetrieverNegatives needs the retriever's rank of every candidate")
        pool = []
        for place, rank in enumerate(ranks):
            high = rank >= self.first and (self.last is None or rank <= self.last)
            if high and scores[0] - scores[place] > self.margin:
                pool.append(place)
        return [[0, *_draw(pool or [len(scores) - 1], self.negatives, rng)]]
