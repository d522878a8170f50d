"""What can be evaluated, by name: the rankings of a run, and those that tell how far one could get.

A ranking is a value with a name: question id -> passage id -> score. A generator and the ranking
metrics read any of them, wherever it comes from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from radio.schema import Example, InputError, Passage, Run

OF_THE_RUN = ("retriever", "base", "tuned")
"""The rankings of an evaluation: the retriever's, the reranker's before training, and now."""

FUSED = "fused"
"""The ranking of the tuned reranker merged with the retriever's, where the run makes one."""

CLOSED_BOOK = "closed_book"
"""No ranking: what a generator answers without any passage."""

SYSTEMS = (CLOSED_BOOK, "random", *OF_THE_RUN, FUSED, "teacher", "annotated")
"""In the order in which they are shown: from what needs no ranking to what knows the answer."""

Order = Callable[[Example, Mapping[str, Passage]], Sequence[str] | None]
"""Ids of the passages of a question, best first; None where it has no such ranking."""


@dataclass(frozen=True, slots=True)
class MadeRanking:
    """A ranking that an evaluation makes by itself."""

    order: Order
    needs: str
    """What a question lacks that it cannot rank."""
    remedy: str
    """What to do where all questions lack it."""


def teachers_order(example: Example, passages: Mapping[str, Passage]) -> Sequence[str] | None:
    """By the teacher's scores; equal ones in the retriever's order."""
    if not example.teacher:
        return None
    scores = example.teacher
    known = [passage_id for passage_id in _retrieved(example) if passage_id in scores]
    return sorted(known, key=lambda passage_id: -scores[passage_id])


def annotated_first(example: Example, passages: Mapping[str, Passage]) -> Sequence[str] | None:
    """The annotated passages by their grades, found by the retriever or not, then the others in its
    order."""
    grades = example.question.gold
    retrieved = _retrieved(example)
    missed = [passage_id for passage_id in grades if passage_id not in retrieved]
    # what the corpus lacks cannot be read
    there = [passage_id for passage_id in missed if passage_id in passages]
    if not grades or not (there or grades.keys() & set(retrieved)):
        return None
    return sorted([*retrieved, *there], key=lambda passage_id: -grades.get(passage_id, 0.0))


def shuffled(example: Example, passages: Mapping[str, Passage]) -> Sequence[str] | None:
    """The retriever's candidates in an order that the ids alone decide, always the same."""
    question_id = example.question.id
    return sorted(_retrieved(example), key=lambda passage_id: lot(question_id, passage_id))


def lot(*names: str) -> str:
    """A number drawn for these names, the same in every process and run, as hexadecimal digits."""
    return hashlib.sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()


def _retrieved(example: Example) -> list[str]:
    """Ids of the candidates in the retriever's order."""
    ordered = sorted(example.candidates, key=lambda candidate: candidate.rank)
    return [candidate.passage_id for candidate in ordered]


RANKINGS: dict[str, MadeRanking] = {
    "teacher": MadeRanking(
        teachers_order,
        "teacher scores",
        "the split needs rationales (data.init_args.rationale_splits), or a teacher without",
    ),
    "annotated": MadeRanking(
        annotated_first,
        "annotated passages that the corpus has",
        "the questions need gold_ids in their metadata",
    ),
    "random": MadeRanking(shuffled, "candidates", ""),
}
"""By name, beside those of the run."""


def check_rankings(part: object, names: Iterable[str]) -> None:
    """Refuse names of rankings that there are not.

    Args:
        part: whose setting they are.
        names: of rankings.

    Raises:
        InputError: names the one that is unknown, and those there are.
    """
    names = list(names)
    known = [name for name in SYSTEMS if name != CLOSED_BOOK]
    kind = type(part).__name__
    for name in names:
        if name not in known:
            hint = "; that is a setting of its own: closed_book" if name == CLOSED_BOOK else ""
            raise InputError(
                f"{kind}: rankings: found {name!r}, expected some of {', '.join(known)}{hint}"
            )
    if not names:
        raise InputError(f"{kind}: rankings: found [], expected some of {', '.join(known)}")


def chosen(
    part: object,
    names: Sequence[str],
    of_the_run: Mapping[str, Run],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
) -> dict[str, Run]:
    """The rankings of these names, in the order in which they are shown.

    One of the run that was not made (there is no untrained reranker to compare with) is left out;
    and so is a question that has no such ranking, from that ranking alone.

    Args:
        part: who asks, for messages.
        names: of rankings.
        of_the_run: those of the run, by name, all of the same questions.
        examples: by question id, at least those of the rankings.
        passages: the corpus.

    Raises:
        InputError: no question has one of them.
    """
    rankings: dict[str, Run] = {}
    for name in in_order(names):
        if name in RANKINGS:
            rankings[name] = _made(part, name, of_the_run["retriever"], examples, passages)
        elif name in of_the_run:
            rankings[name] = of_the_run[name]
    return rankings


def _made(
    part: object,
    name: str,
    asked: Iterable[str],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
) -> Run:
    kind, ranking = RANKINGS[name], {}
    for question_id in asked:
        order = kind.order(examples[question_id], passages)
        if order is not None:
            ranking[question_id] = as_scores(order)
    if not ranking:
        raise InputError(nothing_to_rank(part, name))
    return ranking


def nothing_to_rank(part: object, name: str) -> str:
    """The message for a ranking that no question has."""
    kind = RANKINGS[name]
    needs = f"but no question has {kind.needs}; {kind.remedy}"
    return f"{type(part).__name__}: rankings: found {name!r}, {needs}"


def as_scores(order: Sequence[str]) -> dict[str, float]:
    """Scores that give this order: how many places a passage is above the end."""
    return {passage_id: float(len(order) - place) for place, passage_id in enumerate(order)}


def in_order(names: Iterable[str]) -> list[str]:
    """Names of systems, each once, in the order in which they are shown; others at the end."""
    names = list(dict.fromkeys(names))
    known = [name for name in SYSTEMS if name in names]
    return known + [name for name in names if name not in SYSTEMS]
