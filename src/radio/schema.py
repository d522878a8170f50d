"""The plain records that flow from data to loss; nothing here knows about models or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class InputError(Exception):
    """A mistake in what the user gave: the message alone is printed, the exit status is 2."""

    everywhere = False
    """Whether all processes of the run end with it, so that the first one alone need say it."""


class Missing(InputError):  # noqa: N818 -- says what it is about, as its message does
    """What ``prepare_data`` would have stored is not there.

    Args:
        what: is missing of each question, such as ``candidates``.
        split: whose questions.
        ids: of the questions that lack it; none if the questions themselves are missing.
        total: questions of the split.
        why: what else is known about it.
        helps: whether ``radio prepare`` obtains it.
        otherwise: what can be done instead.
    """

    command = "radio prepare --config YOUR.yaml"
    """What obtains it; the command line writes the options of its own command here."""

    def __init__(
        self,
        what: str,
        split: str,
        ids: Sequence[str] = (),
        total: int = 0,
        why: str = "",
        helps: bool = True,
        otherwise: str = "",
    ) -> None:
        # an exception that goes to another process is made again there, from these
        super().__init__(what, split, ids, total, why, helps, otherwise)
        self.what = what
        self.split = split
        self.ids = ids
        self.total = total
        self.why = why
        self.helps = helps
        self.otherwise = otherwise

    def __str__(self) -> str:
        head = f"{self.what} missing for {self.split}"
        if self.ids:
            shown = ", ".join(self.ids[:3]) + (", ..." if len(self.ids) > 3 else "")
            count = f"{len(self.ids)} of {self.total}"
            head = f"{self.what} missing for {count} {self.split} questions: {shown}"
        remedy = f"fill them with: {self.command}" if self.helps else ""
        return "\n  ".join(filter(None, [head, self.why, remedy, self.otherwise]))


def _is_grade(value: object) -> bool:
    """Whether a value is a number, and one that is not out of all bounds."""
    return isinstance(value, int | float) and abs(value) < 1e300


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the answers that count as correct (none when it is only to be reranked)."""

    id: str
    question: str
    golden_answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    search: str = ""
    """What retrievers and rerankers are given, where that is not the question alone."""

    def __post_init__(self) -> None:
        # a string would be read as a list of its letters
        for name in ("golden_answers", "choices"):
            value = getattr(self, name)
            if isinstance(value, str | bytes):
                raise InputError(
                    f"Question {self.id!r}: {name}: found {value!r}, expected a tuple of strings; "
                    f"write ({value!r},)"
                )

    @property
    def query(self) -> str:
        """The text that passages are ranked for."""
        return self.search or self.question

    @property
    def content(self) -> list[Any]:
        """All that is known of the question but its id, for keys of what a class may read of it."""
        return [self.question, self.golden_answers, self.choices, self.search, self.metadata]

    @property
    def gold(self) -> dict[str, float]:
        """Grades by id of the passages that are annotated as supporting the answer.

        They are ``gold_ids`` of the metadata, a list or a mapping.

        A grade of 0 or below says that a passage is not relevant; it is left out.

        Raises:
            InputError: ``gold_ids`` is neither, or a grade is no number.
        """
        found = self.metadata.get("gold_ids") or {}
        if isinstance(found, list | tuple):
            return dict.fromkeys(map(str, found), 1.0)
        if not isinstance(found, Mapping) or not all(map(_is_grade, found.values())):
            raise InputError(
                f"question {self.id!r}: metadata: key 'gold_ids': found {repr(found)[:200]}, "
                "expected a list of passage ids, or an object of ids and their grades, which are "
                "numbers"
            )
        return {str(identifier): float(grade) for identifier, grade in found.items() if grade > 0}


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage; ``contents`` is the title, a newline and the text (FlashRAG's format)."""

    id: str
    contents: str

    @property
    def title(self) -> str:
        head, newline, _ = self.contents.partition("\n")
        return head.strip().strip('"') if newline else ""

    @property
    def text(self) -> str:
        head, newline, tail = self.contents.partition("\n")
        return tail if newline else head


@dataclass(frozen=True, slots=True)
class RetrievedPassage(Passage):
    """A passage as found for one question: 0-based ``rank``, ``score`` (higher is better)."""

    rank: int = 0
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of a retriever's ranking: 0-based ``rank``, ``score`` (higher is better)."""

    passage_id: str
    rank: int
    score: float
    injected: bool = False
    """Put into the list by hand because it is annotated as right; no search found it."""


@dataclass(frozen=True, slots=True)
class Rationale:
    """Why the golden answers of a question are right, in the words of a model or a person."""

    question_id: str
    text: str
    model: str = "recorded"
    prompt: str = ""
    """Fingerprint of the prompt template."""
    usage: Mapping[str, int] = field(default_factory=dict)
    """Tokens: ``input``, ``output``, ``cache_read``, ``cache_write``."""
    outcome: str = "written"
    """``written``, ``empty``, ``refused`` (the model declined) or ``truncated`` (cut off at the
    limit of tokens)."""
    response: Mapping[str, Any] = field(default_factory=dict)
    """The answer of the server as it was sent."""
    others: tuple[str, ...] = ()
    """The texts of further rationales for the same question, for teachers that compare several."""

    @property
    def content(self) -> list[Any]:
        """What is handed to teachers and judges, without the question's id, for keys."""
        alone = [self.text, self.model, self.prompt, self.usage, self.outcome]
        return [*alone, list(self.others)] if self.others else alone

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of it, its own first."""
        return (self.text, *self.others)


@dataclass(frozen=True, slots=True)
class Example:
    """All that is known of a question before groups are drawn; ``teacher`` scores are in [0, 1]."""

    question: Question
    candidates: tuple[Candidate, ...]
    teacher: Mapping[str, float] | None = None
    weight: float = 1.0
    """Of the question in the loss: how far the teacher is trusted, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Group:
    """The passages of one question that enter the loss together.

    ``teacher_scores`` are aligned with ``passages``; a question without a rationale has NaN teacher
    scores and takes part in evaluation only.
    """

    question: Question
    passages: tuple[Passage, ...]
    teacher_scores: tuple[float, ...]
    weight: float = 1.0
    """Of the question in the loss, in [0, 1]."""


@dataclass(slots=True)
class GroupBatch:
    """A batch of B groups of at most G passages, N in all.

    A key of ``inputs`` means the same in every reranker; a class of your own may add others.

    - ``pairs``: tokens of the N pairs, question and passage together.
    - ``questions``: tokens of the Q distinct questions.
    - ``passages``: tokens, or finished vectors, of the P distinct passages.
    - ``places``: for each pair, int ``[N]``, where its ``question`` and its ``passage`` stand in
      those two.

    Tokens are padded tensors, by the names that the network's ``forward`` gives them, or packed
    without padding (:data:`radio.models.packing.Row`).

    Args:
        inputs: what the reranker's ``collate`` made for its ``score``, by the keys above.
        teacher: float32 ``[B, G]``, 0 where padded, NaN where unknown.
        mask: bool ``[B, G]``, True for real passages; flat item n is the n-th True in row-major
            order.
        question_ids: B ids.
        passage_ids: B lists of ids, unpadded.
        weights: of the questions in the loss, float32 ``[B]``; None where each is 1.
    """

    inputs: dict[str, dict[str, Any]]
    teacher: Tensor
    mask: Tensor
    question_ids: list[str]
    passage_ids: list[list[str]]
    weights: Tensor | None = None


Run = dict[str, dict[str, float]]
"""A ranking of passages for each question: ``run[question_id][passage_id] = score``."""


def add_passage(passages: dict[str, Passage], passage: Passage, place: str) -> None:
    """Add a passage to those known by id.

    Raises:
        InputError: its id has another text already.
    """
    if passages.setdefault(passage.id, passage) != passage:
        raise InputError(
            f"{place}: passage id {passage.id!r} had another text before; ids must name one "
            "passage each, whatever the question"
        )


def ranked(scores: Mapping[str, float]) -> list[Candidate]:
    """Candidates best first; equal scores by id, which no system can profit from."""
    order = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Candidate(identifier, rank, score) for rank, (identifier, score) in enumerate(order)]
