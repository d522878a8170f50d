"""Candidates are ranked by score, and carry their passages."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.formats import (
    read_candidates,
    take_candidates,
)
from radio.schema import Candidate, InputError, Passage
from tests.formats.readers import message


def test_candidates_are_ranked_by_score_and_carry_their_passages(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "q1", "candidates": [{"id": "a", "score": 1, "contents": "T\\nA"}, {"id": 5, '
        '"score": 2.5}]}',
        '{"id": "q2", "candidate_ids": ["c", "d"], "scores": [1, 3]}',
        '{"id": "q3", "candidate_ids": ["c", "d"]}',
        '{"id": "q4", "candidates": []}',
    )
    candidates, passages = read_candidates(path)
    assert candidates == {
        "q1": [Candidate("5", 0, 2.5), Candidate("a", 1, 1.0)],
        "q2": [Candidate("d", 0, 3.0), Candidate("c", 1, 1.0)],
        "q3": [Candidate("c", 0, 1.0), Candidate("d", 1, 0.5)],
        "q4": [],
    }
    assert passages == {"a": Passage("a", "T\nA")}


def test_an_id_may_not_name_two_passages(file: Callable[..., Path]) -> None:
    rows = [
        {"id": question, "candidates": [{"id": "0", "contents": text}]}
        for question, text in (("q1", "a"), ("q2", "b"))
    ]
    path = file(*map(json.dumps, rows))
    assert message(read_candidates, path) == (
        f"{path}:2: candidate 1: passage id '0' had another text before; ids must name one passage "
        "each, whatever the question"
    )


def test_candidates_that_were_put_in_by_hand_are_marked(file: Callable[..., Path]) -> None:
    rows = [
        ("found", ["bm25"]),
        ("both", ["gold", "bm25"]),
        ("injected", ["gold"]),
        ("unknown", []),
    ]
    entries = [
        {"id": name, "score": -i, "from": o, "contents": name} for i, (name, o) in enumerate(rows)
    ]
    candidates, _ = read_candidates(file(json.dumps({"id": "q1", "candidates": entries})))
    found = [(c.passage_id, c.rank, c.injected) for c in candidates["q1"]]
    assert found == [
        ("found", 0, False),
        ("both", 1, False),
        ("injected", 2, True),
        ("unknown", 3, False),
    ]


def test_candidates_from_a_trec_run_equal_those_from_jsonl(file: Callable[..., Path]) -> None:
    trec = file("q1 Q0 a 1 0.5 tag", "q1 Q0 b 2 0.9 tag", name="run.trec")
    rows = file(
        '{"id": "q1", "candidates": [{"id": "a", "score": 0.5}, {"id": "b", "score": 0.9}]}'
    )
    assert read_candidates(trec) == read_candidates(rows)


def test_the_candidates_of_one_row_stay_in_its_order() -> None:
    row = {"id": "q1", "candidates": [{"id": "b", "contents": "B"}, {"id": "a"}]}
    assert take_candidates(row, "here:1") == (["b", "a"], {"b": Passage("b", "B")})
    assert take_candidates({"id": "q1", "candidate_ids": ["b", "a"]}, "here:1") == (["b", "a"], {})
    with pytest.raises(InputError, match="here:1: candidate 2: passage id 'b' stands twice"):
        take_candidates({"id": "q1", "candidate_ids": ["b", "b"]}, "here:1")


def test_lists_are_held_in_little_memory(file: Callable[..., Path]) -> None:
    """A question has 50 candidates, which take some 7 kB as objects of Python."""
    count = 500
    lines = []
    for question in range(count):
        entries = [{"id": f"p{(37 * question + n) % 900}", "score": 1 / (1 + n)} for n in range(50)]
        lines.append(json.dumps({"id": f"q{question}", "candidates": entries}))
    path = file(*lines)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        lists, _ = read_candidates(path)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(lists) == count
    assert lists["q1"][:2] == [Candidate("p37", 0, 1.0), Candidate("p38", 1, 0.5)]
    assert (held - before) / count < 1_500
    assert (peak - before) / count < 2_000
