"""The scores of any teacher for the questions of a split, as ``radio prepare`` would store them."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from radio.data.prepare import Preparation
from radio.schema import Question, Rationale, Run
from radio.teachers import GoldPassages, Teacher, checked_scores


@dataclass(frozen=True, slots=True)
class Scored:
    """What a teacher made of a split."""

    scores: Run
    """Question id -> passage id -> score."""
    left_out: Mapping[str, str]
    """Why, of the questions that it cannot score."""
    cached: int
    """Questions whose scores were in the cache before."""
    seconds: float
    """That the others took; 0 where there were none."""


class Scoring:
    """Has teachers score the candidates of one split.

    What is stored is what a later ``radio fit`` with the same teacher finds.

    Args:
        preparation: of the data module; its own teacher is none of these, and is not asked.
        split: whose questions.
    """

    def __init__(self, preparation: Preparation, split: str) -> None:
        preparation.find_candidates(split)
        self.split = split
        self.questions = preparation.questions(split)
        self.candidates = preparation.candidates(split)
        self._preparation = preparation
        self._rationales: Mapping[str, Rationale] | None = None

    def score(self, teacher: Teacher) -> Scored:
        """The scores of a teacher; the cache is asked before the teacher is.

        Raises:
            InputError: the teacher gave something else than a number in [0, 1] for each passage.
        """
        part, left_out = self._part(teacher)
        rationales = self._rationales_for(teacher)
        cached = len(part.scores(self.split, rationales))
        begin = time.monotonic()
        asked = cached < len(self.questions) - len(left_out)
        if asked:
            part.teach(self.split, rationales)
            teacher.release()
        seconds = time.monotonic() - begin if asked else 0.0
        return Scored(part.scores(self.split, rationales), left_out, cached, seconds)

    def raw(self, teacher: Teacher) -> Run:
        """The scores of a part of a blend, on whatever scale: from the cache where it has them, and
        not stored, since a later ``radio fit`` takes scores in [0, 1] alone."""
        part, left_out = self._part(teacher)
        rationales = self._rationales_for(teacher)
        stored = part.scores(self.split, rationales)
        if len(stored) == len(self.questions) - len(left_out):
            return stored
        lessons = [lesson for _, lesson in part.lessons(self.split, rationales)]
        scored = checked_scores(teacher, lessons, part.cache, unit=False)
        found: Run = {}
        for lesson, scores in zip(lessons, scored, strict=True):
            ids = [passage.id for passage in lesson.passages]
            found[lesson.question.id] = dict(zip(ids, scores, strict=True))
        teacher.release()
        return found

    def _part(self, teacher: Teacher) -> tuple[Preparation, dict[str, str]]:
        """What scores those questions that the teacher can, and why it cannot score the others."""
        left_out = dict(self._lacking(teacher))
        able = [question for question in self.questions if question.id not in left_out]
        # a copy shares what was read of candidates and corpus
        part = copy.copy(self._preparation)
        part.teacher = teacher
        others = self._preparation.questions
        part.questions = lambda split: able if split == self.split else others(split)
        return part, left_out

    def _lacking(self, teacher: Teacher) -> Iterator[tuple[str, str]]:
        rationales = self._rationales_for(teacher)
        for question in self.questions:
            if not self.candidates[question.id]:
                yield question.id, "no candidates"
            elif teacher.needs_answers and not question.golden_answers:
                yield question.id, "no golden answers"
            elif teacher.needs_rationale and question.id not in rationales:
                yield question.id, "no rationale"
            elif isinstance(teacher, GoldPassages) and not is_annotated(question):
                yield question.id, "no annotated passages"

    def _rationales_for(self, teacher: Teacher) -> Mapping[str, Rationale]:
        """Those that pass the filters; what the cache lacks is asked for, as by ``radio prepare``.

        They are the same for all teachers that read them.
        """
        if not teacher.needs_rationale:
            return {}
        if self._rationales is None:
            part = copy.copy(self._preparation)
            part.teacher = teacher
            part.write_rationales([self.split])
            self._rationales = part.rationales(self.split).kept
        return self._rationales


def is_annotated(question: Question) -> bool:
    """Whether it is known which passages support its answer."""
    return bool(question.gold)
