"""What each process of a run does of the data: which questions it trains on and ranks, and whether
it prepares them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, repeat

import lightning as L
import torch
from torch.utils.data import Sampler

from radio.cache import Cache
from radio.processes import process_count, process_number, stopping_together
from radio.rerankers import Reranker
from radio.schema import InputError, Missing, Passage

ELSEWHERE = (
    "the first machine has prepared for all (prepare_data_per_node is false), and this one does "
    "not see it: give a cache_dir that all of them see, or "
    "--data.init_args.prepare_data_per_node true"
)
"""What else may be wrong where a machine that does not prepare lacks something."""


def prepares(data: L.LightningDataModule) -> bool:
    """Whether this process is one that prepares the data, as Lightning has it."""
    trainer = data.trainer
    if trainer is None:
        return True
    return trainer.local_rank == 0 and (data.prepare_data_per_node or trainer.node_rank == 0)


class Preparing(L.LightningDataModule):
    """A data module whose preparation may fail on one process while others wait for it."""

    unprepared: InputError | None = None
    """Why; told to all when they read what was prepared."""


@contextmanager
def preparing(data: Preparing) -> Iterator[None]:
    """Prepare, or check what is prepared; an error stops one process at once, and several when they
    read (:func:`reading_together`): the others wait there.

    Raises:
        InputError: of the only process.
    """
    try:
        yield
    except InputError as error:
        if data.trainer is None or data.trainer.world_size == 1:
            raise
        data.unprepared = error


@contextmanager
def reading_together(data: Preparing) -> Iterator[None]:
    """Read what was prepared; where one process lacks something, all stop. All must enter it.

    Raises:
        InputError: of this process, or of the first one that has one.
    """
    device = data.trainer.strategy.root_device if data.trainer else torch.device("cpu")
    with stopping_together(device):
        problem, data.unprepared = data.unprepared, None
        if problem is not None:
            raise problem
        try:
            yield
        except Missing as error:
            if not prepares(data) and data.trainer and data.trainer.num_nodes > 1:
                error.otherwise = ELSEWHERE
            raise


def index_once(
    reranker: Reranker, passages: Mapping[str, Passage], cache: Cache, *, first: bool
) -> None:
    """Have the reranker compute what it needs of some passages.

    All processes must call it: the first ones compute, then the others read that in the cache.
    """
    for turn in (True, False):
        with stopping_together(reranker.device, slow=True):
            if first is turn:
                reranker.index(passages, cache)


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index), so that worker processes know the epoch; splits over DDP ranks.

    Lightning calls ``set_epoch``. Every rank gets the same number of items; the first ones are
    repeated to fill up. ``start`` leaves out so many items of this rank; the length stays that of
    the whole epoch.
    """

    def __init__(self, size: int, *, seed: int = 0, shuffle: bool = False) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0
        self.start = 0
        self.rank, self.ranks = process_number(), process_count()

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def repeats_last(self) -> bool:
        """Whether the last item of this rank is one of another rank's, which only fills up."""
        return self.rank + (len(self) - 1) * self.ranks >= self.size

    def __len__(self) -> int:
        return math.ceil(self.size / self.ranks)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # tensors: eight bytes each, where a list of pairs takes a hundred
        order = torch.arange(self.size)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.size, generator=generator)
        # filled up, so that every rank has the same number
        places = torch.arange(len(self)) * self.ranks + self.rank
        own = order[places[self.start :] % max(self.size, 1)]
        return zip(repeat(self.epoch), map(int, own.numpy()), strict=False)


class EvaluationSampler(Sampler[tuple[int, int]]):
    """Yields (0, index) in the order of the questions: of the batches that one process would make,
    whole ones, each to one rank.

    So a question is scored beside the same others, and its score is the same to the last bit,
    however many ranks there are. Every rank gets the same number of batches
    (:func:`share_of_batches`).

    Args:
        size: how many questions there are.
        batch_size: of the loader.
    """

    def __init__(self, size: int, batch_size: int) -> None:
        rank, ranks = process_number(), process_count()
        self.batches = share_of_batches(size, batch_size, rank, ranks)
        own = rank + (len(self.batches) - 1) * ranks
        self.repeats_last = own >= math.ceil(size / batch_size)
        """Whether the last batch is another rank's, which only fills up."""

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return chain.from_iterable(self.batches)

    def is_repeat(self, batch_idx: int) -> bool:
        """Whether a batch is another rank's too."""
        return self.repeats_last and batch_idx + 1 == len(self.batches)


def share_of_batches(
    questions: int, size: int, rank: int, ranks: int
) -> list[list[tuple[int, int]]]:
    """The batches of this process, ``size`` questions each, as items of :class:`Groups`.

    Every process has the same number of them, since sharded weights are gathered in step: the first
    ones are repeated to fill up.
    """
    batches = []
    for start in range(0, questions, size):
        end = min(start + size, questions)
        batches.append([(0, index) for index in range(start, end)])
    filled = math.ceil(len(batches) / ranks) * ranks
    return [batches[number % len(batches)] for number in range(rank, filled, ranks)]
