"""Teachers by the outcome: whether a generator that reads a passage answers rightly."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from radio.cache import Cache
from radio.generators.asking import ask
from radio.generators.base import Answer, Generator, Prompt, name_of
from radio.generators.tasks import answer_in, task_of
from radio.llm.base import Failure
from radio.metrics.answers import exact_match, f1
from radio.metrics.choices import accuracy
from radio.models.messages import say
from radio.ranges import check
from radio.schema import InputError, Question
from radio.teachers.asking import not_answered
from radio.teachers.base import Lesson, ThroughCache
from radio.teachers.spending import Spending

VERDICTS = ("multiple_choice", "fact_verification")
"""Tasks whose answer is no span of a passage."""


class ByOutcome(ThroughCache):
    """Has a generator answer each question from one passage at a time, and judges its answers.

    Args:
        generator: who answers.
        task: what kind of answer is wanted, as the data module says it (:mod:`.tasks` of
            :mod:`radio.generators`).
        metric: what is measured of an answer; None takes the first one of the task that has a value
            for each answer.
    """

    needs_rationale = False
    needs_answers = True

    # abstract: only a teacher with an identity of its own has keys
    @abstractmethod
    def __init__(self, generator: Generator, task: str, metric: str | None) -> None:
        if generator.copies_spans and task in VERDICTS:
            raise InputError(
                f"{type(self).__name__}: task: found {task!r} with {type(generator).__name__}, "
                "which copies a span of the passages and gives no verdict; take a language model"
            )
        self.generator = generator
        self.task = task
        self.metric = metric or task_of(task).metrics[0]
        self._spending = Spending()

    @property
    def costs(self) -> Mapping[str, float] | None:
        return self._spending.costs

    @property
    def needs_generator(self) -> str:
        return name_of(self.generator)

    @abstractmethod
    def _values(self, alone: float, passages: Sequence[float]) -> list[float]:
        """The scores of passages.

        Args:
            alone: the metric of the answer without any passage; 0 where none is asked for.
            passages: that of the answer from each passage.
        """

    _asks_alone = False
    """Whether the generator is asked without any passage too."""

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        # a reader of spans has nothing to copy from without passages: it knows no answer
        asks_alone = self._asks_alone and not self.generator.copies_spans
        prompts = []
        for lesson in work:
            if asks_alone and lesson.passages:
                prompts.append(Prompt(lesson.question, (), self.task))
            for passage in lesson.passages:
                prompts.append(Prompt(lesson.question, (passage,), self.task))
        if not prompts:
            yield from ([] for _ in work)
            return
        numbers = self._numbers(work, prompts, cache)
        for lesson in work:
            alone = next(numbers) if asks_alone and lesson.passages else 0.0
            yield self._values(alone, [next(numbers) for _ in lesson.passages])

    def _numbers(
        self, work: Sequence[Lesson], prompts: Sequence[Prompt], cache: Cache
    ) -> Iterator[float]:
        """The metric of the answer to each prompt, in order.

        Raises:
            InputError: when it comes to one without an answer.
        """
        results = ask(self.generator, prompts, cache)
        self._spending.add(results)
        # what it has read of so many passages would fill the memory
        self.release()
        failed: dict[str, str] = {}
        for result in results:
            if isinstance(result, Failure):
                failed.setdefault(result.question_id, result.error)
        self._tell(prompts, results)
        for prompt, result in zip(prompts, results, strict=True):
            # of one question all or none
            if prompt.question.id in failed or isinstance(result, Failure):
                raise not_answered(self, failed, len(work), "answer")
            yield self._number(prompt.question, self._parsed(prompt, result))

    def _parsed(self, prompt: Prompt, answer: Answer) -> str | None:
        parse = task_of(self.task).parse
        return answer_in(self.generator, parse, answer.text, prompt.question)

    def _number(self, question: Question, answer: str | None) -> float:
        """The metric; an answer that cannot be read counts as a wrong one."""
        golden = question.golden_answers
        if self.metric == "em":
            return exact_match(answer or "", golden)
        if self.metric == "f1":
            return f1(answer or "", golden)
        return accuracy(answer, golden, question.choices)

    def _tell(self, prompts: Sequence[Prompt], results: Sequence[Answer | Failure]) -> None:
        """Say how many answers could not be read."""
        unread = 0
        for prompt, result in zip(prompts, results, strict=True):
            if isinstance(result, Answer):
                unread += self._parsed(prompt, result) is None
        if unread:
            say(
                f"{type(self).__name__}: {unread:,} of {len(prompts):,} answers of "
                f"{self.needs_generator} could not be read, and count as wrong"
            )

    def release(self) -> None:
        self.generator.release()


class DownstreamMetric(ByOutcome):
    """The metric of the generator's answer from this passage alone, in [0, 1] (eRAG, Salemi and
    Zamani, SIGIR 2024). More is better; the scale is absolute.

    A passage by itself says nothing of what several say together: of a multi-hop question each may
    score 0, and such a question teaches nothing (``tied_questions: drop``). Each passage is read by
    itself, so that no score depends on the other candidates or on their order. There is no
    temperature; ``em`` and ``accuracy`` give many ties, ``f1`` fewer.

    An answer that cannot be parsed counts as wrong, and how many are is said. A question of which
    an answer cannot be had at all is named when all others have been asked.

    Args:
        generator: who answers; a reader of spans will do.
        task: what kind of answer is wanted, as the data module says it: ``open_qa``, ``multi_hop``,
            ``multiple_choice`` or ``fact_verification``.
        metric: ``em``, ``f1`` or ``accuracy``; None takes the task's: ``em``, and ``accuracy`` of
            choices and verdicts.
    """

    identity = "DownstreamMetric"

    def __init__(
        self,
        generator: Generator,
        task: str = "open_qa",
        metric: Literal["em", "f1", "accuracy"] | None = None,
    ) -> None:
        super().__init__(generator, task, metric)

    def _values(self, alone: float, passages: Sequence[float]) -> list[float]:
        return list(passages)


class AnswerFlip(ByOutcome):
    """What a passage makes of the answer that the generator gives without any (the classes of
    DPA-RAG, Dong et al., arXiv 2406.18676). More is better; the scale is absolute.

    | without | with it | score          |
    |---------|---------|----------------|
    | wrong   | right   | 1              |
    | right   | right   | ``both_right`` |
    | wrong   | wrong   | ``both_wrong`` |
    | right   | wrong   | 0              |

    What turns the answer is at the ends: the passage that teaches, and the one that misleads. In
    between, a passage with which the answer stays right has at least been borne out, so that it is
    worth more than one that neither helps nor harms.

    The answer without passages is one for all candidates of a question. So only two of the four can
    occur in it, right ones always above wrong ones, and the two settings change no order: they say
    how far apart the two are, where the generator knows the answer (1/2) and where it does not
    (3/4), which counts for losses with a margin or a softmax. DPA-RAG itself gives the classes no
    values.

    A reader of spans knows no answer without a passage: then it is ``both_wrong`` or 1. Unparsed
    and missing answers, and single passages of multi-hop questions, are as in
    :class:`DownstreamMetric`.

    Args:
        generator: who answers.
        task: what kind of answer is wanted, as the data module says it: ``open_qa``, ``multi_hop``,
            ``multiple_choice`` or ``fact_verification``.
        metric: ``em`` or ``accuracy``, which is 1 where an answer is right; None takes the task's.
        both_right: where the generator knows the answer, and still does.
        both_wrong: where it knows none, and still does not.
    """

    identity = "AnswerFlip"
    _asks_alone = True

    def __init__(
        self,
        generator: Generator,
        task: str = "open_qa",
        metric: Literal["em", "accuracy"] | None = None,
        both_right: float = 0.5,
        both_wrong: float = 0.25,
    ) -> None:
        check(self, locals())
        super().__init__(generator, task, metric)
        self.both_right = both_right
        self.both_wrong = both_wrong

    def _values(self, alone: float, passages: Sequence[float]) -> list[float]:
        right, wrong = (self.both_right, 0.0) if alone == 1.0 else (1.0, self.both_wrong)
        return [right if number == 1.0 else wrong for number in passages]
