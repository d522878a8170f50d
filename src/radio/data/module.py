"""From questions and passages to groups: retrieve, obtain rationales, ask the teacher, each step
cached."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from radio import contracts
from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.data.loading import BatchMaker, EpochSampler, Groups, TrainLoader, reranker_of
from radio.data.splits import SplitCounts, apart
from radio.fingerprints import fingerprint
from radio.ranges import check
from radio.rationales import CHECKS, QualityChecks, RationaleWriter, Request, fill, read, summary
from radio.rationales.summary import Rationales
from radio.retrievers import Dense, Retriever
from radio.samplers import GroupSampler, Shift
from radio.schema import (
    Candidate,
    Example,
    Group,
    InputError,
    Passage,
    Question,
    Rationale,
    RetrievedPassage,
)
from radio.teachers import Blend, Teacher, as_scores, teacher_key

OPTIONS = ("--config", "-c", "--name", "--seed_everything", "--trainer", "--model", "--data")
"""What all commands take."""

TAUGHT = ("train", "validation", "test")
"""Splits that need answers and have teacher scores; ``predict`` needs neither."""


class RationaleDataModule(L.LightningDataModule):
    """A dataset for rationale distillation. A subclass implements :meth:`questions` and
    :meth:`passages`.

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
        unknown_gold: what to do where the corpus has none of the annotated passages of a split, so
            that each figure against them would be 0: ``error``, or ``keep`` them. That it lacks
            some is said in either case.
    """

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
        self.cache = Cache(Path(cache_dir) / "radio.sqlite")
        self.examples: dict[str, list[Example]] = {}
        self._questions: dict[str, list[Question]] = {}
        self._left_out: dict[str, Counter[str]] = {}
        self._resumed: dict[str, Any] = {}
        self._shown: set[str] = set()
        _only("max_questions", self.max_questions, (*TAUGHT, "predict"))
        _only("rationale_splits", self.rationale_splits, TAUGHT)
        _only("rationale_filters", self.rationale_filters, CHECKS)

    # What a subclass gives

    @abstractmethod
    def questions(self, split: str) -> Sequence[Question]:
        """Questions of ``train``, ``validation``, ``test`` or ``predict``; an empty list if there
        is no such split."""

    @abstractmethod
    def passages(self) -> DiskCorpus | Iterable[Passage]:
        """The corpus. Called once; ids must differ. A :class:`radio.corpus.DiskCorpus` stays on
        disk."""

    # Steps

    @cached_property
    def corpus(self) -> Mapping[str, Passage]:
        """The passages by id."""
        passages = self.passages()
        if isinstance(passages, DiskCorpus):
            return passages
        corpus: dict[str, Passage] = {}
        for passage in contracts.passages(self, passages):
            if passage.id in corpus:
                raise InputError(f"{type(self).__name__}: passage id {passage.id!r} is a duplicate")
            corpus[passage.id] = passage
        if not corpus:
            raise InputError(f"{type(self).__name__}: the corpus is empty")
        return corpus

    @cached_property
    def _corpus_fingerprint(self) -> str:
        if isinstance(self.corpus, DiskCorpus):
            return self.corpus.fingerprint
        digest = hashlib.sha256()
        for passage in self.corpus.values():
            digest.update(f"{passage.id}\0{passage.contents}\0".encode())
        return digest.hexdigest()

    def prepare_data(self) -> None:
        """Retrieve, obtain rationales and teacher scores for the splits that the command needs."""
        stage = self.trainer.state.fn if self.trainer else None
        splits = self._splits_of(stage)
        self._check_plan(splits)
        for split in splits if stage != "predict" else ():
            self._check_gold(split)
        candidates = {split: self._retrieve(split) for split in splits}
        taught = {split: found for split, found in candidates.items() if split in TAUGHT and found}
        self._write_rationales(taught)
        for split, found in taught.items():
            rationales = self._read_rationales(split, found)
            self._show_rationales(split, rationales)
            self._check_rationales(split, rationales)
            self._teach(split, found, rationales.kept)

    def _check_plan(self, splits: Sequence[str]) -> None:
        """What the other parts of the run ask of this one, before it costs anything."""
        from radio.config import plan
        from radio.rerankers import Reranker

        if self.trainer is None:
            return
        callbacks: Any = self.trainer.callbacks  # type: ignore[attr-defined]
        reranker = self.trainer.lightning_module
        if self.trainer.state.fn == "fit" and isinstance(reranker, Reranker):
            plan.check_run(callbacks, reranker, self)
        plan.check_data(callbacks, self, splits)

    def setup(self, stage: str | None = None) -> None:
        """Build the examples of each split from the caches.

        Raises:
            InputError: something is missing that ``prepare_data`` would have filled.
        """
        for split in self._splits_of(stage):
            if split not in self.examples:
                self.examples[split] = self._read_examples(split)

    def summary(self) -> str:
        """One line for each split: questions, candidates, rationales."""
        lines = []
        for split in TAUGHT:
            if self.split_questions(split):
                rationales = len(self._read_rationales(split, self.read_candidates(split)).kept)
                count = f", {rationales} rationales" if self.teacher.needs_rationale else ""
                lines.append(f"{split}: {len(self.split_questions(split))} questions{count}")
        return "\n".join(
            [*lines, f"corpus: {len(self.corpus)} passages", f"cache: {self.cache.path}"]
        )

    def _splits_of(self, stage: str | None) -> list[str]:
        """Splits a stage of Lightning works on; training prepares the test split too, so that it
        can not fail late."""
        wanted = {"validate": ["validation"], "test": ["test"], "predict": ["predict", "test"]}.get(
            stage or "", TAUGHT
        )
        found = [split for split in wanted if self.split_questions(split)]
        if stage == "fit" and found[:1] != ["train"]:
            raise InputError(
                f"{type(self).__name__}: there are no training questions, nothing to train on"
            )
        if not found:
            # predict takes the questions of the test split where there are none of its own
            lacking = wanted[0] if stage else " or ".join(wanted)
            raise InputError(
                f"{type(self).__name__}: found no questions of the split {lacking}, expected some, "
                f"as for example --data.init_args.{wanted[0]} FILE gives them"
            )
        return found[:1] if stage == "predict" else found

    def split_questions(self, split: str) -> list[Question]:
        """Questions of a split, of the first ``max_questions``, without those that are in another
        one too; read once.

        Raises:
            InputError: an id stands twice, or a question is in two splits and
                ``overlapping_questions`` is ``error``.
        """
        if split not in self._questions:
            found = {
                name: self._first_questions(name)
                for name in (TAUGHT if split in TAUGHT else (split,))
            }
            kept = apart(found, self.overlapping_questions)
            for name, questions in found.items():
                self.leave_out(name, "in a later split too", len(questions) - len(kept[name]))
            self._questions |= kept
        return self._questions[split]

    def split_size(self, split: str) -> int:
        """Questions that the dataset has in a split, with those that are left out: :meth:`counts`
        says why."""
        return self.counts(split).total

    def _first_questions(self, split: str) -> list[Question]:
        self._left_out[split] = Counter()
        questions = contracts.questions(self, split, self.questions(split))
        first = questions[: self.max_questions.get(split)]
        self.leave_out(split, "beyond max_questions", len(questions) - len(first))
        return first

    def leave_out(self, split: str, reason: str, count: int = 1) -> None:
        """Note that so many questions of a split are not used; :meth:`questions` calls it where it
        leaves some out."""
        # once the questions are read, whoever asks for them again counts nothing twice
        if count and split not in self._questions:
            self._left_out.setdefault(split, Counter())[reason] += count

    def counts(self, split: str) -> SplitCounts:
        """How many questions a split has, and how many of them are not used, by reason."""
        used = len(self.split_questions(split))
        left_out = dict(self._left_out[split])
        return SplitCounts(used + sum(left_out.values()), left_out)

    def _candidate_keys(self, split: str) -> list[str]:
        k = self.train_candidates if split == "train" else self.eval_candidates
        parts = ["candidates", self.retriever.fingerprint(), self._corpus_fingerprint, k]
        if self._keeps_injected(split):
            parts.append("injected")
        return [
            fingerprint([*parts, q.id, self.retriever.asked(q)])
            for q in self.split_questions(split)
        ]

    def _keeps_injected(self, split: str) -> bool:
        return self.injected == "always" or (self.injected == "train" and split == "train")

    def _retrieve(self, split: str) -> dict[str, list[Candidate]]:
        """Candidates of each question, from the cache or the retriever."""
        questions, keys = self.split_questions(split), self._candidate_keys(split)
        missing = set(self.cache.missing(keys))
        todo = [
            (key, question) for key, question in zip(keys, questions, strict=True) if key in missing
        ]
        if todo:
            from tqdm import tqdm

            k = self.train_candidates if split == "train" else self.eval_candidates
            self.retriever.index(self.corpus, self.cache)
            asked = [question for _, question in todo]
            found = contracts.candidates(
                self.retriever, asked, self.retriever.search(asked, k), k, self.corpus
            )
            part: dict[str, Any] = {}
            for (key, _), candidates in tqdm(
                zip(todo, found, strict=True),
                total=len(todo),
                desc=f"{split}: retrieve",
                unit="question",
            ):
                kept = (
                    candidates
                    if self._keeps_injected(split)
                    else [c for c in candidates if not c.injected]
                )
                part[key] = [[c.passage_id, c.score] for c in kept]
                if len(part) >= 100:
                    self.cache.put_json("candidates", part)
                    part = {}
            self.cache.put_json("candidates", part)
        return self.read_candidates(split)

    def read_candidates(self, split: str) -> dict[str, list[Candidate]]:
        """Candidates of each question of a split, best first, from the cache.

        Raises:
            InputError: the cache lacks some.
        """
        questions, keys = self.split_questions(split), self._candidate_keys(split)
        stored = self.cache.get_json(keys, _as_candidates)
        lacking = [q.id for q, key in zip(questions, keys, strict=True) if key not in stored]
        if lacking:
            raise InputError(_missing("candidates", split, lacking, len(questions)))
        return {
            question.id: [Candidate(p, rank, score) for rank, (p, score) in enumerate(stored[key])]
            for question, key in zip(questions, keys, strict=True)
        }

    def rationale_requests(
        self, split: str, candidates: Mapping[str, list[Candidate]]
    ) -> list[Request]:
        """What to ask the writer for each question of a split."""
        if self.rationales is None or not self.teacher.needs_rationale:
            return []
        requests = []
        for question in self.split_questions(split):
            shown = candidates[question.id][: self.rationales.passages_shown]
            passages = tuple(self.corpus[candidate.passage_id] for candidate in shown)
            requests.append(Request(self.rationales.key(question, passages), question, passages))
        return requests

    def _write_rationales(self, candidates: Mapping[str, Mapping[str, list[Candidate]]]) -> None:
        """Ask for the rationales that are missing in these splits; each is stored as soon as it is
        there."""
        splits = [split for split in candidates if split in self.rationale_splits]
        requests = [
            r for split in splits for r in self.rationale_requests(split, candidates[split])
        ]
        if requests and self.rationales is not None:
            fill(
                self.rationales,
                requests,
                self.cache,
                self.cache.path.parent / "failures.jsonl",
                "rationales",
            )

    def _read_rationales(self, split: str, candidates: Mapping[str, list[Candidate]]) -> Rationales:
        """Rationales of a split that the cache has, and which of them the filters leave out."""
        requests = self.rationale_requests(split, candidates)
        found = read({request.question.id: request.key for request in requests}, self.cache)
        items = [
            (
                r.question,
                found[r.question.id],
                [self.corpus[c.passage_id] for c in candidates[r.question.id]],
            )
            for r in requests
            if r.question.id in found
        ]
        failed = self.rationale_checks.run(items, self.cache, self.rationale_filters)
        asked = [question.id for question, _, _ in items]
        failed = contracts.failed_checks(self.rationale_checks, failed, asked)
        return Rationales(self.split_questions(split), found, failed)

    def _show_rationales(self, split: str, rationales: Rationales) -> None:
        """A line about the rationales of a split, once, and what is wrong with them at first
        sight."""
        if split in self._shown or not rationales.found:
            return
        self._shown.add(split)
        found = summary.numbers(rationales)
        rank_zero_info(summary.line(split, found, rationales.left_out))
        for warning in summary.warnings(split, found):
            rank_zero_warn(warning)

    def _check_rationales(self, split: str, rationales: Rationales) -> None:
        """A training question needs its rationale; elsewhere it only lacks metrics against the
        teacher."""
        questions, kept = self.split_questions(split), rationales.kept
        lacking = [q.id for q in questions if q.id not in kept]
        if split != "train" or not lacking or not self.teacher.needs_rationale:
            return
        why, helps = summary.why_missing(rationales, self.rationales)
        message = _missing("rationale", split, lacking, len(questions), why, helps)
        # what a filter of quality leaves out was counted by _show_rationales, and is no reason to
        # stop
        stops = rationales.missing and self.missing_rationales == "error"
        if stops or len(lacking) == len(questions):
            raise InputError(
                f"{message}\n  or train without them: --data.init_args.missing_rationales drop"
            )
        rank_zero_info(
            f"{split}: {len(lacking)} of {len(questions)} questions have no rationale and are not "
            "trained on"
        )

    def taught(
        self,
        split: str,
        candidates: Mapping[str, list[Candidate]],
        rationales: Mapping[str, Rationale],
    ) -> Iterator[tuple[str, Question, Rationale | None, list[RetrievedPassage]]]:
        """Cache key and work of the teacher for each question that can be taught."""
        identity = self.teacher.fingerprint()
        for question in self.split_questions(split):
            rationale = rationales.get(question.id)
            if (rationale is None and self.teacher.needs_rationale) or not candidates[question.id]:
                continue
            passages = [
                RetrievedPassage(c.passage_id, self.corpus[c.passage_id].contents, c.rank, c.score)
                for c in candidates[question.id]
            ]
            key = teacher_key(identity, self._corpus_fingerprint, question, rationale, passages)
            yield key, question, rationale, passages

    def _teach(
        self,
        split: str,
        candidates: Mapping[str, list[Candidate]],
        rationales: Mapping[str, Rationale],
    ) -> None:
        work = list(self.taught(split, candidates, rationales))
        missing = set(self.cache.missing([key for key, *_ in work]))
        todo = [item for item in work if item[0] in missing]
        if not todo:
            return
        from tqdm import tqdm

        self.teacher.prefetch(
            [(question, rationale, passages) for _, question, rationale, passages in todo],
            self.cache,
        )
        part: dict[str, Any] = {}
        for key, question, rationale, passages in tqdm(
            todo, desc=f"{split}: teacher", unit="question"
        ):
            scores = self.teacher.score(question, rationale, passages)
            scores = contracts.teacher_scores(self.teacher, question, scores, len(passages))
            part[key] = {p.id: s for p, s in zip(passages, scores, strict=True)}
            if len(part) >= 100:
                self.cache.put_json("teacher", part)
                part = {}
        self.cache.put_json("teacher", part)

    def _read_examples(self, split: str) -> list[Example]:
        questions, candidates = self.split_questions(split), self.read_candidates(split)
        teacher: dict[str, dict[str, float]] = {}
        if split in TAUGHT:
            rationales = self._read_rationales(split, candidates)
            self._check_rationales(split, rationales)
            # by question: that keys differ is up to the teacher's key
            work = {
                question.id: key
                for key, question, _, _ in self.taught(split, candidates, rationales.kept)
            }
            stored = self.cache.get_json(work.values(), as_scores)
            lacking = [question for question, key in work.items() if key not in stored]
            if lacking:
                raise InputError(_missing("teacher scores", split, lacking, len(questions)))
            teacher = {question: stored[key] for question, key in work.items()}
        examples = [Example(q, tuple(candidates[q.id]), teacher.get(q.id)) for q in questions]
        if split != "train":
            empty = [e.question.id for e in examples if not e.candidates]
            if empty:
                rank_zero_warn(
                    f"{split}: {len(empty)} of {len(examples)} questions have no candidate: "
                    f"{empty[:5]}"
                )
            return examples
        trainable = [e for e in examples if e.teacher is not None and len(e.candidates) >= 2]
        alone = [e.question.id for e in examples if len(e.candidates) < 2]
        if alone:
            rank_zero_warn(
                f"train: {len(alone)} questions have fewer than 2 candidates, none to compare: "
                f"{alone[:5]}"
            )
        if not trainable:
            need = (
                "a rationale and at least 2 candidates"
                if self.teacher.needs_rationale
                else "at least 2 candidates"
            )
            raise InputError(
                f"train: no question has {need}, nothing to train on (found {len(examples)} "
                f"questions, {len(alone)} of them with fewer than 2 candidates, and "
                f"{len(self.corpus)} passages)"
            )
        decided = [e for e in trainable if e.teacher and len(set(e.teacher.values())) > 1]
        if self.tied_questions == "keep":
            if 2 * len(decided) < len(trainable):
                rank_zero_warn(
                    "train: the teacher scores all candidates alike for "
                    f"{len(trainable) - len(decided)} of {len(trainable)} questions, which teaches "
                    "no order (--data.init_args.tied_questions drop leaves them out): look at "
                    "rationales, retriever and teacher"
                )
            return trainable
        if not decided:
            raise InputError(
                "train: the teacher scores all candidates of every question alike, nothing to "
                "train on"
            )
        tied = len(trainable) - len(decided)
        rank_zero_info(
            f"train: {tied} of {len(questions)} questions have all candidates tied and are not "
            "trained on"
        )
        return decided

    def _check_gold(self, split: str) -> None:
        """Annotated passages that the corpus does not have cannot be found by any ranking."""
        gold = [
            (question.id, passage)
            for question in self.split_questions(split)
            for passage in question.gold
        ]
        unknown = [(question, passage) for question, passage in gold if passage not in self.corpus]
        if not unknown:
            return
        question, passage = unknown[0]
        message = (
            f"{split}: {len(unknown)} of {len(gold)} annotated passages (gold_ids) are not in the "
            f"corpus, such as {passage!r} of question {question!r}: no ranking can find them, and "
            "they count as missed"
        )
        if len(unknown) == len(gold) and self.unknown_gold == "error":
            raise InputError(
                f"{message}; are they ids of another corpus? Evaluate all the same with "
                "--data.init_args.unknown_gold keep"
            )
        rank_zero_warn(message)

    @property
    def run_seed(self) -> int:
        """``seed``, or else that of the run; the same on every process."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed

    # Loaders

    def train_dataloader(self) -> DataLoader[list[Group]]:
        """Batches of ``batch_size`` questions, each with the groups that the sampler draws for this
        epoch."""
        examples = self.examples.get("train")
        if not examples:
            raise InputError(
                f"{type(self).__name__}: there are no training questions, nothing to train on"
            )
        assert self.trainer is not None
        dataset = Groups(examples, self.corpus, self.sampler, self.run_seed)
        dataset.taken = getattr(
            getattr(self.trainer.lightning_module, "loss", None), "positives_taken", frozenset()
        )
        sampler = EpochSampler(len(examples), seed=self.run_seed, shuffle=True)
        return TrainLoader(
            self.trainer,
            dataset,
            sampler,
            eval_batch_size=self.eval_batch_size,
            student=self._resumed.get("student"),
            batch_size=self.batch_size,
            **self._options(examples),
        )

    def state_dict(self) -> dict[str, Any]:
        """What the training loader needs to go on, for the checkpoint."""
        loader = self.trainer.train_dataloader if self.trainer else None
        return {
            "seed": self.run_seed,
            **(loader.state_dict() if isinstance(loader, TrainLoader) else {}),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before = state_dict.get("seed", self.run_seed)
        if before != self.run_seed:
            rank_zero_warn(
                f"the checkpoint was trained with seed {before}, this run goes on with "
                f"{self.run_seed}: the order of the questions and their groups are other ones from "
                "here on"
            )
        self._resumed = state_dict

    def _eval_dataloader(self, split: str) -> Any:
        examples = self.examples.get(split, [])
        if not examples:
            return []
        return self._eval_loader(examples, EpochSampler(len(examples)))

    def val_dataloader(self) -> Any:
        return self._eval_dataloader("validation")

    def test_dataloader(self) -> Any:
        return self._eval_dataloader("test")

    def predict_dataloader(self) -> Any:
        return self._eval_dataloader("predict" if "predict" in self.examples else "test")

    def _eval_loader(
        self, examples: Sequence[Example], sampler: EpochSampler
    ) -> DataLoader[list[Group]]:
        dataset = Groups(examples, self.corpus, None, self.run_seed)
        return DataLoader(
            dataset, batch_size=self.eval_batch_size, sampler=sampler, **self._options(examples)
        )

    def _options(self, examples: Sequence[Example]) -> dict[str, Any]:
        """What all loaders have in common; the reranker has seen the passages of theirs."""
        assert self.trainer is not None, "loaders need a trainer, whose reranker makes the batches"
        reranker = reranker_of(self.trainer)
        used = dict.fromkeys(c.passage_id for e in examples for c in e.candidates)
        reranker.index({i: self.corpus[i] for i in used}, self.cache)
        return {
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "collate_fn": BatchMaker(reranker),
        }


def datamodule_of(trainer: L.Trainer) -> RationaleDataModule:
    """The data module that a trainer works with.

    Raises:
        InputError: it has none of this project's.
    """
    datamodule = getattr(trainer, "datamodule", None)
    if not isinstance(datamodule, RationaleDataModule):
        kind = "none" if datamodule is None else type(datamodule).__name__
        raise InputError(
            f"Trainer: datamodule: found {kind}, expected a RationaleDataModule "
            "(trainer.fit(reranker, datamodule=data))"
        )
    return datamodule


def _as_candidates(value: Any) -> list[tuple[str, float]]:
    """Ids and scores of an entry of the cache; anything else is a TypeError."""
    pairs = [(identifier, score) for identifier, score in value]
    if not all(isinstance(i, str) and isinstance(score, int | float) for i, score in pairs):
        raise TypeError("expected pairs of a passage id and a score")
    return pairs


def _only(key: str, found: Iterable[str], known: Sequence[str]) -> None:
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise InputError(f"{key}: found {', '.join(unknown)}, expected some of {', '.join(known)}")


def _own(arguments: Sequence[str]) -> list[str]:
    """Those arguments of another command that ``prepare`` has too."""
    kept: list[str] = []
    known = False
    for argument in arguments:
        if argument.startswith("-"):
            known = argument.split("=")[0].split(".")[0].rstrip("+") in OPTIONS
        if known:
            kept.append(argument)
    return kept


def _missing(
    what: str, split: str, ids: Sequence[str], total: int, why: str = "", helps: bool = True
) -> str:
    """The message for something that is missing, with the command that fills it if that
    ``helps``."""
    shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
    arguments = (
        _own(sys.argv[2:])
        if Path(sys.argv[0]).name in {"radio", "__main__.py"}
        else ["--config", "YOUR.yaml"]
    )
    command = shlex.join(["radio", "prepare", *arguments])
    lines = [f"{what} missing for {len(ids)} of {total} {split} questions: {shown}", why]
    if helps:
        lines.append(f"fill them with: {command}")
    return "\n  ".join(filter(None, lines))
