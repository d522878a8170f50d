"""Loaders: the groups of each epoch, the share of each process, where a resumed run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar, cast

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset

from radio.batching import group_batch
from radio.data.sharing import EpochSampler, share_of_batches
from radio.processes import gathered, process_count, process_number, stopping_together
from radio.rerankers import Reranker
from radio.rerankers.contracts import check_batch
from radio.samplers import GroupSampler
from radio.schema import Example, Group, GroupBatch, Passage

StudentScores = dict[str, dict[str, float]]
"""Scores by the reranker in training: question id -> passage id -> score."""

Batch = TypeVar("Batch")


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
        self.student: StudentScores = {}
        """For samplers that need them."""
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
        scores = _teacher_scores(example)
        ids = [candidate.passage_id for candidate in example.candidates]
        if self.sampler is None:
            # a question without candidates is a group too: it counts 0 in every metric
            return [self._group(example, ids, scores)]
        # the teacher's order; equal scores stay in the retriever's
        ids.sort(key=lambda passage: -scores[passage])
        ranks = {candidate.passage_id: candidate.rank for candidate in example.candidates}
        student = self.student.get(example.question.id)
        selections = self.sampler.groups(
            [scores[passage] for passage in ids],
            seed=self.seed,
            epoch=epoch,
            question_id=example.question.id,
            student=None if student is None else [student[passage] for passage in ids],
            ranks=[ranks[passage] for passage in ids],
            taken=self.taken,
        )
        groups = []
        for selection in selections:
            selected = [ids[place] for place in selection]
            groups.append(self._group(example, selected, scores))
        return groups

    def _group(self, example: Example, ids: Sequence[str], scores: Mapping[str, float]) -> Group:
        """These passages of a question, in this order."""
        return Group(
            question=example.question,
            passages=tuple(self.passages[passage] for passage in ids),
            teacher_scores=tuple(scores[passage] for passage in ids),
            weight=example.weight,
        )


class CandidatePassages(Mapping[str, Passage]):
    """The candidates of some questions by id, each read from the corpus when it is asked for: the
    texts of all that belong to a split may fill the memory."""

    def __init__(self, examples: Sequence[Example], corpus: Mapping[str, Passage]) -> None:
        self._examples = examples
        self._corpus = corpus

    @cached_property
    def _ids(self) -> dict[str, None]:
        found: dict[str, None] = {}
        for example in self._examples:
            for candidate in example.candidates:
                found[candidate.passage_id] = None
        return found

    def __getitem__(self, identifier: str) -> Passage:
        if identifier not in self._ids:
            raise KeyError(identifier)
        return self._corpus[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _teacher_scores(example: Example) -> dict[str, float]:
    """The teacher's score of each candidate, by id; without a teacher NaN.

    Such a question is ranked, and left out of the validation loss.
    """
    unscored = math.nan if example.teacher is None else 0.0
    scores = {candidate.passage_id: unscored for candidate in example.candidates}
    scores.update(example.teacher or {})
    return scores


class TrainLoader(DataLoader[list[Group]]):
    """Training batches; a resumed run goes on after the last one of its checkpoint.

    That may be in the middle of an epoch. Nothing happens before the first batch of an epoch is
    asked for: Lightning makes iterators early, when a resumed run does not know its epoch yet.
    Before that batch the reranker scores the candidates, if the sampler wants it.

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

    def ends_with_a_repeat(self, batch_idx: int) -> bool:
        """Whether the last question of a batch is another process's, which only fills up."""
        return self.order.repeats_last and batch_idx + 1 == len(self)

    def __iter__(self) -> Any:
        return self._epoch()

    def _epoch(self) -> Iterator[GroupBatch]:
        self.order.start = self.done * (self.batch_size or 1)
        if self.needs_student:
            resumed = self.student if self.done else None
            self.groups.student = student_scores(self) if resumed is None else self._kept(resumed)
        batches = super().__iter__()
        # worker processes are ahead by themselves
        yield from batches if self.num_workers else ahead(batches)

    def _kept(self, student: torch.Tensor) -> StudentScores:
        """The scores of a checkpoint, in the places of :meth:`state_dict`."""
        values = iter(student.tolist())
        return {
            example.question.id: {
                candidate.passage_id: next(values) for candidate in example.candidates
            }
            for example in self.groups.examples
        }

    def state_dict(self) -> dict[str, Any]:
        """The student's scores that the rest of a half-done epoch follows.

        Lightning itself knows the place.
        """
        if not self.needs_student or not 0 < self.done < self.trainer.num_training_batches:
            return {}
        values = []
        for example in self.groups.examples:
            scores = self.groups.student[example.question.id]
            values += [scores[candidate.passage_id] for candidate in example.candidates]
        return {"student": torch.tensor(values)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # the two methods tell Lightning that it need not warn. It does not call this one when a
        # scheduler has asked for the number of steps before: the data module stores and restores
        # the state
        self.student = state.get("student")


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each made in a thread while the one before is trained on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        following = pool.submit(next, batches, end)
        while (batch := following.result()) is not end:
            following = pool.submit(next, batches, end)
            yield cast(Batch, batch)


def student_scores(loader: TrainLoader) -> StudentScores:
    """Scores of every candidate of a training loader by the reranker as it is now.

    Each process scores its share of the batches and gets all scores. The batches are the same for
    any number of processes, and so are the scores. The precision is that of an evaluation; dropout
    is off.
    """
    groups = loader.groups
    candidates = Groups(groups.examples, groups.passages, None, groups.seed)
    return scores_by(
        loader.trainer,
        candidates,
        # the loader itself makes no batch meanwhile
        loader.collate_fn,
        size=loader.eval_batch_size,
        title="student scores",
        num_workers=loader.num_workers,
        multiprocessing_context=loader.multiprocessing_context,
    )


def scores_by(
    trainer: L.Trainer,
    candidates: Groups,
    collate: Callable[[Any], Any],
    *,
    size: int,
    title: str,
    **options: Any,
) -> StudentScores:
    """Scores of candidates by the reranker of a trainer as it is now; all processes must call it.

    Each process scores its share of the batches and gets all scores, in the precision of an
    evaluation and without dropout.

    Args:
        trainer: with its reranker.
        candidates: all of each question as one group.
        collate: makes the batches.
        size: questions in a batch.
        title: of the progress bar.
        options: of torch's DataLoader.
    """
    from tqdm import tqdm

    module = trainer.lightning_module
    assert isinstance(module, Reranker), "the data module has looked"
    rank, ranks = process_number(), process_count()
    batches: DataLoader[list[Group]] = DataLoader(
        candidates,
        batch_sampler=share_of_batches(len(candidates), size, rank, ranks),
        collate_fn=collate,
        **options,
    )
    own: StudentScores = {}
    modes = {part: part.training for part in module.modules()}
    module.eval()
    with torch.no_grad(), trainer.precision_plugin.forward_context(), module.evaluating():
        for batch in tqdm(batches, desc=title, unit="batch", leave=False, disable=rank > 0):
            with stopping_together(module.device):
                scores = module(module.transfer_batch_to_device(batch, module.device, 0)).tolist()
            for question, passages, values in zip(
                batch.question_ids, batch.passage_ids, scores, strict=True
            ):
                # the values of a shorter list end with padding
                own[question] = dict(zip(passages, values, strict=False))
    for part, training in modes.items():
        part.training = training
    everyone: StudentScores = {}
    for theirs in gathered(own):
        everyone.update(theirs)
    return everyone


class BatchMaker:
    """Makes the batches of one loader, in its thread or its worker processes.

    It holds nothing of the reranker but what tokenises, so that processes may be started anew
    (``spawn``, ``forkserver``), and no thread waits for another's tokenizer.
    """

    def __init__(self, reranker: Reranker) -> None:
        self.kind = type(reranker)
        self.collate = reranker.collator()

    def __call__(self, items: Sequence[Sequence[Group]]) -> GroupBatch:
        """The batch of the groups of some questions."""
        groups = [group for groups in items for group in groups]
        if not any(group.passages for group in groups):
            # nothing to tokenise, which no tokenizer likes to be asked
            return group_batch(groups, {})
        return check_batch(self.kind, groups, self.collate(groups))
