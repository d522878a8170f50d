"""What Lightning asks of a dataset: prepare, set up, load."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from radio import contracts
from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.data import checking, sharing, weighing
from radio.data.loading import BatchMaker, CandidatePassages, Groups, TrainLoader
from radio.data.prepare import Preparation, Settings
from radio.data.splits import TAUGHT, SplitCounts, apart, splits_of
from radio.data.tables import Examples
from radio.engines import Engine, InProcess
from radio.generators.tasks import task_of
from radio.mapped import Values
from radio.ranges import check
from radio.rationales import CHECKS, QualityChecks, RationaleWriter
from radio.rerankers import Reranker
from radio.retrievers import Dense, Retriever
from radio.samplers import GroupSampler, Shift, check_groups
from radio.schema import Example, Group, InputError, Passage, Question
from radio.teachers import Blend, Confidence, Teacher

Loader = DataLoader[list[Group]]


class RationaleDataModule(sharing.Preparing):
    """A dataset for rationale distillation: a subclass gives its questions and its passages.

    ``prepare_data`` fills the caches on one process and repeats nothing that is there already;
    ``setup`` only reads them. Everything is joined by id.

    Args:
        retriever: finds the candidates; None is dense retrieval with e5-base-v2, as published.
        rationales: writes or reads the rationales; None where the teacher needs none.
        rationale_splits: splits whose rationales are written; training needs only ``train``, the
            others lack the metrics against the teacher without.
        rationale_filters: checks that a rationale must pass to count, of
            :data:`radio.rationales.CHECKS`; ``no_answer`` passes where an answer cannot be looked
            for, as with yes or no.
        rationale_checks: limits and models of these checks.
        teacher: scores the candidates; None is the published blend with bge-m3.
        sampler: draws the groups; None is the published shift.
        train_candidates: candidates for each training question (published: 50).
        eval_candidates: candidates that are reranked (published: 20).
        injected: candidates that were put in by hand because they are annotated as right, though no
            search found them (a candidate file says so): ``never`` kept, kept for ``train``
            questions only, or ``always``. They flatter every figure of an evaluation.
        batch_size: questions in a training step.
        eval_batch_size: questions in an evaluation step.
        num_workers: processes that tokenise; 0 does it in the main process.
        max_questions: first n questions of a split, for example ``{train: 20000}``; None takes all.
        missing_rationales: what to do with training questions without one: ``error``, or ``drop``
            with a warning.
        overlapping_questions: what to do with a question that is in two splits: ``error``, or
            ``drop`` it from training (from validation, if the other one is test).
        tied_questions: what to do with training questions whose candidates the teacher scores all
            alike (none holds the answer, say): ``keep``, which with soft targets teaches that they
            are equally good, or ``drop``.
        cache_dir: where candidates, rationales, embeddings, teacher scores and generator answers
            are kept.
        seed: of the order of the questions and of the groups; None is the run's seed
            (``seed_everything``).
        unknown_gold: where the corpus has none of a split's annotated passages, so that figures
            against them would be 0: ``error``, or ``keep`` them. That some lack is said anyway.
        confidence: how far the teacher is trusted for each training question, its weight in the
            loss; None trusts it alike for all. Validation is not weighted.
        task: what is asked of a generator (docs/generators.md); None takes the class's.
        prepare_data_per_node: of several machines, each prepares for itself, and keeps its own
            cache; otherwise the first one does for all, which must see its files.
        engine: where models compute what is prepared (docs/ray.md); None is this process.
    """

    task = "open_qa"

    def __init__(
        self,
        retriever: Retriever | None = None,
        rationales: RationaleWriter | None = None,
        rationale_splits: Sequence[str] = TAUGHT,
        rationale_filters: Sequence[str] = ("empty", "refusal", "truncated", "no_answer"),
        rationale_checks: QualityChecks | None = None,
        teacher: Teacher | None = None,
        sampler: GroupSampler | None = None,
        train_candidates: int = 50,
        eval_candidates: int = 20,
        injected: Literal["never", "train", "always"] = "never",
        batch_size: int = 16,
        eval_batch_size: int = 16,
        num_workers: int = 0,
        max_questions: dict[str, int] | None = None,
        missing_rationales: Literal["error", "drop"] = "error",
        overlapping_questions: Literal["error", "drop"] = "error",
        tied_questions: Literal["keep", "drop"] = "keep",
        cache_dir: str = ".radio_cache",
        seed: int | None = None,
        unknown_gold: Literal["error", "keep"] = "error",
        task: str | None = None,
        confidence: Confidence | None = None,
        prepare_data_per_node: bool = False,
        engine: Engine | None = None,
    ) -> None:
        super().__init__()
        check(self, locals())
        self.retriever = retriever or Dense()
        self.rationales = rationales
        self.rationale_splits = tuple(rationale_splits)
        self.rationale_filters = tuple(rationale_filters)
        self.rationale_checks = rationale_checks or QualityChecks()
        self.teacher = teacher or Blend()
        self.sampler = sampler or Shift()
        self.train_candidates = train_candidates
        self.eval_candidates = eval_candidates
        self.injected = injected
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.max_questions = max_questions or {}
        self.missing_rationales = missing_rationales
        self.overlapping_questions = overlapping_questions
        self.tied_questions = tied_questions
        self.seed = seed
        self.unknown_gold = unknown_gold
        self.task = task_of(task or self.task).name
        self.confidence = confidence
        self.prepare_data_per_node = prepare_data_per_node
        self.engine = engine or InProcess()
        self.cache = Cache(Path(cache_dir) / "radio.sqlite")
        self.examples: dict[str, Examples] = {}
        """What ``setup`` has read, by split."""
        self._questions: dict[str, Sequence[Question]] = {}
        self._left_out: dict[str, Counter[str]] = {}
        self._resumed: dict[str, Any] = {}
        self.may_fetch = True
        """Whether :meth:`questions` may ask the network: not in ``setup``, which only reads."""
        checking.check_names("max_questions", list(self.max_questions), (*TAUGHT, "predict"))
        checking.check_names("rationale_splits", self.rationale_splits, TAUGHT)
        checking.check_names("rationale_filters", self.rationale_filters, CHECKS)

    # What a subclass gives

    @abstractmethod
    def questions(self, split: str) -> Sequence[Question]:
        """Those of ``train``, ``validation``, ``test`` or ``predict``; empty for no such split."""

    @abstractmethod
    def passages(self) -> DiskCorpus | Iterable[Passage]:
        """The corpus; ids must differ. Called once. A :class:`DiskCorpus` stays on disk."""

    # Steps

    @cached_property
    def corpus(self) -> Mapping[str, Passage]:
        """The passages by id."""
        return checking.by_id(self, self.passages())

    @cached_property
    def preparation(self) -> Preparation:
        """What obtains candidates, rationales and teacher scores, and reads them."""
        return Preparation(
            questions=self.split_questions,
            corpus=self.corpus,
            cache=self.cache,
            retriever=self.retriever,
            writer=self.rationales,
            checks=self.rationale_checks,
            teacher=self.teacher,
            settings=Settings(
                train_candidates=self.train_candidates,
                eval_candidates=self.eval_candidates,
                injected=self.injected,
                rationale_splits=self.rationale_splits,
                rationale_filters=self.rationale_filters,
                missing_rationales=self.missing_rationales,
            ),
        )

    def prepare_data(self) -> None:
        """Retrieve, obtain rationales and teacher scores for the splits that the command needs."""
        if self.unprepared is None:
            with sharing.preparing(self):
                self._prepare()

    def _prepare(self) -> None:
        stage = self.trainer.state.fn if self.trainer else None
        if stage == "fit":
            # before anything is paid for
            self._check_loss()
        splits = self.splits_of(stage)
        if stage != "predict":
            for split in splits:
                questions = self.split_questions(split)
                checking.check_questions(split, questions, self.corpus, self.unknown_gold)
        with self.at_work():
            self.preparation.fill(splits)
            if "train" in splits:
                weighing.fill(self.preparation, self.confidence)

    def at_work(self) -> AbstractContextManager[None]:
        """The engine computes what is asked for meanwhile."""
        return self.engine.at_work(self.cache.path.parent)

    def _check_loss(self) -> None:
        """Refuse a loss that goes with another sampler, or with no confidence."""
        check_groups(self.sampler, self._reranker.loss)
        weighing.check_loss(self.confidence, self._reranker.loss)

    def setup(self, stage: str | None = None) -> None:
        """Build the examples of each split from the caches.

        Raises:
            Missing: ``prepare_data`` has not stored what it needs.
        """
        self.may_fetch = False
        # SQLite may lie where machines cannot write it together: one of them does
        self.cache.read_only = not sharing.prepares(self)
        try:
            with sharing.reading_together(self):
                for split in self.splits_of(stage):
                    if split not in self.examples:
                        self.examples[split] = self._usable(split, self.preparation.examples(split))
        finally:
            self.may_fetch = True

    def _usable(self, split: str, examples: Examples) -> Examples:
        """Those that are trained on; elsewhere all, since each counts."""
        if split != "train":
            checking.warn_of_no_candidate(split, examples)
            return examples
        taught = checking.trainable(
            examples,
            needs_rationale=self.teacher.needs_rationale,
            tied_questions=self.tied_questions,
            passages=len(self.corpus),
        )
        return weighing.weighed(self.preparation, self.confidence, taught)

    def summary(self) -> str:
        """One line for each split: questions, candidates, rationales."""
        lines = []
        for split in TAUGHT:
            questions = self.split_questions(split)
            if not questions:
                continue
            line = f"{split}: {len(questions)} questions"
            if self.teacher.needs_rationale:
                line += f", {len(self.preparation.rationales(split).kept)} rationales"
            lines.append(line)
        lines.append(f"corpus: {len(self.corpus)} passages")
        lines.append(f"cache: {self.cache.path}")
        return "\n".join(lines)

    def splits_of(self, stage: str | None) -> list[str]:
        """Splits a stage of Lightning works on (:func:`radio.data.splits.splits_of`)."""
        return splits_of(stage, self.split_questions, type(self).__name__)

    # Questions

    def split_questions(self, split: str) -> Sequence[Question]:
        """The first ``max_questions`` of a split without those of a later split; read once.

        Raises:
            InputError: an id stands twice, or a question is in two splits and
                ``overlapping_questions`` is ``error``.
        """
        if split not in self._questions:
            # what is taught is compared with each other; predict stands alone
            names = TAUGHT if split in TAUGHT else (split,)
            first = {name: self._first_questions(name) for name in names}
            kept = apart(first, self.overlapping_questions)
            for name in names:
                self.leave_out(name, "in a later split too", len(first[name]) - len(kept[name]))
            self._questions |= kept
        return self._questions[split]

    def _first_questions(self, split: str) -> Sequence[Question]:
        self._left_out[split] = Counter()
        questions = self.questions(split)
        # what is on disk was looked at when it was written
        if not isinstance(questions, Values):
            questions = contracts.questions(self, split, questions)
        first = questions[: self.max_questions.get(split)]
        self.leave_out(split, "beyond max_questions", len(questions) - len(first))
        return first

    def leave_out(self, split: str, reason: str, count: int = 1) -> None:
        """Note that questions of a split are not used; :meth:`questions` calls it."""
        # once the questions are read, whoever asks for them again counts nothing twice
        if count and split not in self._questions:
            self._left_out.setdefault(split, Counter())[reason] += count

    def counts(self, split: str) -> SplitCounts:
        """How many questions a split has, and how many of them are not used, by reason."""
        used = len(self.split_questions(split))
        left_out = self._left_out[split]
        return SplitCounts(used + left_out.total(), dict(left_out))

    @property
    def run_seed(self) -> int:
        """``seed``, or else that of the run; the same on every process."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed

    # Loaders

    def train_dataloader(self) -> Loader:
        """Batches of ``batch_size`` questions, with the groups that the sampler draws of each."""
        examples = self.examples.get("train")
        if not examples:
            raise InputError(
                f"{type(self).__name__}: there are no training questions, nothing to train on"
            )
        assert self.trainer is not None
        self._check_loss()
        dataset = Groups(examples, self.corpus, self.sampler, self.run_seed)
        dataset.taken = self._reranker.loss.positives_taken
        sampler = sharing.EpochSampler(len(examples), seed=self.run_seed, shuffle=True)
        return TrainLoader(
            self.trainer,
            dataset,
            sampler,
            eval_batch_size=self.eval_batch_size,
            student=self._resumed.get("student"),
            batch_size=self.batch_size,
            **self._options(examples),
        )

    @property
    def _reranker(self) -> Reranker:
        """The model of the run, which makes the batches."""
        assert self.trainer is not None, "loaders need a trainer, whose reranker makes the batches"
        reranker = self.trainer.lightning_module
        if not isinstance(reranker, Reranker):
            raise InputError(
                f"{type(self).__name__} needs a radio Reranker, found {type(reranker).__name__}"
            )
        return reranker

    def state_dict(self) -> dict[str, Any]:
        """What the training loader needs to go on, for the checkpoint."""
        loader = self.trainer.train_dataloader if self.trainer else None
        state: dict[str, Any] = {"seed": self.run_seed}
        if isinstance(loader, TrainLoader):
            state |= loader.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before = state_dict.get("seed", self.run_seed)
        if before != self.run_seed:
            rank_zero_warn(
                f"the checkpoint was trained with seed {before}, this run goes on with "
                f"{self.run_seed}: the order of the questions and their groups are other ones from "
                "here on"
            )
        self._resumed = state_dict

    def val_dataloader(self) -> Loader | list[Loader]:
        return self._eval_loader("validation")

    def test_dataloader(self) -> Loader | list[Loader]:
        return self._eval_loader("test")

    def predict_dataloader(self) -> Loader | list[Loader]:
        return self._eval_loader("predict" if "predict" in self.examples else "test")

    def _eval_loader(self, split: str) -> Loader | list[Loader]:
        """Batches of all candidates of each question; no loader if the split has no questions."""
        examples = self.examples.get(split)
        if not examples:
            return []
        dataset = Groups(examples, self.corpus, None, self.run_seed)
        sampler = sharing.EvaluationSampler(len(examples), self.eval_batch_size)
        options = self._options(examples)
        return DataLoader(dataset, batch_size=self.eval_batch_size, sampler=sampler, **options)

    def _options(self, examples: Sequence[Example]) -> dict[str, Any]:
        """What all loaders have in common; the reranker has seen the passages of theirs."""
        reranker = self._reranker
        passages = CandidatePassages(examples, self.corpus)
        sharing.index_once(reranker, passages, self.cache, first=sharing.prepares(self))
        return {
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "collate_fn": BatchMaker(reranker),
        }
