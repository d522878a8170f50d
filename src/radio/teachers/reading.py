"""What the teachers have in common that ask a language model how likely it finds the answers.

The likelihoods are kept in the cache, each under what the model has read: teachers with the same
model, task and prompt share them.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.generators.base import Prompt
from radio.generators.prompting import GeneratorTemplate
from radio.generators.tasks import task_of
from radio.generators.window import shown
from radio.llm import fill as durable
from radio.llm.base import Call, Failure, LanguageModel, Likelihood
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers.base import Lesson, Teacher
from radio.teachers.golden import right_replies

TOGETHER = 250
"""Questions whose prompts are made, and sorted by length, together."""

UNREAD = ("sampling", "stop")
"""Settings of a model that change what it writes, and no likelihood."""

Golds = Literal["max", "mean", "first"]
"""What counts of several golden answers: the best of them, their mean, or the first one alone."""

Reduction = Literal["sum", "mean"]
"""Over the tokens of an answer."""


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt as the model reads it."""

    system: str
    user: str
    plain: Text | None = None
    """The prompt that is contrasted with it, if one is."""


class Prompts:
    """Makes the prompts of a teacher, and counts what does not fit into the model's window.

    Args:
        model: who reads them.
        task: their task.
        template: that shows passages.
        closed: that shows none; None where none is needed.
    """

    def __init__(
        self,
        model: LanguageModel,
        task: str,
        template: GeneratorTemplate,
        closed: GeneratorTemplate | None,
    ) -> None:
        self._model = model
        self._task = task
        self._template = template
        self._closed = closed
        self.made = 0
        self.cut = 0
        """Prompts that were cut."""
        self.passages_cut = 0
        self.tokens_cut = 0

    def of(
        self, question: Question, passages: Sequence[RetrievedPassage], plain: Text | None = None
    ) -> Text:
        """The prompt that shows these passages; what exceeds the window is cut from their end.

        Raises:
            InputError: there is no room for question and instruction.
        """
        template = self._template if passages else self._closed
        assert template is not None, "a prompt without passages"
        try:
            cut = shown(Prompt(question, tuple(passages), self._task), template, self._model)
        except InputError as error:
            raise InputError(f"question {question.id!r}: {error}") from None
        self.made += 1
        self.cut += bool(cut.passages_cut or cut.tokens_cut)
        self.passages_cut += cut.passages_cut
        self.tokens_cut += cut.tokens_cut
        return Text(template.system, template.render(question, cut.passages), plain)


class ReadingTeacher(Teacher):
    """Scores by how likely a language model finds the golden answers after some prompts.

    A subclass says which prompts (:meth:`prompts`) and makes scores of the likelihoods
    (:meth:`scores`). The end of an answer is not judged (see
    :meth:`radio.llm.base.LanguageModel.log_likelihood`).

    Args:
        model: who reads; one that gives probabilities.
        task: of the questions: it chooses prompt and right replies
            (:func:`radio.teachers.golden.right_replies`).
        prompt: name of a generator's prompt, or path of a text file; None takes that of the task.
        closed_prompt: the same without passages.
        reads_closed: whether a prompt without passages is needed.
    """

    needs_rationale = False
    needs_answers = True

    _alpha: float | None = None
    """How much plain prompts count; None if there are none. Set before this class is made."""

    def __init__(
        self,
        model: LanguageModel,
        task: str,
        prompt: str | None,
        closed_prompt: str | None = None,
        reads_closed: bool = False,
    ) -> None:
        names = task_of(task)
        self.task = task
        self._model = model
        self._template = GeneratorTemplate(prompt or names.prompt, shows_passages=True)
        self._closed: GeneratorTemplate | None = None
        if reads_closed:
            closed = closed_prompt or names.closed_prompt
            self._closed = GeneratorTemplate(closed, shows_passages=False)
        self._check_gives_probabilities()

    def _check_gives_probabilities(self) -> None:
        method = "log_likelihood" if self._alpha is None else "contrasted_log_likelihood"
        kind = type(self._model)
        if all(
            getattr(kind, name, None) is getattr(LanguageModel, name) for name in (method, "judged")
        ):
            raise InputError(
                f"{type(self).__name__}: model: found {kind.__name__}, which gives no "
                "probabilities of a text; take a model on this machine (TransformersModel)"
            )

    @property
    def model(self) -> LanguageModel:
        """Who reads; no attribute, since what counts of it in keys is not all that it is."""
        return self._model

    # Keys

    @property
    def needs_generator(self) -> str:
        return self._model.model

    def depends_on(self) -> dict[str, Any]:
        prompts = [self._template.fingerprint]
        if self._closed is not None:
            prompts.append(self._closed.fingerprint)
        return {**super().depends_on(), "reader": self._reader(), "prompts": prompts}

    def _reader(self) -> dict[str, Any]:
        """What a likelihood depends on of the model."""
        settings = self._model.depends_on()
        return {name: value for name, value in settings.items() if name not in UNREAD}

    @cached_property
    def _reader_fingerprint(self) -> str:
        # once: a folder of weights is large
        return fingerprint(self._reader())

    def key_of(self, text: Text, answer: str) -> str:
        """Cache key of the likelihood of an answer after a prompt."""
        parts: list[Any] = ["likelihood/1", self._reader_fingerprint]
        parts += [text.system, text.user, answer]
        if text.plain is not None:
            parts += [text.plain.system, text.plain.user, self._alpha]
        return fingerprint(parts)

    # Scores

    @abstractmethod
    def prompts(self, lesson: Lesson, prompts: Prompts) -> list[Text]:
        """The prompts after each of which all right replies are judged."""

    @abstractmethod
    def scores(self, lesson: Lesson, judged: Sequence[Sequence[Likelihood]]) -> list[float]:
        """The scores of a question.

        Args:
            lesson: the question and its passages, one at least.
            judged: for each prompt the likelihood of each right reply, which has a token at least.
        """

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        """The scores of one question by itself; nothing is kept."""
        lesson = Lesson(question, rationale, passages)
        with TemporaryDirectory() as folder:
            (found,) = self.score_all([lesson], Cache(Path(folder) / "radio.sqlite"))
        return found

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        made = Prompts(self._model, self.task, self._template, self._closed)
        lost = 0
        for start in range(0, len(work), TOGETHER):
            part = work[start : start + TOGETHER]
            readings: dict[str, Reading] = {}
            keys = [self._keys(lesson, made, readings) for lesson in part]
            found = self._obtained(readings, cache)
            for lesson, rows in zip(part, keys, strict=True):
                judged = [[found[key] for key in row] for row in rows]
                kept = [[one for one in row if one.tokens] for row in judged]
                lost += max((len(row) for row in judged), default=0)
                lost -= max((len(row) for row in kept), default=0)
                if not all(kept):
                    raise InputError(
                        f"{type(self).__name__}: question {lesson.question.id!r}: golden_answers: "
                        f"found {list(lesson.question.golden_answers)}, of which the tokenizer of "
                        f"{self._model.model!r} makes no token"
                    )
                yield self.scores(lesson, kept) if lesson.passages else []
        self._tell(made, lost)

    def release(self) -> None:
        self._model.release()

    def _keys(self, lesson: Lesson, made: Prompts, readings: dict[str, Reading]) -> list[list[str]]:
        """For each prompt of a question a key for each right reply; what they stand for is added to
        ``readings``."""
        if not lesson.passages:
            return []
        replies = right_replies(lesson.question, self.task)
        keys = []
        for text in self.prompts(lesson, made):
            row = []
            for reply in replies:
                key = self.key_of(text, reply)
                readings.setdefault(key, Reading(lesson.question.id, text, reply))
                row.append(key)
            keys.append(row)
        return keys

    def _obtained(self, readings: Mapping[str, Reading], cache: Cache) -> dict[str, Likelihood]:
        """The likelihoods by key, from the cache where they are there."""
        source = Likelihoods(self._model, readings, self._alpha)
        durable.fill(source, list(readings), cache)
        found: dict[str, Likelihood] = cache.get_json(readings, from_row)
        for key, reading in readings.items():
            if key not in found:
                raise InputError(
                    f"{type(self).__name__}: {self._model.model} gave no likelihood of "
                    f"{reading.answer!r} for question {reading.question_id!r}"
                )
        return found

    def _tell(self, made: Prompts, lost: int) -> None:
        """Warn of what the model was not shown or not asked for."""
        name = f"{type(self).__name__}: {self._model.model}"
        if made.cut:
            warnings.warn(
                f"{name}: {made.cut:,} of {made.made:,} prompts were cut to its window "
                f"({made.passages_cut:,} whole passages, {made.tokens_cut:,} tokens of others); "
                "raise max_length of the model, or take shorter passages",
                stacklevel=3,
            )
        if lost:
            warnings.warn(
                f"{name}: {lost:,} golden answers have no token and are left out", stacklevel=3
            )


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model is asked for."""

    question_id: str
    text: Text
    answer: str


class Likelihoods(durable.Source):
    """A model as the source of the likelihoods of some readings, by key."""

    kind = "likelihood"
    title = "teacher: read"
    unit = "answer"
    keeps_bar = False
    useless = ()

    def __init__(
        self, model: LanguageModel, readings: Mapping[str, Reading], alpha: float | None
    ) -> None:
        self._model = model
        self._readings = readings
        self._alpha = alpha

    def is_current(self, row: Any) -> bool:
        from_row(row)
        return True

    def obtain(self, keys: Sequence[str]) -> Iterator[durable.Answer | Failure]:
        readings = [self._readings[key] for key in keys]
        calls, plain = [], []
        for key, reading in zip(keys, readings, strict=True):
            calls.append(_call(key, reading, reading.text))
            if reading.text.plain is not None:
                plain.append(_call(key, reading, reading.text.plain))
        answers = [reading.answer for reading in readings]
        if self._alpha is None:
            judged = self._model.judged(calls, answers)
        else:
            judged = self._model.judged(calls, answers, plain, self._alpha)
        for number, likelihood in judged:
            reading = readings[number]
            if isnan(likelihood.total):
                raise InputError(
                    f"{self._model.model}: question {reading.question_id!r}: found NaN as the "
                    f"likelihood of {reading.answer!r}; try dtype: float32, or another model"
                )
            row = {
                "id": reading.question_id,
                "answer": reading.answer,
                "model": self._model.model,
                "total": likelihood.total,
                "tokens": likelihood.tokens,
            }
            yield durable.Answer(keys[number], row, "written")


def _call(key: str, reading: Reading, text: Text) -> Call:
    return Call(key, reading.question_id, text.system, lambda: text.user)


def from_row(row: Any) -> Likelihood:
    """The likelihood in an entry of the cache; anything else is a TypeError."""
    total, tokens = row["total"], row["tokens"]
    if not isinstance(total, int | float) or isnan(total) or not isinstance(tokens, int):
        raise TypeError("expected a number as the likelihood, and one of tokens")
    return Likelihood(float(total), tokens)


def check_choice(part: object, setting: str, found: str, kind: object) -> None:
    """Refuse a word that is none of a ``Literal``.

    Raises:
        InputError: names the class, the setting, the word and what is expected.
    """
    if found not in get_args(kind):
        expected = ", ".join(get_args(kind))
        raise InputError(
            f"{type(part).__name__}: {setting}: found {found!r}, expected one of {expected}"
        )


def log_probability(likelihood: Likelihood, reduction: Reduction) -> float:
    """Logarithm of the probability of an answer, or of that of one of its tokens on average (their
    geometric mean)."""
    return likelihood.total / (likelihood.tokens if reduction == "mean" else 1)


def pooled(values: Sequence[float], golds: Golds) -> float:
    """One value for all golden answers of a question."""
    if golds == "max":
        return max(values)
    return values[0] if golds == "first" else fsum(values) / len(values)
