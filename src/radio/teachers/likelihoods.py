"""Teachers by how likely a language model finds the golden answers when it reads one passage."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, log1p
from typing import Literal

from radio.llm.base import LanguageModel, Likelihood
from radio.normalising import min_max
from radio.ranges import check
from radio.schema import InputError
from radio.teachers.base import Lesson
from radio.teachers.reading import (
    Golds,
    Prompts,
    ReadingTeacher,
    Reduction,
    Text,
    check_choice,
    log_probability,
    pooled,
)

Contrast = Literal["infogain", "gainrag"]
"""What is compared: probabilities, or the logits of each token."""


class AnswerLikelihood(ReadingTeacher):
    """How likely the model finds a golden answer when it reads the passage alone: ``p(answer |
    passage, question)``, higher is better, a probability on an absolute scale (REPLUG LSR, arXiv
    2301.12652).

    The target of REPLUG is ``softmax(p / beta)``: the loss ``KLDivergence`` with
    ``teacher_temperature: beta`` takes it of these scores. ``direction: reverse``, KL(student ||
    target), is that of its paper; its code has ``forward``, divided by the number of elements.

    A sum over an answer's tokens punishes long answers: within a question with one answer the order
    is the same as by the mean, but differences are sharper; with several answers the short ones
    win. Its first tokens decide most of it.

    Args:
        model: who reads; ``TransformersModel``, since it must give probabilities.
        task: that of the data, which chooses prompt and right replies: the letter of a choice, the
            label of a claim, else the answer.
        prompt: name of a generator's prompt, or path of a text file; None takes that of the task.
        reduction: ``sum`` is the probability of the whole answer (published), ``mean`` that of one
            of its tokens on average.
        golds: of several golden answers the likeliest (``max``), their ``mean``, or the ``first``.
    """

    identity = "AnswerLikelihood"

    def __init__(
        self,
        model: LanguageModel,
        task: str = "open_qa",
        prompt: str | None = None,
        reduction: Reduction = "sum",
        golds: Golds = "max",
    ) -> None:
        check_choice(self, "reduction", reduction, Reduction)
        check_choice(self, "golds", golds, Golds)
        super().__init__(model, task, prompt)
        self.reduction = reduction
        self.golds = golds

    def prompts(self, lesson: Lesson, prompts: Prompts) -> list[Text]:
        return [prompts.of(lesson.question, [passage]) for passage in lesson.passages]

    def scores(self, lesson: Lesson, judged: Sequence[Sequence[Likelihood]]) -> list[float]:
        return [_probability(row, self.reduction, self.golds) for row in judged]


class PerplexityDistillation(ReadingTeacher):
    """The share of each passage in ``softmax(-CE / temperature)`` over the candidates, where CE is
    the mean cross-entropy of the answer's tokens when the model reads the passage alone; higher is
    better (Atlas' perplexity distillation, arXiv 2208.03299).

    The scores of a question sum to 1: they are the target distribution itself, so take a loss with
    ``teacher_temperature: null``, which does not take another softmax of them. Equal passages have
    equal shares; a single one has 1.

    Other than in Atlas the end token is not judged: whether a model would go on with a full stop
    says little about the passage. Atlas draws one of several golden answers at random. A low
    temperature gives one passage nearly all: look at the entropy of the target.

    Args:
        model: who reads; ``TransformersModel``, since it must give probabilities.
        task: that of the data, which chooses prompt and right replies.
        prompt: name of a generator's prompt, or path of a text file; None takes that of the task.
        temperature: of the target; published are 0.01 (Natural Questions) and 0.1 (MMLU).
        golds: of several golden answers that of the lowest cross-entropy (``max``), their ``mean``,
            or the ``first``.
    """

    identity = "PerplexityDistillation"

    def __init__(
        self,
        model: LanguageModel,
        task: str = "open_qa",
        prompt: str | None = None,
        temperature: float = 0.1,
        golds: Golds = "max",
    ) -> None:
        check(self, locals())
        check_choice(self, "golds", golds, Golds)
        super().__init__(model, task, prompt)
        self.temperature = temperature
        self.golds = golds

    def prompts(self, lesson: Lesson, prompts: Prompts) -> list[Text]:
        return [prompts.of(lesson.question, [passage]) for passage in lesson.passages]

    def scores(self, lesson: Lesson, judged: Sequence[Sequence[Likelihood]]) -> list[float]:
        logits = [_log_mean(row, self.golds) / self.temperature for row in judged]
        best = max(logits)
        shares = [exp(logit - best) for logit in logits]
        # exactly the same in any order
        whole = fsum(shares)
        return [share / whole for share in shares]


class LikelihoodGain(ReadingTeacher):
    """How much likelier a passage makes the golden answer than no passage does; higher is better.

    - ``infogain`` (InfoGain-RAG, arXiv 2509.12765): ``p(answer | passage, question) - p(answer |
      question)``, as ``(1 + difference) / 2``: absolute, 0.5 is a passage that changes nothing.
      Published labels: above 0.5 a positive, below -0.2 a negative, within 0.05 of 0 of no use; as
      scores 0.75, 0.4, and 0.475 to 0.525. Its smoothing (a window over the tokens, the first
      three of more weight) is left out: its code is not public. Of several golden answers ``max``
      takes the likeliest with the passage less the likeliest without.
    - ``gainrag`` (GainRAG, arXiv 2505.18710): the logits of each token are ``(1 + alpha) * with the
      passage - alpha * without``; of the mean logarithm of the answer's tokens comes a perplexity,
      and the score is ``-log(perplexity + 1)``, min-max over the candidates. Its lowest perplexity
      over the golden answers is ``max``. Its generated pseudo-passage, and its choice of questions
      that the best passage answers alone, are left out.

    Of questions that the model knows without a passage all candidates gain little.

    Args:
        model: who reads; ``TransformersModel``, since it must give probabilities.
        task: that of the data, which chooses prompts and right replies.
        prompt: name of a generator's prompt, or path of a text file; None takes that of the task.
        closed_prompt: the same without passages.
        contrast: ``infogain`` or ``gainrag``.
        reduction: of ``infogain``: ``mean`` compares the probability of one of an answer's tokens
            on average, ``sum`` that of the whole; ``gainrag`` is a mean.
        golds: of several golden answers the best (``max``), their ``mean``, or the ``first``.
        alpha: of ``gainrag``, how much the plain prompt counts.
    """

    identity = "LikelihoodGain"

    def __init__(
        self,
        model: LanguageModel,
        task: str = "open_qa",
        prompt: str | None = None,
        closed_prompt: str | None = None,
        contrast: Contrast = "infogain",
        reduction: Reduction = "mean",
        golds: Golds = "max",
        alpha: float = 0.5,
    ) -> None:
        check(self, locals())
        check_choice(self, "contrast", contrast, Contrast)
        check_choice(self, "reduction", reduction, Reduction)
        check_choice(self, "golds", golds, Golds)
        if contrast == "gainrag" and reduction == "sum":
            raise InputError(
                "LikelihoodGain: reduction: found 'sum', expected 'mean': the perplexity of "
                "contrast: gainrag is a mean over the tokens"
            )
        self._alpha = alpha if contrast == "gainrag" else None
        super().__init__(model, task, prompt, closed_prompt, reads_closed=True)
        self.contrast = contrast
        self.reduction = reduction
        self.golds = golds
        self.alpha = alpha

    def prompts(self, lesson: Lesson, prompts: Prompts) -> list[Text]:
        question = lesson.question
        closed = prompts.of(question, [])
        if self.contrast == "gainrag":
            return [prompts.of(question, [passage], closed) for passage in lesson.passages]
        return [*(prompts.of(question, [passage]) for passage in lesson.passages), closed]

    def scores(self, lesson: Lesson, judged: Sequence[Sequence[Likelihood]]) -> list[float]:
        if self.contrast == "gainrag":
            return min_max([-_log_one_plus(-_log_mean(row, self.golds)) for row in judged])
        *with_passage, without = [_probability(row, self.reduction, self.golds) for row in judged]
        return [(1 + probability - without) / 2 for probability in with_passage]


def _probability(row: Sequence[Likelihood], reduction: Reduction, golds: Golds) -> float:
    """Of the golden answers of a question, after one prompt."""
    return pooled([exp(log_probability(one, reduction)) for one in row], golds)


def _log_mean(row: Sequence[Likelihood], golds: Golds) -> float:
    """Mean logarithm of the tokens' probabilities: minus the cross-entropy."""
    return pooled([log_probability(one, "mean") for one in row], golds)


def _log_one_plus(logarithm: float) -> float:
    """``log(1 + exp(logarithm))`` of a number that may be too large for ``exp``."""
    return max(logarithm, 0.0) + log1p(exp(-abs(logarithm)))
