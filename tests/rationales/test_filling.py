"""The cache filled from a writer of one's own: stored as it comes, refused where it is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rationales import Failure, RationaleWriter, Request, fill, read
from radio.schema import InputError, Question, Rationale

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", (f"Ada {n}",)) for n in range(3)]


class Own(RationaleWriter):
    """Yields what a function makes of the questions."""

    def __init__(self, make: Callable[[Sequence[Question]], Any]) -> None:
        self._make = make

    def write(self, requests: Sequence[Request], cache: Cache) -> Any:
        return self._make([request.question for request in requests])


def requests(writer: RationaleWriter) -> list[Request]:
    return [Request(writer.key(question), question) for question in QUESTIONS]


def filled(folder: Path, make: Callable[[Sequence[Question]], Any]) -> Counter[str]:
    writer, cache = Own(make), Cache(folder / "radio.sqlite")
    return fill(writer, requests(writer), cache, folder / "failures.jsonl", "rationales of train")


def found(folder: Path) -> dict[str, Rationale]:
    keys = {request.question.id: request.key for request in requests(Own(lambda questions: ()))}
    return read(keys, Cache(folder / "radio.sqlite"))


def test_the_one_method_of_a_writer_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(questions: Sequence[Question]) -> Iterator[Rationale | Failure]:
        assert [question.id for question in questions] == ["q0", "q1", "q2"]
        yield Rationale("q2", "Ada 2 was the keeper.")
        yield Failure("q0", "nothing to say")
        yield Rationale("q1", "  ")

    assert filled(tmp_path, make) == {"written": 1, "empty": 1, "failed": 1, "cached": 0}
    assert found(tmp_path)["q2"].text == "Ada 2 was the keeper."
    assert found(tmp_path)["q1"].outcome == "empty"
    failures = (tmp_path / "failures.jsonl").read_text()
    assert json.loads(failures) == {"id": "q0", "error": "nothing to say"}
    said = capsys.readouterr().err
    assert "rationales of train: 1 written, 1 failed, 1 empty; failures: " in said
    assert "rationales of train: 1 empty: such answers are kept" in said


def test_only_those_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def make(questions: Sequence[Question]) -> Iterator[Rationale]:
        asked.extend(question.id for question in questions)
        yield Rationale("q1", "Because.")

    filled(tmp_path, make)
    assert filled(tmp_path, lambda questions: [Rationale(q.id, "So.") for q in questions]) == {
        "cached": 1,
        "written": 2,
    }
    assert asked == ["q0", "q1", "q2"]
    assert {name: rationale.text for name, rationale in found(tmp_path).items()} == {
        "q0": "So.",
        "q1": "Because.",
        "q2": "So.",
    }


def test_an_answer_of_no_use_from_a_file_gets_no_advice_to_ask_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Read(Own):
        asks = False

    writer = Read(lambda questions: [Rationale("q0", "Be", outcome="truncated")])
    cache = Cache(tmp_path / "radio.sqlite")
    fill(writer, requests(writer), cache, tmp_path / "failures.jsonl", "rationales")
    said = capsys.readouterr().err
    assert "rationales: 1 truncated" in said
    assert "ask the same again" not in said


FIRST = Rationale("q0", "Ada 0 was the keeper.")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "found None, expected an iterable of Rationale and Failure"),
        ("text", r"found str \('text'\), expected an iterable"),
        ([FIRST, "text"], r"found str \('text'\), expected an iterable of Rationale and Failure"),
        (
            [FIRST, Rationale("q9", "So.")],
            r"found question id 'q9', expected one that was asked about \(q0, q1, q2, ...\)",
        ),
        ([FIRST, FIRST], "found a second result for question 'q0', expected one for each"),
        ([FIRST, Failure("q0", "no")], "found a second result for question 'q0'"),
        (
            [FIRST, Rationale("q1", None)],  # type: ignore[arg-type]
            "found text None for question 'q1', expected a string, or a Failure where there is",
        ),
    ],
)
def test_what_a_writer_may_not_yield_is_named_and_what_came_before_is_kept(
    result: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"Own\.write: {message}"):
        filled(tmp_path, lambda questions: result)
    came_before = isinstance(result, list)
    assert list(found(tmp_path)) == (["q0"] if came_before else [])
