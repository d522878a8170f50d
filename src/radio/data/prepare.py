"""One pass from questions to examples: candidates, rationales, teacher scores, each step cached."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from sys import intern
from typing import Any, Literal

from radio import contracts
from radio.cache import Cache
from radio.corpus import PassagesById, corpus_fingerprint, passages_of
from radio.data.checking import check_rationales, show_rationales
from radio.data.splits import TAUGHT
from radio.data.tables import (
    CandidateTable,
    Examples,
    ScoreTable,
    Taught,
    home_of,
    lacking,
    open_table,
    rows,
    stored,
)
from radio.data.written import Items, RationaleTable, written
from radio.engines import current
from radio.fingerprints import fingerprint
from radio.mapped import Picked, batches
from radio.mapped_files import Row
from radio.rationales import QualityChecks, RationaleWriter, Request, fill
from radio.rationales.summary import Rationales
from radio.retrievers import Retriever
from radio.schema import Candidate, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import Lesson, Teacher, check_needs, checked_scores, teacher_key

PART = 100
"""Entries that are stored together: what a kill may cost."""

LESSONS = 1000
"""Questions that a teacher is given together: the contents of their candidates are in memory."""


@dataclass(frozen=True)
class Settings:
    """What is prepared; the settings of :class:`radio.data.module.RationaleDataModule` of the same
    names."""

    train_candidates: int
    eval_candidates: int
    injected: Literal["never", "train", "always"]
    rationale_splits: Sequence[str]
    rationale_filters: Sequence[str]
    missing_rationales: Literal["error", "drop"]


@dataclass(eq=False)
class Preparation:
    """Obtains and reads what a reranker learns from and is measured on.

    :meth:`fill` and its steps (:meth:`find_candidates`, :meth:`write_rationales`, :meth:`teach`)
    ask for what the cache lacks; a kill loses little, and nothing is asked for twice. All other
    methods only read. Everything is joined by id.

    Args:
        questions: gives those of a split.
        corpus: the passages by id.
        cache: where everything is kept.
        retriever: finds the candidates.
        writer: writes or reads the rationales; None where the teacher needs none.
        checks: make the filters that a rationale must pass.
        teacher: scores the candidates.
        settings: what is prepared.
    """

    questions: Callable[[str], Sequence[Question]]
    corpus: Mapping[str, Passage]
    cache: Cache
    retriever: Retriever
    writer: RationaleWriter | None
    checks: QualityChecks
    teacher: Teacher
    settings: Settings
    _candidates: dict[str, CandidateTable] = field(default_factory=dict, init=False)
    _written: dict[str, RationaleTable] = field(default_factory=dict, init=False)
    _shown: set[str] = field(default_factory=set, init=False)

    # The whole pass

    def fill(self, splits: Sequence[str]) -> None:
        """Obtain what the cache lacks of these splits.

        Raises:
            InputError: training questions lack their rationale, or a part of the user's own
                returned what it may not.
        """
        for split in splits:
            self.find_candidates(split)
        self.retriever.release()
        taught = [split for split in splits if split in TAUGHT]
        self.write_rationales(taught)
        for split in taught:
            rationales = self.rationales(split)
            if rationales.found and split not in self._shown:
                self._shown.add(split)
                show_rationales(split, rationales)
            self._check(split, rationales)
            home = self._score_home(split, rationales.kept)
            if not home.is_dir():
                self.teach(split, rationales.kept)
            # made here, since one process fills and many read
            self._score_table(home, split, rationales.kept)

    def examples(self, split: str) -> Examples:
        """All that is known about each question of a split.

        Raises:
            Missing: the cache lacks some of it.
        """
        candidates = self.candidates(split)
        scores: Taught = {}
        if split in TAUGHT:
            rationales = self.rationales(split)
            self._check(split, rationales)
            home = self._score_home(split, rationales.kept)
            scores = self._score_table(home, split, rationales.kept)
        return Examples(self.questions(split), candidates, scores)

    def _check(self, split: str, rationales: Rationales) -> None:
        # elsewhere a question without one only lacks the metrics against the teacher
        if split == "train" and self.teacher.needs_rationale:
            check_rationales(split, rationales, self.writer, self.settings.missing_rationales)

    # Candidates

    @cached_property
    def corpus_fingerprint(self) -> str:
        """What the keys of candidates and scores say of the corpus: which text each id names."""
        return corpus_fingerprint(self.corpus)

    def candidate_keys(self, split: str) -> Iterator[str]:
        """Keys under which the candidates of each question of a split are cached, in their
        order."""
        return map(self._candidate_key(split), self.questions(split))

    def _candidate_key(self, split: str) -> Callable[[Question], str]:
        """What gives the key of a question of a split."""
        if self.retriever.learns:
            self.retriever.learn(self.questions("train"))
        retriever, corpus = self.retriever.fingerprint(), self.corpus_fingerprint
        parts = ["candidates", retriever, corpus, self._depth(split)]
        if self._keeps_injected(split):
            parts.append("injected")
        return lambda question: fingerprint([*parts, question.id, self.retriever.asked(question)])

    def _depth(self, split: str) -> int:
        """How many candidates each question of a split has."""
        settings = self.settings
        return settings.train_candidates if split == "train" else settings.eval_candidates

    def _keeps_injected(self, split: str) -> bool:
        injected = self.settings.injected
        return injected == "always" or (injected == "train" and split == "train")

    def find_candidates(self, split: str) -> None:
        """Ask the retriever for the candidates that the cache lacks."""
        asked = lacking(self.cache, self.questions(split), self.candidate_keys(split))
        if asked:
            self._store("candidates", self._retrieved(split, asked))

    def _retrieved(
        self, split: str, asked: Sequence[Question]
    ) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Key, ids and scores of the candidates of each question, as the retriever finds them."""
        from tqdm import tqdm

        self.retriever.index(self.corpus, self.cache)
        depth, key_of = self._depth(split), self._candidate_key(split)
        found = self.retriever.search(asked, depth)
        rankings = contracts.candidates(self.retriever, asked, found, depth, self.corpus)
        shown = tqdm(rankings, total=len(asked), desc=f"{split}: retrieve", unit="question")
        for question, ranking in zip(asked, shown, strict=True):
            kept = []
            for candidate in ranking:
                if self._keeps_injected(split) or not candidate.injected:
                    kept.append((candidate.passage_id, candidate.score))
            yield key_of(question), kept

    def candidates(self, split: str) -> CandidateTable:
        """Candidates of each question of a split, best first, by question id.

        Raises:
            Missing: the cache lacks some.
        """
        if split not in self._candidates:
            questions = self.questions(split)

            def found() -> Iterator[Row]:
                keys, whole = self.candidate_keys(split), len(questions)
                return rows(CandidateTable, self.cache, questions, keys, split, whole)

            home = home_of(CandidateTable, self.cache.path.parent, self.candidate_keys(split))
            self._candidates[split] = open_table(CandidateTable, home, found)
        return self._candidates[split]

    def _passages(self, candidates: Sequence[Candidate]) -> Sequence[Passage]:
        """Their passages, read when they are asked for: those of a split fill the memory."""
        # a passage is among those of many questions, its id kept once
        return PassagesById(self.corpus, [intern(found.passage_id) for found in candidates])

    # Rationales

    def requests(self, split: str) -> Iterator[Request]:
        """What to ask the writer for each question of a split, if the teacher needs rationales."""
        if self.writer is None or not self.teacher.needs_rationale:
            return
        candidates = self.candidates(split)
        for question in self.questions(split):
            shown = self._passages(candidates[question.id][: self.writer.passages_shown])
            yield Request(self.writer.key(question, shown), question, shown)

    def write_rationales(self, splits: Sequence[str]) -> None:
        """Ask the writer for the rationales that the cache lacks; each is stored at once."""
        requests: list[Request] = []
        for split in splits:
            self._written.pop(split, None)
            if split in self.settings.rationale_splits:
                requests += self.requests(split)
        if requests and self.writer is not None:
            failures = self.cache.path.parent / "failures.jsonl"
            fill(self.writer, requests, self.cache, failures, "rationales")

    def written(self, split: str) -> Mapping[str, Rationale]:
        """All rationales that there are, by question id, whether or not they pass the filters."""
        if self.writer is None or not self.teacher.needs_rationale:
            return {}
        if split not in self._written:
            requests = partial(self.requests, split)
            self._written[split] = written(self.writer, requests, self.cache)
        return self._written[split]

    def to_check(self, split: str, rationales: Mapping[str, Rationale]) -> Items:
        """Question, rationale and candidates of each of these rationales, as the checks take
        them."""
        candidates = self.candidates(split)
        return Items(
            self.questions(split), rationales, lambda one: self._passages(candidates[one.id])
        )

    def rationales(self, split: str) -> Rationales:
        """The rationales that there are, and which of them the filters leave out."""
        found = self.written(split)
        items = self.to_check(split, found)
        failed = self.checks.run(items, self.cache, self.settings.rationale_filters)
        asked = (question.id for question in items.questions)
        failed = contracts.failed_checks(self.checks, failed, asked)
        # most fail none, and need no room
        failed = {name: checks for name, checks in failed.items() if checks}
        return Rationales(self.questions(split), found, failed)

    # Teacher scores

    def lessons(
        self, split: str, rationales: Mapping[str, Rationale]
    ) -> Iterator[tuple[str, Lesson]]:
        """Cache key and lesson of each question that can be taught, each when it is asked for."""
        key_of, able = self._lesson_key(), self._able(split, rationales)
        for lesson in chain.from_iterable(self._lessons(split, able, rationales)):
            yield key_of(lesson), lesson

    def _lessons(
        self, split: str, questions: Sequence[Question], rationales: Mapping[str, Rationale]
    ) -> Iterator[list[Lesson]]:
        """The lessons of questions, so many at a time; what they share is read once."""
        candidates = self.candidates(split)
        for start in range(0, len(questions), LESSONS):
            some = questions[start : start + LESSONS]
            found = [candidates[question.id] for question in some]
            ids = {candidate.passage_id for own in found for candidate in own}
            texts = passages_of(self.corpus, ids)
            lessons = []
            for question, own in zip(some, found, strict=True):
                shown = []
                for c in own:
                    text = texts[c.passage_id].contents
                    shown.append(RetrievedPassage(c.passage_id, text, c.rank, c.score))
                lessons.append(Lesson(question, rationales.get(question.id), shown))
            yield lessons

    def teach(self, split: str, rationales: Mapping[str, Rationale]) -> None:
        """Ask the teacher for the scores that the cache lacks, and let it free what it loaded."""
        able = self._able(split, rationales)
        asked = lacking(self.cache, able, self._score_keys(split, able, rationales))
        for question in asked:
            # at once, not when its turn comes after hours
            check_needs(self.teacher, question, rationales.get(question.id))
        if not asked:
            return
        try:
            self._store("teacher", self._taught(split, asked, rationales))
        finally:
            self.teacher.release()

    def _taught(
        self, split: str, asked: Sequence[Question], rationales: Mapping[str, Rationale]
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """The scores for each key, passage id -> score, as the teacher gives them."""
        from tqdm import tqdm

        key_of = self._lesson_key()
        parts = partial(self._lessons, split, asked, rationales)
        if current().elsewhere:
            self.teacher.prefetch(parts, self.cache)
        with tqdm(total=len(asked), desc=f"{split}: teacher", unit="question") as bar:
            for lessons in parts():
                scored = checked_scores(self.teacher, lessons, self.cache)
                for lesson, scores in zip(lessons, scored, strict=True):
                    ids = [passage.id for passage in lesson.passages]
                    yield key_of(lesson), dict(zip(ids, scores, strict=True))
                    bar.update()

    def scores(
        self, split: str, rationales: Mapping[str, Rationale]
    ) -> dict[str, dict[str, float]]:
        """The teacher's scores that the cache has for these rationales: question id -> passage id
        -> [0, 1]."""
        found, able = {}, self._able(split, rationales)
        keys = self._score_keys(split, able, rationales)
        for question, scores in stored(self.cache, able, keys, ScoreTable.parse):
            if scores is not None:
                found[question.id] = scores
        return found

    def _score_table(
        self, home: Path, split: str, rationales: Mapping[str, Rationale]
    ) -> ScoreTable:
        """The teacher's scores of all that can be taught; Missing if the cache lacks some."""

        def found() -> Iterator[Row]:
            able = self._able(split, rationales)
            keys = self._score_keys(split, able, rationales)
            return rows(ScoreTable, self.cache, able, keys, split, len(self.questions(split)))

        return open_table(ScoreTable, home, found)

    def _score_home(self, split: str, rationales: Mapping[str, Rationale]) -> Path:
        """Where they lie: named by all that their keys depend on, and sooner known than those."""
        candidates = self.candidates(split).fingerprint

        def parts() -> Iterator[str]:
            yield fingerprint([self.teacher.fingerprint(), self.corpus_fingerprint, candidates])
            for question in self.questions(split):
                rationale = rationales.get(question.id)
                said = rationale.content if rationale else None
                yield fingerprint([question.id, question.content, said])

        return home_of(ScoreTable, self.cache.path.parent, parts())

    def _lesson_key(self) -> Callable[[Lesson], str]:
        """What gives the key of the scores of a lesson."""
        teacher, corpus = self.teacher.fingerprint(), self.corpus_fingerprint
        return lambda one: teacher_key(teacher, corpus, one.question, one.rationale, one.passages)

    def _able(self, split: str, rationales: Mapping[str, Rationale]) -> Sequence[Question]:
        """The questions that can be taught."""
        questions, candidates = self.questions(split), self.candidates(split)
        places = array("q")
        for place, question in enumerate(questions):
            lacks = self.teacher.needs_rationale and question.id not in rationales
            if not lacks and candidates.has(question.id):
                places.append(place)
        return Picked(questions, places)

    def _score_keys(
        self, split: str, questions: Sequence[Question], rationales: Mapping[str, Rationale]
    ) -> Iterator[str]:
        """The keys of the teacher scores of questions."""
        key_of, candidates = self._lesson_key(), self.candidates(split)
        for question in questions:
            found = candidates[question.id]
            # no text is read: what the ids name is in the fingerprint of the corpus
            shown = [RetrievedPassage(c.passage_id, "", c.rank, c.score) for c in found]
            yield key_of(Lesson(question, rationales.get(question.id), shown))

    # The cache

    def _store(self, kind: str, entries: Iterable[tuple[str, Any]]) -> None:
        """Store entries as they come, a part at a time."""
        for part in batches(entries, PART):
            self.cache.put_json(kind, dict(part))
