"""One pass from questions to examples: candidates, rationales, teacher scores, each step cached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from math import isfinite
from sys import intern
from typing import Any, Literal

from radio import contracts
from radio.cache import Cache
from radio.corpus import PassagesById, corpus_fingerprint, passages_of
from radio.data.checking import check_rationales, show_rationales
from radio.data.splits import TAUGHT
from radio.engines import current
from radio.fingerprints import fingerprint
from radio.rationales import QualityChecks, RationaleWriter, Request, fill
from radio.rationales.checks import Item
from radio.rationales.summary import Rationales
from radio.retrievers import Retriever
from radio.schema import (
    Candidate,
    Example,
    Missing,
    Passage,
    Question,
    Rationale,
    RetrievedPassage,
)
from radio.teachers import Lesson, Teacher, check_needs, checked_scores, teacher_key

PART = 100
"""Entries that are stored together: what a kill may cost."""

LESSONS = 1000
"""Questions that a teacher is given together: the contents of their candidates are in memory."""

Rankings = dict[str, tuple[Candidate, ...]]
"""Candidates by question id, best first."""


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
    ask retriever, writer and teacher for what the cache lacks; a kill loses little, and nothing is
    asked for twice. All other methods only read. Everything is joined by id.

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
    _candidates: dict[str, Rankings] = field(default_factory=dict, init=False)
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
        taught = [split for split in splits if split in TAUGHT]
        self.write_rationales(taught)
        for split in taught:
            rationales = self.rationales(split)
            if rationales.found and split not in self._shown:
                self._shown.add(split)
                show_rationales(split, rationales)
            self._check(split, rationales)
            self.teach(split, rationales.kept)

    def examples(self, split: str) -> list[Example]:
        """All that is known about each question of a split.

        Raises:
            Missing: the cache lacks some of it.
        """
        questions = self.questions(split)
        candidates = self.candidates(split)
        scores: dict[str, dict[str, float]] = {}
        if split in TAUGHT:
            rationales = self.rationales(split)
            self._check(split, rationales)
            keys = self._score_keys(split, rationales.kept)
            scores = self._stored_scores(keys)
            lacking = [question for question in keys if question not in scores]
            if lacking:
                raise Missing("teacher scores", split, lacking, len(questions))
        examples = []
        for question in questions:
            examples.append(Example(question, candidates[question.id], scores.get(question.id)))
        return examples

    def _check(self, split: str, rationales: Rationales) -> None:
        # elsewhere a question without one only lacks the metrics against the teacher
        if split == "train" and self.teacher.needs_rationale:
            check_rationales(split, rationales, self.writer, self.settings.missing_rationales)

    # Candidates

    @cached_property
    def corpus_fingerprint(self) -> str:
        """What the keys of candidates and scores say of the corpus: which text each id names."""
        return corpus_fingerprint(self.corpus)

    def candidate_keys(self, split: str) -> list[str]:
        """Keys under which the candidates of each question of a split are cached, in their
        order."""
        if self.retriever.learns:
            self.retriever.learn(self.questions("train"))
        retriever, corpus = self.retriever.fingerprint(), self.corpus_fingerprint
        parts = ["candidates", retriever, corpus, self._depth(split)]
        if self._keeps_injected(split):
            parts.append("injected")
        keys = []
        for question in self.questions(split):
            keys.append(fingerprint([*parts, question.id, self.retriever.asked(question)]))
        return keys

    def _depth(self, split: str) -> int:
        """How many candidates each question of a split has."""
        if split == "train":
            return self.settings.train_candidates
        return self.settings.eval_candidates

    def _keeps_injected(self, split: str) -> bool:
        injected = self.settings.injected
        return injected == "always" or (injected == "train" and split == "train")

    def find_candidates(self, split: str) -> None:
        """Ask the retriever for the candidates that the cache lacks."""
        keys = self.candidate_keys(split)
        missing = set(self.cache.missing(keys))
        asked: dict[str, Question] = {}
        for key, question in zip(keys, self.questions(split), strict=True):
            if key in missing:
                asked[key] = question
        if asked:
            self._store("candidates", self._retrieved(split, asked))

    def _retrieved(
        self, split: str, asked: Mapping[str, Question]
    ) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Ids and scores of the candidates for each key, as the retriever finds them."""
        from tqdm import tqdm

        self.retriever.index(self.corpus, self.cache)
        questions, depth = list(asked.values()), self._depth(split)
        found = self.retriever.search(questions, depth)
        rankings = contracts.candidates(self.retriever, questions, found, depth, self.corpus)
        shown = tqdm(rankings, total=len(asked), desc=f"{split}: retrieve", unit="question")
        for key, ranking in zip(asked, shown, strict=True):
            kept = []
            for candidate in ranking:
                if self._keeps_injected(split) or not candidate.injected:
                    kept.append((candidate.passage_id, candidate.score))
            yield key, kept

    def candidates(self, split: str) -> Rankings:
        """Candidates of each question of a split, best first, by question id.

        Raises:
            Missing: the cache lacks some.
        """
        if split not in self._candidates:
            self._candidates[split] = self._read_candidates(split)
        return self._candidates[split]

    def _read_candidates(self, split: str) -> Rankings:
        questions, keys = self.questions(split), self.candidate_keys(split)
        stored = self.cache.get_json(keys, _as_candidates)
        lacking = []
        candidates: Rankings = {}
        for question, key in zip(questions, keys, strict=True):
            if key in stored:
                candidates[question.id] = stored[key]
            else:
                lacking.append(question.id)
        if lacking:
            raise Missing("candidates", split, lacking, len(questions))
        return candidates

    def _passages(self, candidates: Sequence[Candidate]) -> Sequence[Passage]:
        """Their passages, read when they are asked for: those of a split fill the memory."""
        return PassagesById(self.corpus, [found.passage_id for found in candidates])

    # Rationales

    def requests(self, split: str) -> list[Request]:
        """What to ask the writer for each question of a split; nothing if the teacher needs no
        rationale."""
        if self.writer is None or not self.teacher.needs_rationale:
            return []
        candidates = self.candidates(split)
        requests = []
        for question in self.questions(split):
            shown = self._passages(candidates[question.id][: self.writer.passages_shown])
            requests.append(Request(self.writer.key(question, shown), question, shown))
        return requests

    def write_rationales(self, splits: Sequence[str]) -> None:
        """Ask the writer for the rationales that the cache lacks; each is stored as soon as it is
        there."""
        requests: list[Request] = []
        for split in splits:
            if split in self.settings.rationale_splits:
                requests += self.requests(split)
        if requests and self.writer is not None:
            failures = self.cache.path.parent / "failures.jsonl"
            fill(self.writer, requests, self.cache, failures, "rationales")

    def written(self, split: str) -> dict[str, Rationale]:
        """All rationales that the cache has, by question id, whether or not they pass the
        filters."""
        if self.writer is None:
            return {}
        return self.writer.stored(self.requests(split), self.cache)

    def to_check(self, split: str, rationales: Mapping[str, Rationale]) -> list[Item]:
        """Question, rationale and candidates of each of these rationales, as the checks take
        them."""
        candidates = self.candidates(split)
        items: list[Item] = []
        for question in self.questions(split):
            if question.id in rationales:
                passages = self._passages(candidates[question.id])
                items.append((question, rationales[question.id], passages))
        return items

    def rationales(self, split: str) -> Rationales:
        """The rationales that the cache has, and which of them the filters leave out."""
        found = self.written(split)
        items = self.to_check(split, found)
        failed = self.checks.run(items, self.cache, self.settings.rationale_filters)
        asked = [question.id for question, _, _ in items]
        failed = contracts.failed_checks(self.checks, failed, asked)
        return Rationales(self.questions(split), found, failed)

    # Teacher scores

    def lessons(
        self, split: str, rationales: Mapping[str, Rationale]
    ) -> Iterator[tuple[str, Lesson]]:
        """Cache key and lesson of each question that can be taught, each when it is asked for."""
        keys = self._score_keys(split, rationales)
        asked = [question for question in self.questions(split) if question.id in keys]
        for lesson in chain.from_iterable(self._lessons(split, asked, rationales)):
            yield keys[lesson.question.id], lesson

    def _lessons(
        self, split: str, questions: Sequence[Question], rationales: Mapping[str, Rationale]
    ) -> Iterator[list[Lesson]]:
        """The lessons of questions, so many at a time; what they share is read once."""
        candidates = self.candidates(split)
        for start in range(0, len(questions), LESSONS):
            some = questions[start : start + LESSONS]
            ids = {found.passage_id for one in some for found in candidates[one.id]}
            texts = passages_of(self.corpus, ids)
            lessons = []
            for question in some:
                shown = []
                for c in candidates[question.id]:
                    text = texts[c.passage_id].contents
                    shown.append(RetrievedPassage(c.passage_id, text, c.rank, c.score))
                lessons.append(Lesson(question, rationales.get(question.id), shown))
            yield lessons

    def teach(self, split: str, rationales: Mapping[str, Rationale]) -> None:
        """Ask the teacher for the scores that the cache lacks, and let it free what it loaded."""
        keys = self._score_keys(split, rationales)
        missing = set(self.cache.missing(list(keys.values())))
        asked: dict[str, Question] = {}
        for question in self.questions(split):
            if keys.get(question.id) in missing:
                # at once, not when its turn comes after hours
                check_needs(self.teacher, question, rationales.get(question.id))
                asked[keys[question.id]] = question
        if not asked:
            return
        try:
            self._store("teacher", self._taught(split, asked, rationales))
        finally:
            self.teacher.release()

    def _taught(
        self, split: str, asked: Mapping[str, Question], rationales: Mapping[str, Rationale]
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """The scores for each key, passage id -> score, as the teacher gives them."""
        from tqdm import tqdm

        keys = iter(asked)
        parts = partial(self._lessons, split, list(asked.values()), rationales)
        if current().elsewhere:
            self.teacher.prefetch(parts, self.cache)
        with tqdm(total=len(asked), desc=f"{split}: teacher", unit="question") as bar:
            for lessons in parts():
                scored = checked_scores(self.teacher, lessons, self.cache)
                for lesson, scores in zip(lessons, scored, strict=True):
                    ids = [passage.id for passage in lesson.passages]
                    yield next(keys), dict(zip(ids, scores, strict=True))
                    bar.update()

    def scores(
        self, split: str, rationales: Mapping[str, Rationale]
    ) -> dict[str, dict[str, float]]:
        """The teacher's scores that the cache has for these rationales: question id -> passage id
        -> [0, 1]."""
        return self._stored_scores(self._score_keys(split, rationales))

    def _score_keys(self, split: str, rationales: Mapping[str, Rationale]) -> dict[str, str]:
        """Question id -> key of its teacher scores, of those that can be taught."""
        teacher, corpus = self.teacher.fingerprint(), self.corpus_fingerprint
        candidates = self.candidates(split)
        keys = {}
        for question in self.questions(split):
            rationale = rationales.get(question.id)
            if rationale is None and self.teacher.needs_rationale:
                continue
            found = candidates[question.id]
            if found:
                # no text is read: what the ids name is in the fingerprint of the corpus
                shown = [RetrievedPassage(c.passage_id, "", c.rank, c.score) for c in found]
                keys[question.id] = teacher_key(teacher, corpus, question, rationale, shown)
        return keys

    def _stored_scores(self, keys: Mapping[str, str]) -> dict[str, dict[str, float]]:
        stored = self.cache.get_json(keys.values(), _as_scores)
        return {question: stored[key] for question, key in keys.items() if key in stored}

    # The cache

    def _store(self, kind: str, entries: Iterable[tuple[str, Any]]) -> None:
        """Store entries as they come, a part at a time."""
        part: dict[str, Any] = {}
        for key, value in entries:
            part[key] = value
            if len(part) == PART:
                self.cache.put_json(kind, part)
                part = {}
        self.cache.put_json(kind, part)


def _as_candidates(value: Any) -> tuple[Candidate, ...]:
    """The ranking of an entry of the cache; anything else is a TypeError."""
    found = []
    for rank, (identifier, score) in enumerate(value):
        if not isinstance(identifier, str) or not isinstance(score, (int, float)):
            raise TypeError("expected pairs of a passage id and a score")
        # the same id is read for many questions, and kept once
        found.append(Candidate(intern(identifier), rank, score))
    return tuple(found)


def _as_scores(value: Any) -> dict[str, float]:
    """A teacher's scores, passage id -> [0, 1], of an entry of the cache; anything else is a
    TypeError."""
    scores = value.values() if isinstance(value, dict) else [None]
    for score in scores:
        if not isinstance(score, (int, float)) or not isfinite(score):
            raise TypeError("expected an object of passage ids and finite scores")
    return {intern(identifier): score for identifier, score in value.items()}
