"""Several writers: each is asked and stored for itself, and a question has the rationales of
all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from data_modules import JsonlDataModule
from radio.cache import Cache
from radio.rationales import Failure, RationaleWriter, Recorded, Request, Several, fill
from radio.schema import InputError, Passage, Question, Rationale
from radio.teachers import Teacher
from tests.conftest import World, entries, read_jsonl, write_jsonl
from tests.data.test_module import WordOverlap, module

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", (f"Ada {n}",)) for n in range(3)]
PASSAGES = [Passage(f"p{n}", f"Lamp\nText {n}.") for n in range(4)]


class Own(RationaleWriter):
    """Writes the question after its name, but for what it is told otherwise."""

    def __init__(self, name: str, shown: int = 0, **results: Any) -> None:
        self.model = name
        self.passages_shown = shown
        self._results = results
        self._asked: list[str] = []
        self._shown: list[int] = []

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        for request in requests:
            question = request.question.id
            self._asked.append(question)
            self._shown.append(len(request.passages))
            result = self._results.get(question, "written")
            if isinstance(result, BaseException):
                raise result
            if result == "failed":
                yield Failure(question, "the line was cut")
            elif result == "written":
                yield Rationale(question, f"{self.model} on {question}", self.model, "", {"in": 2})
            else:
                yield Rationale(question, f"{self.model}?", self.model, "", {"in": 1}, result)

    def estimate(self, requests: Sequence[Request]) -> str:
        return f"{len(requests)} cents"

    def status(self) -> str:
        return "1 cent"

    def hint(self) -> str:
        return f"ask {self.model} again"


def requests(writer: RationaleWriter) -> list[Request]:
    made = []
    for question in QUESTIONS:
        shown = PASSAGES[: writer.passages_shown]
        made.append(Request(writer.key(question, shown), question, shown))
    return made


def filled(writer: RationaleWriter, folder: Path) -> dict[str, Rationale]:
    cache = Cache(folder / "radio.sqlite")
    asked = requests(writer)
    fill(writer, asked, cache, folder / "failures.jsonl", "rationales")
    return writer.stored(asked, cache)


def test_a_question_has_the_rationales_of_all_writers(tmp_path: Path) -> None:
    first, second, third = Own("one"), Own("two", shown=2), Own("three", shown=3)
    found = filled(Several([first, second, third]), tmp_path)
    assert found["q1"] == Rationale(
        "q1", "one on q1", "one", "", {"in": 6}, others=("two on q1", "three on q1")
    )
    assert found["q1"].texts == ("one on q1", "two on q1", "three on q1")
    assert set(found) == {"q0", "q1", "q2"}
    assert (set(first._shown), set(second._shown), set(third._shown)) == ({0}, {2}, {3})
    # each once, and nothing beside them
    assert entries(Cache(tmp_path / "radio.sqlite")) == {"rationale": 9}


def test_each_is_paid_once_alone_or_with_others(tmp_path: Path) -> None:
    first = Own("one")
    assert filled(first, tmp_path)["q0"].others == ()
    again, second = Own("one"), Own("two")
    assert filled(Several([again, second]), tmp_path)["q0"].texts == ("one on q0", "two on q0")
    assert again._asked == []
    alone = Own("two")
    assert filled(alone, tmp_path)["q2"].text == "two on q2"
    assert alone._asked == []
    turned = Several([Own("two"), Own("one")])
    assert filled(turned, tmp_path)["q0"].texts == ("two on q0", "one on q0")


def test_a_question_that_one_writer_fails_is_named_with_it_and_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writers = [Own("one", q0="failed"), Own("two", q2="failed")]
    several = Several(writers)
    assert set(filled(several, tmp_path)) == {"q1"}
    assert read_jsonl(tmp_path / "failures.jsonl") == [
        {"id": "q0", "error": "writer 1, Own (one): the line was cut"},
        {"id": "q2", "error": "writer 2, Own (two): the line was cut"},
    ]
    said = capsys.readouterr().err
    assert "rationales, 1 of 2: 3 of 3 missing; 3 cents" in said
    assert "rationales, 2 of 2: 2 written, 1 failed; 1 cent; failures: " in said
    cache = Cache(tmp_path / "radio.sqlite")
    results = list(several.write(requests(several), cache))
    assert results[0] == Failure("q0", "writer 1, Own (one): no rationale")
    later = [Own("one"), Own("two")]
    assert set(filled(Several(later), tmp_path)) == {"q0", "q1", "q2"}
    assert [writer._asked for writer in later] == [["q0"], ["q2"]]
    assert not (tmp_path / "failures.jsonl").exists()


def test_a_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    stopped = Several([Own("one"), Own("two", q1=KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        filled(stopped, tmp_path)
    later = [Own("one"), Own("two")]
    assert len(filled(Several(later), tmp_path)) == 3
    assert [writer._asked for writer in later] == [[], ["q1", "q2"]]


@pytest.mark.parametrize("outcome", ["refused", "truncated", "empty"])
def test_a_text_of_no_use_is_left_out_as_long_as_there_is_another(
    outcome: str, tmp_path: Path
) -> None:
    writers = [Own("one", q0=outcome, q1=outcome), Own("two", q1=outcome, q2=outcome)]
    found = filled(Several(writers), tmp_path)
    assert (found["q0"].texts, found["q0"].outcome) == (("two on q0",), "written")
    assert (found["q1"].texts, found["q1"].outcome) == (("one?",), outcome)
    assert found["q2"].texts == ("one on q2",)
    assert found["q0"].usage == {"in": 3}


def test_what_writers_say_is_passed_on(tmp_path: Path) -> None:
    several = Several([Own("one"), Own("two")])
    assert several.estimate(requests(several)) == "3 cents"
    assert several.status() == "1 cent"
    assert several.hint().split("; ") == [
        "writer 1, Own (one): ask one again",
        "writer 2, Own (two): ask two again",
    ]
    assert several.asks


def test_files_of_rationales_are_writers_too(tmp_path: Path) -> None:
    rows = [{"id": f"q{n}", "rationale": f"Recorded {n}."} for n in range(3)]
    files = [
        write_jsonl(tmp_path / "a.jsonl", rows),
        write_jsonl(tmp_path / "b.jsonl", [{**row, "rationale": "Other."} for row in rows[:2]]),
    ]
    several = Several([Recorded(str(file)) for file in files])
    found = filled(several, tmp_path)
    assert found["q0"].texts == ("Recorded 0.", "Other.")
    # the second file has none for it
    assert "q2" not in found
    assert not several.asks
    assert "a.jsonl" in several.hint()
    before = several.key(QUESTIONS[0]), several.key(QUESTIONS[1])
    write_jsonl(files[1], [{"id": "q0", "rationale": "Third."}, {**rows[1], "rationale": "Other."}])
    changed = Several([Recorded(str(file)) for file in files])
    assert changed.key(QUESTIONS[0]) != before[0]
    assert changed.key(QUESTIONS[1]) == before[1]


@pytest.mark.parametrize(
    ("writers", "message"),
    [
        ([], "Several: writers: found no writer, expected one or several"),
        ([Several([Own("one")])], "found a writer that is several itself"),
    ],
)
def test_writers_that_make_no_sense_are_refused(
    writers: list[RationaleWriter], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Several(writers)


class TextsSeen(WordOverlap):
    """Notes the texts of the rationales that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: set[int] = set()

    def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
        self._texts.add(len(rationale.texts))
        return super().score(question, rationale, passages)


def prepared(world: World, teacher: Teacher, names: Sequence[str]) -> JsonlDataModule:
    writers = [Recorded(str(world.folder / name)) for name in names]
    data = module(world, rationales=Several(list(writers)), teacher=teacher)
    data.prepare_data()
    data.setup("fit")
    return data


def test_a_pass_from_questions_to_examples(world: World) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    others = [{**row, "rationale": f"Again: {row['rationale']}"} for row in rows]
    write_jsonl(world.folder / "others.jsonl", others)
    teacher = TextsSeen()
    data = prepared(world, teacher, ["rationales.jsonl", "others.jsonl"])
    assert teacher._texts == {2}
    assert all(example.teacher for example in data.examples["train"])
    calls = teacher._calls
    # a changed text of the second writer is another rationale
    write_jsonl(world.folder / "others.jsonl", [{**others[0], "rationale": "New."}, *others[1:]])
    again = TextsSeen()
    prepared(world, again, ["rationales.jsonl", "others.jsonl"])
    assert again._calls == 1 < calls
