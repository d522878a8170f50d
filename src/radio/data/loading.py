"""Loaders: the groups of each epoch, the share of each process, and the place where a resumed run
goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from radio import contracts
from radio.batching import group_batch
from radio.processes import gathered, stopping_together
from radio.samplers import GroupSampler
from radio.schema import Example, Group, GroupBatch, Passage

if TYPE_CHECKING:
    from radio.rerankers import Reranker


def processes() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index), so that groups drawn in worker processes know their epoch; splits over
    DDP ranks.

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
        self.rank, self.ranks = processes()

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def repeats_last(self) -> bool:
        """Whether the last item of this rank is one of another rank's, which only fills up."""
        return self.rank + (len(self) - 1) * self.ranks >= self.size

    def __len__(self) -> int:
        return math.ceil(self.size / self.ranks)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = list(range(self.size))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.size, generator=generator).tolist()
        total = len(self) * self.ranks
        order = [order[i % self.size] for i in range(total)] if order else []
        return iter(
            [(self.epoch, index) for index in order[self.rank : total : self.ranks]][self.start :]
        )


class Groups(Dataset[list[Group]]):
    """The groups of one question: drawn by the sampler, or all candidates as one group."""

    def __init__(
        self,
        examples: Sequence[Example],
        passages: Mapping[str, Passage],
        sampler: GroupSampler | None,
        seed: int,
    ) -> None:
        self.examples = examples
        self.passages = passages
        self.sampler = sampler
        self.seed = seed
        self.student: dict[str, dict[str, float]] = {}
        """Scores by the reranker in training, question id -> passage id -> score, for samplers that
        need them."""
        self.taken: frozenset[int] = frozenset()
        """How many positives the loss takes of a group by itself
        (:attr:`radio.losses.Loss.positives_taken`)."""

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, item: tuple[int, int]) -> list[Group]:
        if not isinstance(item, tuple):
            raise TypeError(
                "use Trainer(use_distributed_sampler=False): the data module splits over processes "
                "itself"
            )
        epoch, index = item
        example = self.examples[index]
        # NaN marks "no teacher": such a question is ranked, and left out of the validation loss
        scores = {
            c.passage_id: math.nan if example.teacher is None else 0.0 for c in example.candidates
        }
        scores.update(example.teacher or {})
        ids = [c.passage_id for c in example.candidates]
        if self.sampler is None:
            # a question without candidates is a group too: it counts 0 in every metric
            selections = [list(range(len(ids)))]
            positives = 1
        else:
            # the teacher's order; equal scores stay in the retriever's
            ids.sort(key=lambda i: -scores[i])
            student = self.student.get(example.question.id)
            selections = self.sampler.groups(
                [scores[i] for i in ids],
                seed=self.seed,
                epoch=epoch,
                question_id=example.question.id,
                student=None if student is None else [student[i] for i in ids],
                taken=self.taken,
            )
            positives = self.sampler.positives
        return [
            Group(
                question=example.question,
                passages=tuple(self.passages[ids[i]] for i in selection),
                teacher_scores=tuple(scores[ids[i]] for i in selection),
                labels=tuple(
                    int(place < min(positives, len(selection) - 1))
                    for place in range(len(selection))
                ),
            )
            for selection in selections
        ]


class TrainLoader(DataLoader[list[Group]]):
    """Training batches. A resumed run goes on after the last batch of its checkpoint, in the middle
    of an epoch too.

    Nothing happens before the first batch of an epoch is asked for: Lightning makes iterators
    early, when a resumed run does not know its epoch yet. Before that batch the reranker scores the
    candidates, if the sampler wants it.

    Args:
        trainer: of the run, with its reranker.
        dataset: the training groups.
        sampler: the order of the questions.
        eval_batch_size: questions scored together for a sampler that needs the student.
        student: its scores, from the checkpoint of a half-done epoch (see :meth:`state_dict`).
        options: of torch's DataLoader.
    """

    def __init__(
        self,
        trainer: L.Trainer,
        dataset: Groups,
        sampler: EpochSampler,
        *,
        eval_batch_size: int,
        student: torch.Tensor | None = None,
        **options: Any,
    ) -> None:
        self.needs_student = dataset.sampler is not None and dataset.sampler.needs_student
        # workers that outlive an epoch would keep the student's scores of the first one
        persistent = options.pop("persistent_workers", False) and not self.needs_student
        super().__init__(dataset, sampler=sampler, persistent_workers=persistent, **options)
        self.trainer = trainer
        self.groups = dataset
        self.order = sampler
        self.eval_batch_size = eval_batch_size
        self.student = student

    @property
    def done(self) -> int:
        """Batches of this epoch that lie behind."""
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def __iter__(self) -> Any:
        return self._epoch()

    def _epoch(self) -> Iterator[Any]:
        self.order.start = self.done * (self.batch_size or 1)
        if self.needs_student:
            if self.done and self.student is not None:
                scores = iter(self.student.tolist())
                self.groups.student = {
                    e.question.id: {c.passage_id: next(scores) for c in e.candidates}
                    for e in self.groups.examples
                }
            else:
                self.groups.student = student_scores(
                    self.trainer, self.groups, self.eval_batch_size, self.num_workers
                )
        batches = super().__iter__()
        # worker processes are ahead by themselves
        yield from batches if self.num_workers else ahead(batches)

    def state_dict(self) -> dict[str, Any]:
        """The student's scores that the rest of a half-done epoch follows; Lightning itself knows
        the place."""
        if not self.needs_student or not 0 < self.done < self.trainer.num_training_batches:
            return {}
        student = self.groups.student
        rows = [
            student[e.question.id][c.passage_id] for e in self.groups.examples for c in e.candidates
        ]
        return {"student": torch.tensor(rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # the two methods tell Lightning that it need not warn. It does not call this one when a
        # scheduler has asked for the number of steps before: the data module stores and restores
        # the state
        self.student = state.get("student")


def ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches, each made in a thread while the one before is trained on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        following = pool.submit(next, batches, end)
        while (batch := following.result()) is not end:
            following = pool.submit(next, batches, end)
            yield batch


def student_scores(
    trainer: L.Trainer, dataset: Groups, batch_size: int, num_workers: int = 0
) -> dict[str, dict[str, float]]:
    """Scores of every candidate by the reranker as it is now, question id -> passage id -> score.

    Each process scores its share of the batches and gets all scores. The batches are the same for
    any number of processes, and so are the scores. The precision is that of an evaluation; dropout
    is off.
    """
    from tqdm import tqdm

    module: Any = trainer.lightning_module
    rank, ranks = processes()
    batches = [
        [(0, i) for i in range(start, min(start + batch_size, len(dataset)))]
        for start in range(0, len(dataset), batch_size)
    ]
    # the same number on every process: sharded weights are gathered in step
    share = [
        batches[i % len(batches)]
        for i in range(rank, math.ceil(len(batches) / ranks) * ranks, ranks)
    ]
    loader: Any = DataLoader(
        Groups(dataset.examples, dataset.passages, None, dataset.seed),
        batch_sampler=share,
        num_workers=num_workers,
        collate_fn=partial(collate, module),
    )
    found: dict[str, dict[str, float]] = {}
    modes = {part: part.training for part in module.modules()}
    module.eval()
    with torch.no_grad(), trainer.precision_plugin.forward_context(), module.evaluating():
        for batch in tqdm(
            loader, desc="student scores", unit="batch", leave=False, disable=rank > 0
        ):
            with stopping_together(module.device):
                rows = module(module.transfer_batch_to_device(batch, module.device, 0)).tolist()
            for question, passages, row in zip(
                batch.question_ids, batch.passage_ids, rows, strict=True
            ):
                found[question] = dict(zip(passages, row, strict=False))
    for part, training in modes.items():
        part.training = training
    return {question: scores for part in gathered(found) for question, scores in part.items()}


def collate(reranker: Reranker, items: Sequence[Sequence[Group]]) -> GroupBatch:
    """The batch of the groups of some questions."""
    groups = [group for groups in items for group in groups]
    if not any(group.passages for group in groups):
        # nothing to tokenise, which no tokenizer likes to be asked
        return group_batch(groups, {})
    return contracts.batch(reranker, groups, reranker.collate(groups))
