"""A teacher by what the model loses when a passage is taken away from the others."""

from __future__ import annotations

from collections.abc import Sequence

from radio.llm.base import LanguageModel, Likelihood
from radio.normalising import min_max
from radio.ranges import check
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


class LeaveOneOut(ReadingTeacher):
    """The model's loss ``-log p(answer | all passages but this one, question)`` over the first
    ``top_k`` candidates, min-max: the higher the loss without it, the more useful is a passage
    (Atlas' leave-one-out perplexity distillation, arXiv 2208.03299).

    Unlike a passage by itself this sees what several passages are good for together (multi-hop),
    and that one is of no use beside another that says the same. Candidates beyond the first
    ``top_k`` of the retriever score 0, as the least useful of the others: the model never sees
    them, so take a ``top_k`` as deep as the reranker's groups. The passages stand in the
    retriever's order (by rank, wherever they stand in the list) and move up where one is gone. It
    costs ``top_k`` prompts of ``top_k - 1`` passages for each question.

    Atlas hides a passage that was encoded already; a prompt is read anew without it. The end token
    is not judged, as in :class:`PerplexityDistillation`; nor is the softmax with a temperature
    taken: that is the loss' ``teacher_temperature``.

    Args:
        model: who reads; ``TransformersModel``, since it must give probabilities.
        task: that of the data, which chooses prompt and right replies.
        prompt: name of a generator's prompt, or path of a text file; None takes that of the task.
        top_k: passages that are compared.
        reduction: over an answer's tokens: ``mean`` (published) or ``sum``.
        golds: of several golden answers the likeliest (``max``), their ``mean``, or the ``first``.
    """

    identity = "LeaveOneOut"
    needs_set = True

    def __init__(
        self,
        model: LanguageModel,
        task: str = "open_qa",
        prompt: str | None = None,
        top_k: int = 5,
        reduction: Reduction = "mean",
        golds: Golds = "max",
    ) -> None:
        check(self, locals())
        check_choice(self, "reduction", reduction, Reduction)
        check_choice(self, "golds", golds, Golds)
        super().__init__(model, task, prompt)
        self.top_k = top_k
        self.reduction = reduction
        self.golds = golds

    def prompts(self, lesson: Lesson, prompts: Prompts) -> list[Text]:
        compared = [lesson.passages[place] for place in self._compared(lesson)]
        texts = []
        for place in range(len(compared)):
            texts.append(prompts.of(lesson.question, compared[:place] + compared[place + 1 :]))
        return texts

    def scores(self, lesson: Lesson, judged: Sequence[Sequence[Likelihood]]) -> list[float]:
        places = self._compared(lesson)
        if not places:
            # one candidate: there is nothing to take it away from
            return min_max([0.0] * len(lesson.passages))
        losses = []
        for row in judged:
            logs = [log_probability(one, self.reduction) for one in row]
            losses.append(-pooled(logs, self.golds))
        scores = [0.0] * len(lesson.passages)
        for place, score in zip(places, min_max(losses), strict=True):
            scores[place] = score
        return scores

    def _compared(self, lesson: Lesson) -> list[int]:
        """Where the first candidates stand in the list, best first; none if there is only one."""
        passages = lesson.passages
        by_rank = sorted(
            range(len(passages)), key=lambda place: (passages[place].rank, passages[place].id)
        )
        return by_rank[: self.top_k] if len(passages) > 1 else []
