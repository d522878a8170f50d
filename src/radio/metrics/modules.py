"""The metrics for a LightningModule of your own: each keeps a value per question.

    self.em = ExactMatch()
    ...
    self.em.update(question_ids, answers, golden_answers)
    self.log("validation/em", self.em)

Or ``compute()`` for the mean, and ``values()`` for those of the questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from torch import Tensor

from radio.metrics.answers import answer_in_context, answer_in_output, exact_match, f1
from radio.metrics.base import QuestionMetric
from radio.metrics.choices import (
    Average,
    CategoryMap,
    Group,
    by_category,
    choice_accuracy,
    evidence_group,
    golden_label,
    label_accuracy,
    macro_f1,
)
from radio.metrics.ranking import ranking_metrics
from radio.metrics.support import SUPPORT_METRICS, support_metrics
from radio.text import findable

Answers = Sequence[str | None]
"""One for each question; None could not be parsed and counts 0."""

Golden = Sequence[Sequence[str]]
"""Golden answers of each question."""


class AnswerMetric(QuestionMetric):
    """A metric of answers, as :attr:`judge` judges each of them."""

    judge: Callable[[str, Sequence[str]], float]

    def update(self, question_ids: Sequence[str], answers: Answers, golden_answers: Golden) -> None:
        """Judge the answer to each question by its golden answers."""
        values = []
        for answer, golden in zip(answers, golden_answers, strict=True):
            values.append(0.0 if answer is None else self.judge(answer, golden))
        self.add(question_ids, values)


class ExactMatch(AnswerMetric):
    """:func:`radio.metrics.answers.exact_match`."""

    name = "em"
    judge = staticmethod(exact_match)


class TokenF1(AnswerMetric):
    """:func:`radio.metrics.answers.f1`."""

    name = "f1"
    judge = staticmethod(f1)


class AnswerInOutput(AnswerMetric):
    """:func:`radio.metrics.answers.answer_in_output`, of the replies as they came."""

    name = "answer_in_output"
    judge = staticmethod(answer_in_output)


class AnswerInContext(QuestionMetric):
    """:func:`radio.metrics.answers.answer_in_context`, of the questions whose answers a passage can
    contain; a verdict has no value.

    Args:
        k: how many passages count, from the first; None takes all.
        kwargs: arguments of :class:`radio.metrics.base.QuestionMetric`.
    """

    def __init__(self, k: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k
        self.name = "answer_in_context" + ("" if k is None else f"@{k}")

    def update(
        self,
        question_ids: Sequence[str],
        passages: Sequence[Sequence[str]],
        golden_answers: Golden,
    ) -> None:
        """Look for the golden answers of each question in its passages, best first."""
        ids, values = [], []
        for question_id, texts, golden in zip(question_ids, passages, golden_answers, strict=True):
            if findable(golden):
                ids.append(question_id)
                values.append(answer_in_context(texts[: self.k], golden))
        self.add(ids, values)


class ChoiceAccuracy(QuestionMetric):
    """:func:`radio.metrics.choices.choice_accuracy`; over all questions, by subject, by category.

    Args:
        categories: the map from MMLU's subjects to its categories
            (:func:`radio.metrics.choices.category_of`).
        kwargs: arguments of :class:`radio.metrics.base.QuestionMetric`.
    """

    name = "accuracy"

    def __init__(self, categories: CategoryMap = "radio", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.categories: CategoryMap = categories

    def update(
        self,
        question_ids: Sequence[str],
        answers: Answers,
        golden_answers: Golden,
        choices: Sequence[Sequence[str]],
        subjects: Sequence[str] | None = None,
    ) -> None:
        """Judge the answer to each question; answers and golden answers are texts of choices."""
        judged = zip(answers, golden_answers, choices, strict=True)
        values = [choice_accuracy(answer, golden, texts) for answer, golden, texts in judged]
        facts = None if subjects is None else [{"subject": subject} for subject in subjects]
        self.add(question_ids, values, facts)

    def by_subject(self) -> dict[str, Group]:
        """Accuracy and number of questions; all processes must call it."""
        return self.by("subject")

    def by_category(self, average: Average = "micro") -> dict[str, Group]:
        """Accuracy and number of questions; all processes must call it.

        Args:
            average: ``micro``, the mean over the questions of a category, as RADIO published it, or
                ``macro``, the mean over its subjects, as REPLUG did.
        """
        return by_category(self.by_subject(), self.categories, average)


class LabelAccuracy(QuestionMetric):
    """:func:`radio.metrics.choices.label_accuracy`; with and without evidence among the passages
    read."""

    name = "accuracy"

    def update(
        self,
        question_ids: Sequence[str],
        answers: Answers,
        golden_answers: Golden,
        evidence: Sequence[bool] | None = None,
    ) -> None:
        """Judge each label; ``evidence`` says whether an annotated passage was read."""
        judged = zip(answers, golden_answers, strict=True)
        values = [label_accuracy(answer, golden) for answer, golden in judged]
        self.add(question_ids, values, _of_evidence(evidence))

    def by_evidence(self) -> dict[str, Group]:
        """Accuracy and number of questions ``with evidence`` and ``without evidence``; all
        processes must call it."""
        return self.by("evidence")


class LabelMacroF1(QuestionMetric):
    """:func:`radio.metrics.choices.macro_f1` of all questions together; the value of a question is
    its accuracy."""

    name = "macro_f1"

    def update(
        self,
        question_ids: Sequence[str],
        answers: Answers,
        golden_answers: Golden,
        evidence: Sequence[bool] | None = None,
    ) -> None:
        """Keep each label beside the golden one."""
        values, facts = [], []
        kept = _of_evidence(evidence) or [{}] * len(question_ids)
        for answer, golden, fact in zip(answers, golden_answers, kept, strict=True):
            value = label_accuracy(answer, golden)
            values.append(value)
            facts.append({**fact, "found": answer, "golden": golden_label(answer, golden)})
        self.add(question_ids, values, facts)

    def compute(self) -> Tensor:
        return self._number(_macro_f1([facts for _, facts in self._rows().values()]))

    def by_evidence(self) -> dict[str, Group]:
        """As :meth:`LabelAccuracy.by_evidence`."""
        with self._all_processes():
            rows = self._rows()
        groups: dict[str, list[dict[str, Any]]] = {}
        for _, facts in rows.values():
            if "evidence" in facts:
                groups.setdefault(facts["evidence"], []).append(facts)
        return {group: (_macro_f1(groups[group]), len(groups[group])) for group in sorted(groups)}


def _macro_f1(facts: Sequence[dict[str, Any]]) -> float:
    # one order, whatever the processes: sums of F1 are by label
    return macro_f1([fact["found"] for fact in facts], [fact["golden"] for fact in facts])


def _of_evidence(evidence: Sequence[bool] | None) -> list[dict[str, str]] | None:
    if evidence is None:
        return None
    return [{"evidence": evidence_group(found)} for found in evidence]


class Support(QuestionMetric):
    """:func:`radio.metrics.support.support_metrics`, of the questions with supporting passages.

    Args:
        name: ``support_precision``, ``support_recall``, ``support_f1`` or ``all_hops``.
        k: how many of the passages given count, from the first; None takes all.
        kwargs: arguments of :class:`radio.metrics.base.QuestionMetric`.
    """

    def __init__(self, name: str = "support_f1", k: int | None = None, **kwargs: Any) -> None:
        if name not in SUPPORT_METRICS:
            raise ValueError(f"Support: name: found {name!r}, expected one of {SUPPORT_METRICS}")
        super().__init__(**kwargs)
        self.measure = name
        self.k = k
        self.name = name + ("" if k is None else f"@{k}")

    def update(
        self,
        question_ids: Sequence[str],
        read: Sequence[Sequence[str]],
        supporting: Sequence[Collection[str]],
    ) -> None:
        """Compare the ids of the passages read, best first, with those that support the answer."""
        ids, values = [], []
        for question_id, given, wanted in zip(question_ids, read, supporting, strict=True):
            found = support_metrics(given[: self.k], wanted)
            if found:
                ids.append(question_id)
                values.append(found[self.measure])
        self.add(ids, values)


class Ranking(QuestionMetric):
    """A metric of :func:`radio.metrics.ranking.ranking_metrics` by its name.

    Args:
        name: ``RR``, ``RR@10``, ``nDCG@5``, ``R@5``, ``P@1``; any k.
        kwargs: arguments of :class:`radio.metrics.base.QuestionMetric`.
    """

    def __init__(self, name: str = "nDCG@5", **kwargs: Any) -> None:
        ranking_metrics([], [name])
        super().__init__(**kwargs)
        self.name = name

    def update(
        self,
        question_ids: Sequence[str],
        relevance: Sequence[Sequence[float]],
        missed: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Gains of each question's candidates in ranked order, all of them, and of the relevant
        passages that are no candidates."""
        values = []
        for gains, others in zip(relevance, missed or [()] * len(relevance), strict=True):
            if not all(map(math.isfinite, (*gains, *others))):
                raise ValueError(f"Ranking: relevance: found {list(gains)}, expected finite gains")
            values.append(ranking_metrics(gains, [self.name], others)[self.name])
        self.add(question_ids, values)
