"""Teachers that ask a language model about passages: what they have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.generators.asking import from_row, to_row
from radio.generators.base import Answer
from radio.llm import fill as durable
from radio.llm.base import Call, Failure, LanguageModel
from radio.llm.outcomes import outcome_of, whole_text
from radio.schema import InputError, Question, RetrievedPassage
from radio.teachers.base import Lesson, Teacher, ThroughCache
from radio.teachers.prompting import JudgeTemplate, Shown
from radio.teachers.spending import Spending


class Asking(ThroughCache):
    """A teacher that shows a language model a question and passages.

    Args:
        model: who is asked.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.teachers.prompting`).
        show: what the model is told of the answer: nothing (``question``), the golden ``answers``,
            the ``rationale``, or ``both``.
    """

    # abstract: only a teacher with an identity of its own has keys
    @abstractmethod
    def __init__(self, model: LanguageModel, prompt: str, show: Shown) -> None:
        self._model = model
        self._template = JudgeTemplate(prompt, show)
        self._fingerprint: str | None = None
        self._model_key: str | None = None
        self._spending = Spending()
        self.prompt = self._template.fingerprint
        self.show = show
        self.needs_rationale = show in ("rationale", "both")

    @property
    def model(self) -> LanguageModel:
        """Who is asked."""
        return self._model

    @property
    def needs_answers(self) -> bool:  # type: ignore[override]
        return self.show in ("answers", "both")

    @property
    def needs_generator(self) -> str:
        return self._model.model

    @property
    def costs(self) -> Mapping[str, float] | None:
        return self._spending.costs

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), **self._model.depends_on()}

    def fingerprint(self) -> str:
        # once: a folder of weights is large
        self._fingerprint = self._fingerprint or super().fingerprint()
        return self._fingerprint

    def release(self) -> None:
        self._model.release()

    def _replies(
        self, title: str, calls: Sequence[Call], questions: Sequence[Question], cache: Cache
    ) -> list[Answer | Failure]:
        """What came of each call, with the arguments of :func:`replies`."""
        found = replies(title, self._model, calls, questions, cache)
        self._spending.add(found)
        return found

    def _call(self, lesson: Lesson, passages: Sequence[RetrievedPassage], kind: str = "") -> Call:
        """A question with these passages; its key is of all that the model reads.

        Args:
            lesson: of which question.
            passages: shown in this order.
            kind: of what is wanted of the model, where that is no reply.
        """
        if self._model_key is None:
            self._model_key = fingerprint(["judgement/1", self._model.depends_on()])
        template = self._template

        def user() -> str:
            return template.filled(lesson, passages)

        key = fingerprint([self._model_key, kind, template.system, user()])
        return Call(key, lesson.question.id, template.system, user)


class Replies(durable.Source):
    """A language model as the source of replies to some calls, by key.

    They are kept as the answers of generators are, so that the same commands show and remove them.
    """

    kind = "answer"
    unit = "reply"
    keeps_bar = False

    def __init__(
        self,
        title: str,
        model: LanguageModel,
        calls: Mapping[str, Call],
        questions: Mapping[str, Question],
        cache: Cache,
    ) -> None:
        self.title = title
        self._model = model
        self._calls = calls
        self._questions = questions
        self._cache = cache
        self.failed: dict[str, str] = {}
        """Why, of the keys that have no reply."""

    def is_current(self, row: Any) -> bool:
        answer = from_row(row)
        return not self._model.outdated(answer.outcome, answer.usage)

    def obtain(self, keys: Sequence[str]) -> Iterator[durable.Answer | Failure]:
        for call, result in self._model.complete(self._of(keys), self._cache):
            if isinstance(result, Failure):
                self.failed[call.key] = result.error
                yield result
                continue
            text = whole_text(result.text)
            outcome = outcome_of(text, result.outcome)
            price = self._model.price(result.usage)
            answer = Answer(text, outcome, result.usage, result.seconds, price)
            row = to_row(self._questions[call.question_id], self._model.model, answer)
            yield durable.Answer(call.key, row, outcome)

    def estimate(self, keys: Sequence[str]) -> str:
        return self._model.estimate(self._of(keys))

    def status(self) -> str:
        return self._model.status()

    def _of(self, keys: Sequence[str]) -> list[Call]:
        return [self._calls[key] for key in keys]


def replies(
    title: str,
    model: LanguageModel,
    calls: Sequence[Call],
    questions: Sequence[Question],
    cache: Cache,
) -> list[Answer | Failure]:
    """What came of each call, from the cache where it is there.

    Args:
        title: stands before the progress bar and the messages.
        model: who is asked.
        calls: in any order; equal keys are asked once.
        questions: those that the calls are about.
        cache: where replies are kept, each as it comes.

    Raises:
        InputError: the model cannot go on, or the cache cannot be written.
    """
    by_key = {call.key: call for call in calls}
    source = Replies(title, model, by_key, {question.id: question for question in questions}, cache)
    durable.fill(source, list(by_key), cache)
    stored = cache.get_json(by_key, from_row)
    found: list[Answer | Failure] = []
    for call in calls:
        if call.key in source.failed:
            found.append(Failure(call.question_id, source.failed[call.key]))
        elif call.key in stored:
            found.append(stored[call.key])
        else:
            found.append(Failure(call.question_id, model.hint() or "it was not asked"))
    return found


def not_answered(
    teacher: Teacher, failed: Mapping[str, str], questions: int, stored: str = "reply"
) -> InputError:
    """What to say of questions that cannot be taught, since they lack a reply.

    Args:
        teacher: whose questions they are.
        failed: why, by question id.
        questions: how many there are in all.
        stored: what was kept of the others.
    """
    first, error = next(iter(failed.items()))
    return InputError(
        f"{type(teacher).__name__}: {teacher.needs_generator} gave no {stored} about {len(failed)} "
        f"of {questions} questions ({first}: {error}); all others are kept: run the same command "
        "again, which asks for those alone, or leave a question out that fails each time"
    )
