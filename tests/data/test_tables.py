"""Candidates and teacher scores on disk: the same as in the cache, and little in memory."""

from __future__ import annotations

import pickle
import shutil
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.commands import cache as command
from radio.data.loading import Groups
from radio.data.tables import (
    CandidateTable,
    Examples,
    ScoreTable,
    as_candidates,
    as_scores,
    home_of,
    lacking,
    open_table,
    questions_of,
    rows,
    stored,
)
from radio.formats import read_questions
from radio.mapped import Mapped
from radio.samplers import Shift
from radio.schema import Candidate, Example, InputError, Missing, Question
from tests.conftest import World, shown, write_jsonl
from tests.data.test_module import module
from tests.disks import enterable, read_only

QUESTIONS = [Question(f"q{n}", f"What is {n}?") for n in range(5)]
RANKINGS = {f"q{n}": [["a", 3], ["b", 0.1 + n], ["c\ud800", 1e-17]] for n in range(5)}
"""A number that is no float, one that is not exact in decimals, half a character."""


def keys_of(questions: Sequence[Question]) -> list[str]:
    return [f"key of {question.id}" for question in questions]


def filled(folder: Path, entries: dict[str, Any]) -> Cache:
    cache = Cache(folder / "radio.sqlite")
    cache.put_json("candidates", {f"key of {name}": value for name, value in entries.items()})
    return cache


def table(cache: Cache, home: Path) -> CandidateTable:
    return open_table(
        CandidateTable,
        home,
        lambda: rows(CandidateTable, cache, QUESTIONS, keys_of(QUESTIONS), "train", 5),
    )


def test_a_table_has_what_the_cache_has(tmp_path: Path) -> None:
    cache = filled(tmp_path, RANKINGS)
    found = table(cache, tmp_path / "table")
    assert dict(found) == {name: as_candidates(ranking) for name, ranking in RANKINGS.items()}
    # keys of teacher scores tell 3 from 3.0
    assert [type(one.score) for one in found["q1"]] == [int, float, float]
    assert found["q2"][1] == Candidate("b", 1, 2.1)


def test_a_question_may_have_no_candidate(tmp_path: Path) -> None:
    found = table(filled(tmp_path, {**RANKINGS, "q1": []}), tmp_path / "table")
    assert [found.has(question.id) for question in QUESTIONS] == [True, False, True, True, True]
    assert found["q1"] == ()


def test_what_lacks_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    cache = filled(tmp_path, {name: RANKINGS[name] for name in ("q0", "q3")})
    keys = keys_of(QUESTIONS)
    assert [question.id for question in lacking(cache, QUESTIONS, keys)] == ["q1", "q2", "q4"]
    found = {question.id: value for question, value in stored(cache, QUESTIONS, keys, len)}
    assert found == {"q0": 3, "q1": None, "q2": None, "q3": 3, "q4": None}
    with pytest.raises(Missing, match=r"candidates missing for 3 of 5 train questions: q1, q2, q4"):
        table(cache, tmp_path / "table")
    assert not (tmp_path / "table").exists()


def test_a_damaged_entry_is_found_when_the_table_is_made(tmp_path: Path) -> None:
    cache = filled(tmp_path, {**RANKINGS, "q3": [["a", "high"]]})
    with pytest.raises(InputError, match=r"the entry key of q3 \(candidates\) is damaged"):
        table(cache, tmp_path / "table")


def test_the_name_of_a_table_follows_what_it_depends_on(tmp_path: Path) -> None:
    homes = [
        home_of(CandidateTable, tmp_path, ["a", "b"]),
        home_of(CandidateTable, tmp_path, ["a", "c"]),
        home_of(ScoreTable, tmp_path, ["a", "b"]),
    ]
    assert len(set(homes)) == 3
    assert homes[0] == home_of(CandidateTable, tmp_path, iter(["a", "b"]))
    assert homes[0].name.startswith("candidates-")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with enterable() as folder:
        yield folder


def made_elsewhere(cache: Cache, home: Path) -> None:
    """Open a table, and look at where it lies."""
    found = table(cache, home)
    assert len(found) == 5
    assert pickle.loads(pickle.dumps(found))["q1"] == as_candidates(RANKINGS["q1"])
    assert str(home).encode() not in pickle.dumps(found)


def test_beside_a_read_only_cache_a_table_is_made_elsewhere(
    tmp_path: Path, open_folder: Path
) -> None:
    cache = filled(tmp_path, RANKINGS)
    len(table(cache, tmp_path / "warm"))
    with read_only(open_folder), warnings.catch_warnings():
        warnings.simplefilter("error")
        made_elsewhere(cache, open_folder / "candidates")
    assert list(open_folder.iterdir()) == []


def test_so_is_one_that_is_damaged_there_or_may_not_be_read(
    tmp_path: Path, open_folder: Path
) -> None:
    cache, home = filled(tmp_path, RANKINGS), open_folder / "candidates"
    table(cache, home)
    facts = (home / "facts.json").read_bytes()
    (home / "facts.json").write_text("")
    with (
        read_only(open_folder),
        pytest.warns(UserWarning, match=r"is damaged \(.*cannot be replaced \(Permi.*; it is made"),
    ):
        made_elsewhere(cache, home)
    (home / "facts.json").write_bytes(facts)
    home.chmod(0)
    with (
        read_only(open_folder),
        pytest.warns(UserWarning, match=r"cannot be read \(.*Permission denied.*; it is made"),
    ):
        made_elsewhere(cache, home)
    home.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(table(cache, home)) == 5


def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mapped, "fill", full)
    with pytest.raises(InputError, match=r"table: cannot be written \(No space left on device\)"):
        table(filled(tmp_path, RANKINGS), tmp_path / "table")


# Examples


def examples() -> Examples:
    candidates = {question.id: as_candidates(RANKINGS[question.id]) for question in QUESTIONS}
    scores = {"q1": {"a": 0.5}, "q3": {"a": 1.0}}
    return Examples(QUESTIONS, candidates, scores)


def test_an_example_is_put_together_when_it_is_asked_for() -> None:
    found = examples()
    candidates = as_candidates(RANKINGS["q1"])
    assert found[1] == Example(QUESTIONS[1], candidates, {"a": 0.5})
    assert found[-1] == Example(QUESTIONS[4], as_candidates(RANKINGS["q4"]))
    assert [one.question.id for one in found[1:3]] == ["q1", "q2"]
    assert [one.question.id for one in found] == [question.id for question in QUESTIONS]


def test_some_of_them_with_weights() -> None:
    weighted = examples().only([3, 1]).weighted([0.25, 1.0])
    assert [(one.question.id, one.weight) for one in weighted] == [("q3", 0.25), ("q1", 1.0)]
    assert len(examples().only([])) == 0


def test_scores_that_are_none_are_refused() -> None:
    for value in ([0.5], {"a": "high"}, {"a": float("nan")}):
        with pytest.raises(TypeError):
            as_scores(value)


# Questions


def test_questions_of_a_file_are_those_that_are_read_at_once(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": 7, "question": " Where? ", "golden_answers": ["here"], "metadata": {"n": [1, 2.0]}},
        {"id": "b", "question": "Which?", "golden_answers": ["B"], "choices": ["x", "y"]},
        {"id": "c", "question": "Wer fährt?", "golden_answers": 1, "choices": ["x", "y"]},
    ]
    path = write_jsonl(tmp_path / "questions.jsonl", lines)
    found = questions_of(path, tmp_path / "cache", need_answers=True)
    assert list(found) == read_questions(path)
    assert [found[0], found[-1]] == [found[:2][0], found[1:][1]] == read_questions(path)[::2]
    assert found[1].golden_answers == ("y",)
    assert len(pickle.dumps(found)) < 300
    # another text makes another table
    path.write_text(path.read_text().replace("Which", "Who"))
    assert questions_of(path, tmp_path / "cache", need_answers=True)[1].question == "Who?"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the file holds no question"),
        ([{"id": "a", "question": "Who?", "golden_answers": []}], r":1: .* is empty"),
        (
            [{"id": "a", "question": "Who?", "golden_answers": ["b"]}] * 2,
            r":2: id 'a' is a duplicate, first used at .*:1",
        ),
    ],
)
def test_questions_that_are_wrong_are_refused(
    lines: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "questions.jsonl", lines)
    with pytest.raises(InputError, match=message):
        questions_of(path, tmp_path / "cache", need_answers=True)
    with pytest.raises(InputError, match="no such file"):
        questions_of(tmp_path / "else.jsonl", tmp_path / "cache", need_answers=True)


# A data module


def test_groups_are_the_same_to_the_bit_with_tables_that_are_there_or_not(world: World) -> None:
    first = module(world)
    first.prepare_data()
    first.setup("fit")
    folder = first.cache.path.parent / "tables"
    names = sorted(path.name.partition("-")[0] for path in shown(folder))
    # of rationales a table and a note each
    expected = {"candidates": 3, "questions": 3, "rationales": 6, "teacher": 3}
    assert Counter(names) == expected
    there = module(world)
    there.setup("fit")
    shutil.rmtree(folder)
    again = module(world)
    again.setup("fit")
    # those of validation and test are made again too, when they are asked for
    assert folder.is_dir()
    for split in ("train", "validation"):
        sampler = Shift() if split == "train" else None
        drawn = []
        for data in (first, there, again):
            groups = Groups(data.examples[split], data.corpus, sampler, 7)
            drawn.append([groups[epoch, n] for epoch in (0, 1) for n in range(len(groups))])
        assert drawn[0] == drawn[1] == drawn[2]
        assert any(group.passages for groups in drawn[0] for group in groups)


def test_a_worker_process_is_sent_no_table(world: World) -> None:
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    examples = data.examples["train"]
    sent = pickle.dumps(examples)
    assert list(pickle.loads(sent)) == list(examples)
    assert examples[0].candidates[0].passage_id.encode() not in sent


def test_prune_removes_what_was_made_of_the_entries(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    data = module(world)
    data.prepare_data()
    folder = data.cache.path.parent
    assert (folder / "tables").is_dir()
    command.main(["prune", "--cache_dir", str(folder), "--kind", "teacher", "--yes"])
    assert not (folder / "tables").exists()
    again = module(world)
    with pytest.raises(Missing, match="teacher scores missing"):
        again.setup("fit")


def test_memory_does_not_grow_with_the_questions(tmp_path: Path) -> None:
    """A question has 50 candidates, which take some 7 kB as objects of Python."""
    ranking = [[f"passage{n}", n / 7] for n in range(50)]
    questions = [Question(f"q{n}", "What?") for n in range(2000)]
    cache = filled(tmp_path, {question.id: ranking for question in questions})

    def found() -> Any:
        return rows(CandidateTable, cache, questions, keys_of(questions), "train", 2000)

    open_table(CandidateTable, tmp_path / "table", found)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        opened = open_table(CandidateTable, tmp_path / "table", found)
        some = Examples(questions, opened, {}).only(range(0, 2000, 2))
        assert sum(len(example.candidates) for example in some) == 50_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - before) / 2000 < 100
