"""What the classes that people write themselves must return, checked where it comes in.

Each function takes what a method returned and gives it back as the caller needs it. What a method
may not return is refused: the message names class, method, what was found and what is expected. A
tensor of the wrong shape, a ``None`` or an id that nobody asked for would otherwise train or count
something else, without a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from radio.lines import broken_character
from radio.schema import Candidate, InputError, Passage, Question

if TYPE_CHECKING:
    from torch import Tensor


PREFERRED = (
    "positives that are the teacher's best of their group, since the loss takes the highest "
    "targets for them. Draw other groups, or take a loss that follows the teacher's scores, such "
    "as ListNet; a sampler of plain lists, whose order says nothing, sets marks_positives = False"
)
"""What a loss that takes its positives by itself asks of a sampler."""


def refuse(part: object, method: str, found: str, expected: str) -> NoReturn:
    """Refuse what a method of a part, or of a class of parts, returned."""
    kind = part if isinstance(part, type) else type(part)
    raise InputError(f"{kind.__name__}.{method}: found {found}, expected {expected}")


def described(value: object) -> str:
    """Type and beginning of a value, for messages."""
    return "None" if value is None else f"{type(value).__name__} ({str(value)[:60]!r})"


def _listed(part: object, method: str, found: object, expected: str) -> list[Any]:
    """A list, tuple, array or tensor of one dimension as a list."""
    if hasattr(found, "tolist") and not isinstance(found, type):
        found = found.tolist()
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Sequence):
        refuse(part, method, described(found), expected)
    return list(found)


# Rerankers and losses


def loss(part: object, found: object, of: Tensor) -> Tensor:
    """What a :class:`radio.losses.Loss` returned for these scores."""
    import torch

    expected = "a tensor without dimensions, the mean over the questions"
    if not isinstance(found, torch.Tensor):
        refuse(part, "__call__", described(found), expected)
    if found.shape:
        refuse(part, "__call__", f"a tensor {list(found.shape)}", expected)
    if not found.is_floating_point():
        refuse(part, "__call__", f"a tensor of {found.dtype}", "a float")
    if of.requires_grad and torch.is_grad_enabled() and not found.requires_grad:
        value = "a value that is cut off from the scores"
        refuse(part, "__call__", value, "one with a gradient (no detach(), no item())")
    return found


# Teachers, samplers and judges


def numbers(
    part: object, method: str, found: object, count: int, of: str, *, unit: bool = True
) -> list[float]:
    """One finite number for each of ``count`` things; with ``unit`` in [0, 1], but for rounding.

    Args:
        part: whose method it is.
        method: which returned them.
        found: list, tuple, array or tensor.
        count: how many are expected.
        of: what they are of, for messages.
        unit: whether they are to lie in [0, 1].
    """
    where = " in [0, 1]" if unit else ""
    expected = f"{count} numbers{where}, one for each of {of}"
    values = _listed(part, method, found, expected)
    if len(values) != count:
        refuse(part, method, f"{len(values)} values", expected)
    # tensors and arrays of one number too
    values = [value.item() if hasattr(value, "item") else value for value in values]
    for value in values:
        if not isinstance(value, Real):
            refuse(part, method, described(value), expected)
        if not math.isfinite(value) or (unit and not -1e-6 <= float(value) <= 1 + 1e-6):
            refuse(
                part,
                method,
                str(value),
                f"a number{where} for each of {of}" if unit else f"finite ones for {of}",
            )
    return [float(value) for value in values]


def teacher_scores(
    teacher: object,
    question: Question,
    found: object,
    count: int,
    *,
    method: str = "score",
    unit: bool = True,
) -> list[float]:
    """What :meth:`radio.teachers.Teacher.score`, or ``method``, returned for one question."""
    of = f"the {count} passages of question {question.id!r}"
    return numbers(teacher, method, found, count, of, unit=unit)


def weight(confidence: object, question: Question, found: object) -> float:
    """What :meth:`radio.teachers.Confidence.weigh` returned for a question."""
    of = f"question {question.id!r}"
    return numbers(confidence, "weigh", [found], 1, of)[0]


def all_teacher_scores(
    teacher: object,
    method: str,
    asked: Sequence[tuple[Question, int]],
    found: object,
    *,
    unit: bool = True,
) -> Iterator[list[float]]:
    """What :meth:`radio.teachers.Teacher.score_all` yields, each as it comes.

    Args:
        teacher: who scored.
        method: which the scores are from: ``score`` where that is what its author wrote.
        asked: each question with the number of its passages, in the order of the scores.
        found: what was returned.
        unit: whether scores are to lie in [0, 1].
    """
    expected = f"an iterable with the scores of each of {len(asked)} questions"
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        refuse(teacher, method, described(found), expected)
    scores = iter(found)
    for number, (question, count) in enumerate(asked):
        given = next(scores, ...)
        if given is ...:
            refuse(teacher, method, f"scores of {number} questions", expected)
        yield teacher_scores(teacher, question, given, count, method=method, unit=unit)
    if next(scores, ...) is not ...:
        refuse(teacher, method, f"scores of more than {len(asked)} questions", expected)


class Draws(Protocol):
    """What is asked here of a :class:`radio.samplers.GroupSampler`."""

    positives: int

    @property
    def marks_positives(self) -> bool: ...


def selections(
    sampler: Draws, found: object, given: Sequence[float], taken: AbstractSet[int]
) -> list[list[int]]:
    """What :meth:`radio.samplers.GroupSampler.select` returned.

    Args:
        sampler: which.
        found: its groups.
        given: teacher scores, best first.
        taken: how many of a group's highest targets a loss takes for its positives; empty if none
            does.
    """
    last = len(given) - 1
    expected = f"a list of groups, each a list of two or more different positions from 0 to {last}"
    groups = []
    for group in _listed(sampler, "select", found, expected):
        positions = _listed(sampler, "select", group, expected)
        if len(positions) < 2 or len(set(positions)) < len(positions):
            refuse(sampler, "select", f"the group {positions}", expected)
        for position in positions:
            if not isinstance(position, Integral) or not 0 <= int(position) < len(given):
                refuse(sampler, "select", f"position {position!r}", expected)
        groups.append([int(position) for position in positions])
        if taken and sampler.marks_positives:
            head = min(sampler.positives, len(positions) - 1)
            lowest = min(given[position] for position in positions[:head])
            if any(given[position] > lowest for position in positions[head:]):
                order = f"the group {positions}: its first {head} are positives, "
                refuse(sampler, "select", f"{order}the teacher prefers another", PREFERRED)
    if not groups:
        refuse(sampler, "select", "no group", expected)
    return groups


def failed_checks(checks: object, found: object, ids: Iterable[str]) -> dict[str, list[str]]:
    """What :meth:`radio.rationales.QualityChecks.run` returned for these questions."""
    expected = (
        "a mapping from the id of each question to the list of checks that its rationale fails"
    )
    if not isinstance(found, Mapping):
        refuse(checks, "run", described(found), expected)
    for question in ids:
        if question not in found:
            refuse(checks, "run", f"nothing for question {question!r}", expected)
        if isinstance(found[question], str) or not isinstance(found[question], Sequence):
            refuse(
                checks, "run", f"{described(found[question])} for question {question!r}", expected
            )
    return dict(found)


# Retrievers and generators


def candidates(
    retriever: object,
    questions: Sequence[Question],
    found: object,
    k: int,
    corpus: Mapping[str, Passage],
) -> Iterator[list[Candidate]]:
    """What :meth:`radio.retrievers.Retriever.search` returned: a ranking for each question."""
    expected = f"an iterable with a list of candidates for each of {len(questions)} questions"
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        refuse(retriever, "search", described(found), expected)
    rankings = iter(found)
    for number, question in enumerate(questions):
        ranking = next(rankings, ...)
        if ranking is ...:
            refuse(retriever, "search", f"{number} lists", expected)
        yield _ranking(retriever, question, ranking, k, corpus)
    if next(rankings, ...) is not ...:
        refuse(retriever, "search", f"more than {len(questions)} lists", expected)


def _ranking(
    retriever: object, question: Question, found: object, k: int, corpus: Mapping[str, Passage]
) -> list[Candidate]:
    place = f"search: question {question.id!r}"
    ranking = _listed(retriever, place, found, "a list of Candidate")
    for candidate in ranking:
        if not isinstance(candidate, Candidate):
            refuse(retriever, place, described(candidate), "a list of Candidate")
        if candidate.passage_id not in corpus:
            raise InputError(
                f"{type(retriever).__name__}.{place}: candidate {candidate.passage_id!r} is not in "
                f"the corpus ({len(corpus)} passages); use the corpus that the candidates were "
                "made from"
            )
        if not isinstance(candidate.score, Real) or not math.isfinite(candidate.score):
            name = candidate.passage_id
            refuse(retriever, place, f"score {candidate.score!r} of {name!r}", "a finite number")
    ids = [candidate.passage_id for candidate in ranking]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        refuse(retriever, place, f"candidate {twice!r} twice", "each once")
    # what was put in by hand comes on top, wherever it belongs
    found_by_search = [candidate for candidate in ranking if not candidate.injected]
    if len(found_by_search) > k:
        refuse(retriever, place, f"{len(found_by_search)} candidates", f"at most {k}")
    for better, worse in pairwise(found_by_search):
        if worse.score > better.score:
            first = f"{better.score:g} of {better.passage_id!r}"
            second = f"{worse.score:g} of {worse.passage_id!r}"
            wanted = "the highest score first (of a distance, its negative)"
            refuse(retriever, place, f"{first} before {second}", wanted)
    return ranking


def answers(generator: object, found: object, count: int) -> list[str]:
    """What :meth:`radio.generators.Generator.answer` returned for so many prompts."""
    expected = f"{count} strings, one for each prompt (an empty one is no answer)"
    texts = _listed(generator, "answer", found, expected)
    if len(texts) != count:
        refuse(generator, "answer", f"{len(texts)} answers", expected)
    for text in texts:
        if not isinstance(text, str):
            refuse(generator, "answer", described(text), expected)
    return texts


# Data modules


def questions(data: object, split: str, found: object) -> list[Question]:
    """What :meth:`data_modules.RationaleDataModule.questions` returned."""
    expected = "a list of Question (empty if there is no such split)"
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        refuse(data, f"questions({split!r})", described(found), expected)
    kept = []
    for number, question in enumerate(found):
        place = f"questions({split!r}): number {number}"
        if not isinstance(question, Question):
            refuse(data, place, described(question), "a Question")
        _check_texts(data, place, {"id": question.id, "question": question.question})
        for name, texts in (
            ("golden_answers", question.golden_answers),
            ("choices", question.choices),
        ):
            if not all(isinstance(text, str) for text in texts):
                refuse(data, f"{place}: {name}", repr(texts), "strings")
            for text in texts:
                _check_texts(data, place, {name: text})
        if not isinstance(question.metadata, Mapping):
            refuse(data, f"{place}: metadata", described(question.metadata), "a mapping")
        kept.append(question)
    return kept


def passages(data: object, found: object) -> Iterator[Passage]:
    """What :meth:`data_modules.RationaleDataModule.passages` returned."""
    if isinstance(found, str) or not isinstance(found, Iterable):
        refuse(data, "passages()", described(found), "an iterable of Passage, or a DiskCorpus")
    values = found.values() if isinstance(found, Mapping) else found
    for number, passage in enumerate(values):
        if not isinstance(passage, Passage):
            refuse(data, f"passages(): number {number}", described(passage), "a Passage")
        _check_texts(
            data, f"passages(): number {number}", {"id": passage.id, "contents": passage.contents}
        )
        yield passage


def _check_texts(part: object, place: str, texts: Mapping[str, Any]) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            refuse(part, f"{place}: {name}", described(text), "a string")
        if broken_character(text):
            refuse(part, f"{place}: {name}", f"half a character ({text[-60:]!r})", "valid Unicode")
        # a run in TREC's format is cut at white space
        if name == "id" and text.split() != [text]:
            refuse(part, f"{place}: id", repr(text), "a non-empty string without white space")
        if name == "question" and not text.strip():
            refuse(part, f"{place}: question", repr(text), "its text")
