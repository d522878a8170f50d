"""Files on disk: FlashRAG JSONL (plain or gzip), TREC runs, rationale rows. Every error names file,
line and key."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal

from radio.lines import NAMES, kind_of, read_lines, read_rows
from radio.schema import Candidate, InputError, Passage, Question, Rationale
from radio.text import normalise_question

Run = dict[str, dict[str, float]]
"""A ranking of passages for each question: ``run[question_id][passage_id] = score``."""


def _take(row: Mapping[str, Any], place: str, key: str, kind: type, default: Any = ...) -> Any:
    """Value of ``key`` after a type check; a missing key is an error unless a default is given."""
    value = row.get(key)
    if value is None:
        if default is not ...:
            return default
        found = "null" if key in row else f"only the keys {', '.join(map(repr, row)) or '(none)'}"
        raise InputError(f"{place}: key {key!r} is missing: found {found}, expected {NAMES[kind]}")
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InputError(
            f"{place}: key {key!r}: found {kind_of(value)} ({str(value)[:60]!r}), expected "
            f"{NAMES[kind]}"
        )
    if isinstance(value, str):
        _check_text(value, place, key)
    return value


def _check_text(value: str, place: str, key: str) -> None:
    """Half of a surrogate pair, as a text cut at a fixed length ends, cannot be hashed or
    written."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{place}: key {key!r}: found a broken character ({error}), expected valid Unicode"
        ) from None


def _take_id(row: Mapping[str, Any], place: str, key: str = "id") -> str:
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text: str = _take(row, place, key, str)
    if not text or text.split() != [text]:
        raise InputError(
            f"{place}: key {key!r}: found {text!r}, expected a non-empty string without white space"
        )
    return text


def _take_strings(row: Mapping[str, Any], place: str, key: str) -> tuple[str, ...]:
    values = _take(row, place, key, list, default=[])
    for value in values:
        if not isinstance(value, str):
            raise InputError(
                f"{place}: key {key!r}: found {kind_of(value)} in the list, expected strings only"
            )
        _check_text(value, place, key)
    return tuple(values)


def read_questions(path: str | Path, *, need_answers: bool = True) -> list[Question]:
    """Read questions: JSONL, a line as :func:`take_questions` reads it."""
    questions = take_questions(read_rows(Path(path)), need_answers=need_answers)
    if not questions:
        raise InputError(f"{path}: the file holds no question")
    return questions


def take_questions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], *, need_answers: bool = True
) -> list[Question]:
    """All questions of :func:`iter_questions`."""
    return list(iter_questions(rows, need_answers=need_answers))


def iter_questions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], *, need_answers: bool = True
) -> Iterator[Question]:
    """Questions of rows ``{"id", "question", "golden_answers", ["choices"], ["metadata"]}``, each
    with its place.

    A multiple-choice row may give its answer as the 0-based index into ``choices`` (FlashRAG's
    convention).

    Raises:
        InputError: missing key, wrong type, empty answers (unless ``need_answers`` is off) or
            duplicate id.
    """
    seen: dict[str, str] = {}
    for place, row in rows:
        question = _take_question(row, place, need_answers)
        if question.id in seen:
            raise InputError(
                f"{place}: id {question.id!r} is a duplicate, first used at {seen[question.id]}"
            )
        seen[question.id] = place
        yield question


def _take_question(row: Mapping[str, Any], place: str, need_answers: bool) -> Question:
    identifier = _take_id(row, place)
    text = _take(row, place, "question", str).strip()
    if not text:
        raise InputError(f"{place}: key 'question' is empty, expected the text of the question")
    choices = _take_strings(row, place, "choices")
    index = row.get("golden_answers")
    index = index[0] if isinstance(index, list) and len(index) == 1 else index
    if choices and isinstance(index, int) and not isinstance(index, bool):
        if not 0 <= index < len(choices):
            raise InputError(
                f"{place}: key 'golden_answers': found index {index}, expected "
                f"0..{len(choices) - 1}"
            )
        answers: tuple[str, ...] = (choices[index],)
    else:
        if need_answers:
            _take(row, place, "golden_answers", list)
        answers = tuple(a for a in _take_strings(row, place, "golden_answers") if a.strip())
    if need_answers and not answers:
        raise InputError(
            f"{place}: key 'golden_answers' of question {identifier!r} is empty, expected at least "
            "one answer"
        )
    return Question(
        identifier, text, answers, choices, _take(row, place, "metadata", dict, default={})
    )


def read_passages(path: str | Path) -> dict[str, Passage]:
    """Read a corpus: JSONL ``{"id", "contents"}``, title on the first line of ``contents``; returns
    id -> passage.

    Raises:
        InputError: broken line, missing key, wrong type, duplicate id, or no passage at all.
    """
    path = Path(path)
    seen: dict[str, str] = {}
    passages = {}
    for place, row in read_rows(path):
        identifier = _take_id(row, place)
        if identifier in seen:
            raise InputError(
                f"{place}: id {identifier!r} is a duplicate, first used at {seen[identifier]}"
            )
        seen[identifier] = place
        passages[identifier] = take_passage(row, place)
    if not passages:
        raise InputError(
            f'{path}: the corpus is empty, expected lines like {{"id": ..., "contents": ...}}'
        )
    return passages


def take_passage(row: Mapping[str, Any], place: str) -> Passage:
    """The passage of a row ``{"id", "contents"}``."""
    return Passage(_take_id(row, place), _take(row, place, "contents", str))


def read_beir(path: str | Path) -> Iterator[tuple[str, str, str, str]]:
    """Place, id, title and text of the rows ``{"_id", "text", ["title"]}`` of a corpus or of
    queries, as BEIR has them.

    Raises:
        InputError: broken line, missing key or wrong type.
    """
    for place, row in read_rows(Path(path)):
        title = _take(row, place, "title", str, default="")
        yield place, _take_id(row, place, "_id"), title, _take(row, place, "text", str)


def read_rationales(path: str | Path) -> tuple[dict[str, Rationale], dict[str, Rationale]]:
    """Read rationales by question id, and by question text for rows that carry no id.

    Rows are ``{"id" or "question_id", "rationale"}``, optionally with ``"model"``, ``"prompt"``,
    ``"usage"`` and ``"outcome"``; the published rows ``{"question", "golden_answers", "reason"}``
    have no id and join by :func:`radio.text.normalise_question`.

    Raises:
        InputError: broken line, missing key, wrong type, empty text or a duplicate.
    """
    by_id, by_text = read_rationale_files([path])
    return {key: row.rationale for key, row in by_id.items()}, {
        key: row.rationale for key, row in by_text.items()
    }


@dataclass(frozen=True, slots=True)
class RationaleRow:
    """A rationale as a file gives it, with its place ``file:line`` and the question that it is said
    to be of."""

    rationale: Rationale
    place: str
    question: str | None = None


def read_rationale_files(
    paths: Iterable[str | Path],
) -> tuple[dict[str, RationaleRow], dict[str, RationaleRow]]:
    """Read rationales of several files, as :func:`read_rationales` does of one.

    Raises:
        InputError: as there; two rows of these files contradict each other.
    """
    by_id: dict[str, RationaleRow] = {}
    by_text: dict[str, RationaleRow] = {}
    for path in paths:
        for place, row in read_rows(Path(path)):
            found = _take_rationale(row, place)
            if found.rationale.question_id:
                _add_rationale(by_id, found.rationale.question_id, found)
            else:
                _add_rationale(by_text, normalise_question(found.question or ""), found)
    return by_id, by_text


def _take_rationale(row: Mapping[str, Any], place: str) -> RationaleRow:
    key = "reason" if "reason" in row and "rationale" not in row else "rationale"
    text = _take(row, place, key, str).strip()
    model = _take(row, place, "model", str, default="recorded")
    prompt = _take(row, place, "prompt", str, default="")
    usage = _take(row, place, "usage", dict, default={})
    outcome = _take(row, place, "outcome", str, default="written")
    if not text and outcome == "written":
        raise InputError(f"{place}: key {key!r} is empty, expected the rationale")
    named = [name for name in ("question_id", "id") if name in row]
    identifier = _take_id(row, place, named[0]) if named else ""
    question = _take(row, place, "question", str, default=None if named else ...)
    return RationaleRow(Rationale(identifier, text, model, prompt, usage, outcome), place, question)


def _add_rationale(table: dict[str, RationaleRow], key: str, row: RationaleRow) -> None:
    """Add a row to those of other questions; one that says the same again adds nothing."""
    first = table.setdefault(key, row)
    if first.rationale.text != row.rationale.text:
        raise InputError(
            f"{row.place}: a second, different rationale for {key!r}, the first is at "
            f"{first.place}; expected one a question"
        )
    texts = [
        normalise_question(found.question) for found in (first, row) if found.question is not None
    ]
    if len(set(texts)) > 1:
        raise InputError(
            f"{row.place}: the id {key!r} is of the question {row.question!r} here, and of "
            f"{first.question!r} at {first.place}; leave the ids out of these files, and their "
            "rows join by the text of the question"
        )
    if first.question is None:
        table[key] = row


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


Better = Literal["higher", "lower"]
"""Which scores of a candidate file are the better ones: ``lower`` are distances."""


def read_candidates(
    path: str | Path, better: Better | None = None
) -> tuple[dict[str, list[Candidate]], dict[str, Passage]]:
    """Read candidates from a TREC run or JSONL; returns question id -> ranked candidates, and
    passages given inline.

    JSONL rows are ``{"id", "candidates": [{"id", "score", ["contents"], ["from"]}]}`` or ``{"id",
    "candidate_ids", ["scores"]}``; without scores, that of a candidate is 1 / (1 + rank). A
    candidate whose ``from`` names ``gold`` but not ``bm25`` was put in by hand; it is marked as
    ``injected``.

    Args:
        path: the file.
        better: which scores are better; lower ones are negated. None is ``higher``, and refuses a
            file whose lists say otherwise.

    Raises:
        InputError: broken line, missing key, wrong type, a candidate listed twice, one id for two
            texts, a list of which only some have scores, or lists that begin with the lowest score
            though higher ones are better.
    """
    path = Path(path)
    first = next((line for _, line in read_lines(path)), "")
    if not first:
        raise InputError(f"{path}: the file holds no candidate")
    lists: dict[str, dict[str, float | None]] = {}
    passages: dict[str, Passage] = {}
    injected: set[tuple[str, str]] = set()
    if first.lstrip().startswith("{"):
        for place, row in read_rows(path):
            question = _take_id(row, place)
            if question in lists:
                raise InputError(f"{place}: question id {question!r} is a duplicate")
            lists[question] = _take_candidates(row, place, passages, injected)
    else:
        lists.update({question: {**scores} for question, scores in read_run(path).items()})
    scored = [[s for s in scores.values() if s is not None] for scores in lists.values()]
    if better is None:
        _refuse_distances(path, scored)
    sign = -1 if better == "lower" else 1
    result = {}
    for question, scores in lists.items():
        final = {
            passage: 1 / (1 + position) if score is None else sign * score + 0.0
            for position, (passage, score) in enumerate(scores.items())
        }
        result[question] = [
            replace(c, injected=(question, c.passage_id) in injected) for c in ranked(final)
        ]
    return result, passages


def _take_candidates(
    row: Mapping[str, Any], place: str, passages: dict[str, Passage], injected: set[tuple[str, str]]
) -> dict[str, float | None]:
    """Scores by passage id as a row lists them; adds its passages, and those that were put in by
    hand."""
    question = _take_id(row, place)
    if "candidate_ids" in row:
        ids = _take(row, place, "candidate_ids", list)
        given = _take(row, place, "scores", list, default=[None] * len(ids))
        if len(ids) != len(given):
            raise InputError(f"{place}: found {len(ids)} candidate_ids but {len(given)} scores")
        entries = [{"id": i, "score": s} for i, s in zip(ids, given, strict=True)]
    else:
        entries = _take(row, place, "candidates", list)
    scores: dict[str, float | None] = {}
    for position, entry in enumerate(entries):
        spot = f"{place}: candidate {position + 1}"
        if not isinstance(entry, dict):
            raise InputError(
                f"{spot}: found {kind_of(entry)}, expected an object with 'id' and 'score'"
            )
        identifier = _take_id(entry, spot)
        if identifier in scores:
            raise InputError(f"{spot}: passage id {identifier!r} stands twice in the list")
        if "contents" in entry:
            add_passage(passages, Passage(identifier, _take(entry, spot, "contents", str)), spot)
        origin = _take_strings(entry, spot, "from")
        if "gold" in origin and "bm25" not in origin:
            injected.add((question, identifier))
        score = scores[identifier] = _number(entry.get("score"), spot)
        if position and (score is None) != (next(iter(scores.values())) is None):
            has = (
                "no score, but the first candidate has one"
                if score is None
                else "a score, but the first has none"
            )
            raise InputError(
                f"{spot}: key 'score': found {has}; expected one for each candidate of a list, or "
                "for none"
            )
    return scores


def _number(value: Any, place: str) -> float | None:
    """A score, or None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{place}: key 'score': found {kind_of(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{place}: key 'score': found {str(value)[:60]}, expected a finite number")
    return number


def _refuse_distances(path: Path, lists: Sequence[Sequence[float]]) -> None:
    """Lists that all begin with their lowest score are sorted, best first: by a distance."""
    decided = [scores for scores in lists if len(set(scores)) > 1]
    rising = [scores for scores in decided if all(a <= b for a, b in pairwise(scores))]
    # how likely it is that scores which stand in no order rise all the same: few short lists may
    chance = -sum(math.lgamma(len(set(scores)) + 1) for scores in rising)
    if 2 * len(rising) > len(decided) and chance < math.log(0.01):
        raise InputError(
            f"{path}: in {len(rising)} of {len(decided)} lists the scores rise from the first "
            "candidate to the last, as distances do; a higher score would rank the last one "
            "first. Say which scores are better with --data.init_args.retriever.init_args.better "
            "lower (or higher, if they are as they should be)"
        )


def ranked(scores: Mapping[str, float]) -> list[Candidate]:
    """Candidates best first; equal scores in the order of their ids, which no system can profit
    from."""
    order = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Candidate(identifier, rank, score) for rank, (identifier, score) in enumerate(order)]


def read_run(path: str | Path) -> Run:
    """Read a TREC run (``question_id Q0 passage_id rank score tag``).

    Raises:
        InputError: a line without six columns, or a score that is no finite number.
    """
    path = Path(path)
    run: Run = {}
    for number, line in read_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise InputError(
                f"{path}:{number}: found {len(columns)} columns, expected 6: question_id Q0 "
                "passage_id rank score tag"
            )
        score = _score(columns, 5, f"{path}:{number}")
        scores = run.setdefault(columns[0], {})
        if columns[2] in scores:
            raise InputError(
                f"{path}:{number}: passage id {columns[2]!r} stands twice for question "
                f"{columns[0]!r}"
            )
        scores[columns[2]] = score
    return run


def _score(columns: Sequence[str], column: int, place: str) -> float:
    """The number in a column, counted from 1."""
    found = columns[column - 1]
    try:
        score = float(found)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{place}: column {column}: found {found!r}, expected a finite score")
    return score


def read_qrels(path: str | Path) -> Run:
    """Read judgements as BEIR has them: a header, then ``query-id corpus-id score``.

    Raises:
        InputError: another header, a line without three columns, a score that is no finite number,
            or two scores for the same passage and query.
    """
    path = Path(path)
    header = "query-id corpus-id score".split()
    run: Run = {}
    lines = read_lines(path)
    number, first = next(lines, (1, ""))
    if first.split() != header:
        raise InputError(
            f"{path}:{number}: found {first.strip()[:60]!r}, expected the header {' '.join(header)}"
        )
    for number, line in lines:
        columns = line.split()
        if len(columns) != 3:
            raise InputError(
                f"{path}:{number}: found {len(columns)} columns, expected 3: {' '.join(header)}"
            )
        score = _score(columns, 3, f"{path}:{number}")
        known = run.setdefault(columns[0], {}).setdefault(columns[1], score)
        if known != score:
            raise InputError(
                f"{path}:{number}: found score {score:g} for {columns[:2]}, which has {known:g} "
                "already"
            )
    return run


def write_run(path: str | Path, run: Mapping[str, Mapping[str, float]], tag: str) -> None:
    """Write a TREC run, passages by descending score."""
    with atomic_write(path) as file:
        for question, scores in run.items():
            for candidate in ranked(scores):
                rank, score = candidate.rank + 1, float(candidate.score)
                file.write(f"{question} Q0 {candidate.passage_id} {rank} {score!r} {tag}\n")


def write_jsonl(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """Write to a temporary file beside ``path`` and rename it when complete, so that no
    half-written file is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
