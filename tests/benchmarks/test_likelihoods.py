"""The benchmark of likelihoods: both ways give the same numbers of the same prompts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks import likelihoods

GOLDEN = [["harbour lamp", "tower"], ["fog"], ["captain1", "captain2", "bell"]]


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    """Questions with three candidates each, as the shared data have them."""
    path = tmp_path / "candidates.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number, golden in enumerate(GOLDEN):
            found = [
                {"id": f"p{n}", "contents": f"Lamp\nThe keeper lit {'lamp ' * (n + 3 * number)}"}
                for n in range(3)
            ]
            row = {"id": f"q{number}", "question": "Who lit it?", "golden_answers": golden}
            file.write(json.dumps({**row, "candidates": found}) + "\n")
    return path


def test_each_golden_answer_is_judged_after_each_passage(candidates: Path) -> None:
    made = list(likelihoods.items(candidates, 2, 2))
    assert [[item.answer for item in question] for question in made] == [GOLDEN[0] * 2, ["fog"] * 2]
    assert len({item.user for question in made for item in question}) == 4


def test_both_ways_give_the_same_numbers(candidates: Path, tiny_generator: str) -> None:
    arguments = ["--model", tiny_generator, "--candidates", str(candidates), "--questions", "3"]
    arguments += ["--passages", "2", "--turn", "2", "--dtype", "float32", "--threads", "1"]
    found = likelihoods.measure(likelihoods.arguments().parse_args(arguments))
    assert (found["questions"], found["prompts"], found["likelihoods"]) == (3, 6, 12)
    assert found["largest difference"] < 1e-3
    assert found["likelihoods/s"]["together"] > 0
    low, high = found["ratio of a turn"]
    assert low <= found["ratio"] <= high
