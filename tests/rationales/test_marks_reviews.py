"""Marks: none is lost, and people are compared rightly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radio.rationales.marks import Mark, ReviewItem, Reviews, agreement, read_marks
from radio.schema import InputError
from tests.conftest import PATIENCE, read_jsonl
from tests.rationales.reviewing import about, ask, make_items, serving


def test_the_latest_row_counts_and_each_change_is_on_disk(tmp_path: Path) -> None:
    item, other = make_items(2)
    reviews = Reviews(tmp_path / "new" / "folder", "ann")
    reviews.put(item.key, "wrong", "é \u2028 \n second line")
    reviews.put(item.key, "partly")
    reviews.put(other.key, None, "look again")
    assert read_marks(reviews.path)[item.key].mark == "partly"
    assert read_marks(reviews.path)[other.key] == reviews.marks[other.key]
    rows = [json.loads(line) for line in reviews.path.read_bytes().decode().split("\n")[:-1]]
    assert [row["mark"] for row in rows] == ["wrong", "partly", None]
    assert rows[0]["note"] == "é \u2028 \n second line"
    assert set(rows[0]) == {"id", "rationale", "mark", "note", "annotator", "time"}
    reviews.put(item.key, "partly")
    assert len(reviews.path.read_bytes().splitlines()) == 3, "the same mark again is no change"
    reviews.close()


def test_undo_goes_back_change_by_change(tmp_path: Path) -> None:
    item, other = make_items(2)
    reviews = Reviews(tmp_path, "ann")
    reviews.put(item.key, "wrong", "why")
    reviews.put(item.key, "correct", "after all")
    reviews.put(other.key, "leaks")
    assert reviews.undo() == other.key
    assert reviews.marks[other.key].mark is None
    assert reviews.undo() == item.key
    assert (reviews.marks[item.key].mark, reviews.marks[item.key].note) == ("wrong", "why")
    assert reviews.undo() == item.key
    assert reviews.undo() is None
    reviews.close()
    assert {mark.mark for mark in read_marks(reviews.path).values()} == {None}


def test_a_killed_process_loses_no_mark_and_frees_the_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from radio.rationales.marks import "
        "Reviews\n"
        "reviews = Reviews(Path(sys.argv[1]), 'ann')\n"
        "for n in range(50): reviews.put((f'q-{n}', 'x'), 'wrong')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    reviews = Reviews(tmp_path, "ann")
    assert len(reviews.marks) == 50
    reviews.close()


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_cut_off_last_line_is_left_out_and_the_next_mark_starts_a_line(
    tmp_path: Path, cut: int
) -> None:
    items = make_items(3)
    reviews = Reviews(tmp_path, "ann")
    reviews.put(items[0].key, "wrong")
    reviews.put(items[1].key, "leaks")
    reviews.close()
    reviews.path.write_bytes(reviews.path.read_bytes()[:-cut])
    left = (
        {items[0].key, items[1].key} if cut == 1 else {items[0].key}
    )  # 1: only the end of the line is missing
    assert set(read_marks(reviews.path)) == left
    again = Reviews(tmp_path, "ann")
    again.put(items[2].key, "correct")
    again.close()
    assert set(read_marks(again.path)) == {*left, items[2].key}
    assert len(read_jsonl(again.path)) == len(left) + 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "ann.jsonl").write_text('{"id": "q", "mark": "good"}\n')
    with pytest.raises(
        InputError,
        match=r"ann.jsonl:1: found .*good.*expected .*correct, partly, wrong, leaks or null",
    ):
        Reviews(tmp_path, "ann")
    (tmp_path / "ann.jsonl").unlink()
    Reviews(tmp_path, "ann").close()


def test_a_mark_of_an_older_text_does_not_count(tmp_path: Path) -> None:
    (item,) = make_items(1)
    changed = ReviewItem(item.id, item.question, item.golden_answers, (), "Another text.")
    with serving([item], tmp_path) as server:
        assert ask(server, "/api/mark", about(item, "wrong"))[0] == 200
    with serving([changed], tmp_path) as server:
        assert ask(server, "/api/state")[1]["items"] == [[item.id, None, []]]
        status, answer = ask(server, "/api/mark", about(item, "wrong"))
        assert status == 409
        assert "another one now" in answer["error"]
    with serving([item], tmp_path) as server:
        assert ask(server, "/api/state")[1]["items"] == [[item.id, "wrong", []]]


@pytest.mark.parametrize("name", ["", "../ann", "a b", ".ann", "-ann", "a/b", "a\n", "x" * 101])
def test_the_name_must_be_a_plain_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"annotator: found .* expected a plain name"):
        Reviews(tmp_path, name)


def test_a_name_is_used_once_at_a_time(tmp_path: Path) -> None:
    first = Reviews(tmp_path, "ann")
    with pytest.raises(InputError, match="'ann' is reviewing there already"):
        Reviews(tmp_path, "ann")
    Reviews(tmp_path, "ben").close()
    first.close()
    Reviews(tmp_path, "ann").close()


def test_a_folder_that_is_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        Reviews(tmp_path / "file", "ann")


# Agreement


def test_agreement_against_a_hand_computed_kappa() -> None:
    # 20 both correct, 5 and 10 apart, 15 both wrong: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4
    # = 0.5, kappa 0.4
    items = make_items(60)
    both = [("correct", "correct")] * 20 + [("correct", "wrong")] * 5 + [("wrong", "correct")] * 10
    both += [("wrong", "wrong")] * 15
    ann = {item.key: Mark(a) for item, (a, _) in zip(items, both, strict=False)}
    ben = {item.key: Mark(b) for item, (_, b) in zip(items, both, strict=False)}
    ann[items[55].key], ben[items[56].key] = Mark("leaks"), Mark("leaks")
    ann[items[57].key], ben[items[57].key] = Mark(None, "a note is no mark"), Mark("wrong")
    result = agreement(items, {"ann": ann, "ben": ben, "eve": {items[58].key: Mark("wrong")}})
    (pair,) = result["pairs"]
    assert pair == {
        "annotators": ["ann", "ben"],
        "common": 50,
        "agree": 0.7,
        "kappa": pytest.approx(0.4),
    }
    assert result["marked"] == {"ann": 51, "ben": 52, "eve": 1}
    assert [row["index"] for row in result["disagreements"]] == list(range(20, 35))
    assert result["disagreements"][0]["marks"] == {"ann": "correct", "ben": "wrong"}


def test_kappa_of_one_and_the_same_mark_is_unknown() -> None:
    items = make_items(3)
    marks = {item.key: Mark("correct") for item in items}
    (pair,) = agreement(items, {"ann": marks, "ben": marks})["pairs"]
    assert pair["agree"] == 1
    assert pair["kappa"] is None
