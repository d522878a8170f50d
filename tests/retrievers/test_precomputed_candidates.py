"""Candidate files that mean something else than they seem to say: refused, or settled by an
option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.formats import read_candidates
from radio.retrievers import Precomputed
from radio.schema import InputError, Question
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


def lists(folder: Path, scores: list[float | None], count: int = 3) -> Path:
    entries = [{"id": f"p{n}", "score": score} for n, score in enumerate(scores)]
    return write_jsonl(
        folder / "lists.jsonl", [{"id": f"q{n}", "candidates": entries} for n in range(count)]
    )


def run(folder: Path, scores: list[float], count: int = 3) -> Path:
    lines = [
        f"q{q} Q0 p{n} {n + 1} {score} x\n" for q in range(count) for n, score in enumerate(scores)
    ]
    (folder / "lists.trec").write_text("".join(lines))
    return folder / "lists.trec"


@pytest.mark.parametrize("make", [lists, run])
def test_distances_are_refused_or_ranked_as_asked(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path, [0.0, 0.4, 0.4, 0.9])
    with pytest.raises(
        InputError, match=r"in 3 of 3 lists the scores rise .*init_args\.better lower \(or higher"
    ):
        read_candidates(path)
    best = {better: read_candidates(path, better)[0]["q1"] for better in ("lower", "higher")}
    assert [(c.passage_id, c.score) for c in best["lower"]] == [
        ("p0", 0),
        ("p1", -0.4),
        ("p2", -0.4),
        ("p3", -0.9),
    ]
    assert best["higher"][0].passage_id == "p3"
    retrievers = [Precomputed(str(path), better=better) for better in ("lower", "higher")]
    found = [next(iter(r.search([Question("q0", "?")], 2)))[0].passage_id for r in retrievers]
    assert found == ["p0", "p3"]
    assert retrievers[0].fingerprint() != retrievers[1].fingerprint()


def test_lists_in_another_order_or_few_short_ones_are_sorted(tmp_path: Path) -> None:
    assert read_candidates(lists(tmp_path, [0.4, 0.1, 0.9]))[0]["q0"][0].passage_id == "p2"
    assert read_candidates(lists(tmp_path, [0.4, 0.9]))[0]["q0"][0].passage_id == "p1"
    assert read_candidates(lists(tmp_path, [0.9, 0.4, 0.1]))[0]["q0"][0].passage_id == "p0"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (
            [0.9, None, 0.5],
            "lists.jsonl:1: candidate 2: key 'score': found no score, but the first candidate has "
            "one",
        ),
        (
            [None, 0.9],
            "lists.jsonl:1: candidate 2: key 'score': found a score, but the first has none",
        ),
        (
            [10**400],
            "lists.jsonl:1: candidate 1: key 'score': found 10{59}, expected a finite number",
        ),
    ],
)
def test_scores_that_say_nothing_are_named(scores: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_candidates(lists(tmp_path, scores))
    row = {"id": "q", "candidate_ids": [str(n) for n in range(len(scores))], "scores": scores}
    with pytest.raises(InputError, match=message):
        read_candidates(write_jsonl(tmp_path / "lists.jsonl", [row]))


def test_a_file_without_a_candidate_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.jsonl: the file holds no candidate"):
        read_candidates(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match="Precomputed: paths: found an empty list"):
        Precomputed([])


def inline(world: World, change: str = "") -> Path:
    """Candidates of every question, with their text; that of one passage is changed."""
    corpus = read_jsonl(world.folder / "corpus.jsonl")
    entries = [{**row, "score": 1 / (1 + n)} for n, row in enumerate(corpus[:5])]
    entries[2]["contents"] += change
    names = ("train", "validation", "test")
    questions = [row["id"] for name in names for row in read_jsonl(world.folder / f"{name}.jsonl")]
    return write_jsonl(
        world.folder / "lists.jsonl", [{"id": q, "candidates": entries} for q in questions]
    )


def test_a_text_that_the_corpus_has_otherwise_is_refused_or_said(world: World) -> None:
    module(world, retriever=Precomputed(str(inline(world, " \n")))).prepare_data()
    path = inline(world, " And more.")
    message = r"lists\.jsonl: 1 of 5 passages have another text in the corpus, such as 'port0-2'"
    with pytest.raises(InputError, match=message):
        module(world, retriever=Precomputed(str(path))).prepare_data()
    with pytest.warns(UserWarning, match=f"{message}.*; the corpus's text is taken"):
        module(world, retriever=Precomputed(str(path), texts="corpus")).prepare_data()
    # where the files are all the corpus, there is nothing to compare with
    module(world, retriever=Precomputed(str(path)), corpus=None).prepare_data()


def annotate(world: World, gold: Any) -> None:
    path = world.folder / "test.jsonl"
    write_jsonl(path, [{**row, "metadata": {"gold_ids": gold}} for row in read_jsonl(path)])


def test_annotated_passages_outside_the_corpus_are_refused_or_said(world: World) -> None:
    annotate(world, ["elsewhere-1", "elsewhere-2"])
    message = (
        r"test: 4 of 4 annotated passages \(gold_ids\) are not in the corpus, such as 'elsewhere-1'"
    )
    with pytest.raises(InputError, match=f"{message}.*unknown_gold keep"):
        module(world).prepare_data()
    with pytest.warns(UserWarning, match=message):
        module(world, unknown_gold="keep").prepare_data()
    annotate(world, ["elsewhere-1", "port0-0"])
    with pytest.warns(UserWarning, match="test: 2 of 4 annotated passages"):
        module(world).prepare_data()


@pytest.mark.parametrize("grade", ["NaN", "Infinity", "1" + "0" * 400, '"1"'])
def test_a_grade_that_is_no_number_is_named(grade: str, tmp_path: Path) -> None:
    value = float(grade) if grade in ("NaN", "Infinity") else json.loads(grade)
    with pytest.raises(InputError, match="question 'q': metadata: key 'gold_ids'"):
        _ = Question("q", "?", metadata={"gold_ids": {"p": value}}).gold
