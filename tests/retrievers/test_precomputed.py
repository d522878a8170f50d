"""Candidates from files: joined by question id, and named where the files do not fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.retrievers import Hybrid, Precomputed
from radio.schema import Candidate, InputError, Passage, Question

RUN = "q1 Q0 b 1 0.9 x\nq1 Q0 a 2 0.8 x\nq1 Q0 c 3 0.7 x\n"
ROWS = (
    '{"id": "q2", "candidates": [{"id": "a", "score": 1.0, "contents": "A"}, '
    '{"id": "d", "score": 2.0}]}\n'
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "run.trec").write_text(RUN)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return [str(tmp_path / "run.trec"), str(tmp_path / "rows.jsonl")]


def test_precomputed_joins_trec_and_jsonl_by_question_id(files: list[str]) -> None:
    retriever = Precomputed(files)
    assert list(retriever.search([Question("q2", "?"), Question("q1", "?")], 2)) == [
        [Candidate("d", 0, 2.0), Candidate("a", 1, 1.0)],
        [Candidate("b", 0, 0.9), Candidate("a", 1, 0.8)],
    ]
    assert retriever.passages() == {"a": Passage("a", "A")}


def test_precomputed_takes_one_path_or_several(files: list[str]) -> None:
    question = [Question("q1", "?")]
    assert list(Precomputed(files[0]).search(question, 9)) == list(
        Precomputed([files[0]]).search(question, 9)
    )


def test_precomputed_names_a_question_without_candidates(files: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"run\.trec.*rows\.jsonl: no candidates for question id 'q3'; found 2"
    ):
        list(Precomputed(files).search([Question("q1", "?"), Question("q3", "?")], 5))


def test_precomputed_refuses_a_question_that_stands_in_two_files(
    files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "more.trec").write_text("q2 Q0 z 1 0.5 x\n")
    with pytest.raises(
        InputError, match=r"more\.trec: question id 'q2' already has candidates in another file"
    ):
        list(Precomputed([*files, str(tmp_path / "more.trec")]).search([Question("q1", "?")], 5))


def test_precomputed_is_identified_by_the_content_of_its_files(files: list[str]) -> None:
    before = Precomputed(files).fingerprint()
    Path(files[0]).write_text(RUN + "q9 Q0 b 1 0.9 x\n")
    assert Precomputed(files).fingerprint() != before


def test_what_was_released_is_read_again(files: list[str], cache: Cache) -> None:
    retriever = Hybrid([Precomputed(files), Precomputed(files[0])])
    retriever.index({name: Passage(name, name.upper()) for name in "abcd"}, cache)
    questions = [Question("q1", "?")]
    first = list(retriever.search(questions, 2))
    retriever.release()
    assert list(retriever.search(questions, 2)) == first
    alone = Precomputed(files)
    (found,) = alone.search(questions, 2)
    alone.release()
    Path(files[0]).write_text("q1 Q0 z 1 0.9 x\n")
    # it is really gone
    assert [[c.passage_id for c in ranking] for ranking in alone.search(questions, 2)] == [["z"]]
    assert [c.passage_id for c in found] == ["b", "a"]


def test_candidates_put_in_by_hand_come_on_top_of_those_asked_for(tmp_path: Path) -> None:
    origins = [("a", ["bm25"]), ("b", ["gold"]), ("c", ["bm25", "gold"]), ("d", ["bm25"])]
    entries = [
        {"id": name, "score": 4.0 - n, "from": origin} for n, (name, origin) in enumerate(origins)
    ]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "q1", "candidates": entries}))
    retriever = Precomputed(str(tmp_path / "rows.jsonl"))
    for k, expected in [(1, "a"), (2, "abc"), (3, "abcd"), (9, "abcd")]:
        (found,) = retriever.search([Question("q1", "?")], k)
        assert "".join(c.passage_id for c in found) == expected
        assert [c.passage_id for c in found if c.injected] == [i for i in expected if i == "b"]


def test_two_files_may_not_name_two_passages_alike(tmp_path: Path) -> None:
    for name, text in (("a", "lamp"), ("b", "bell")):
        row = {"id": name, "candidates": [{"id": "p", "contents": text}]}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    files = [str(tmp_path / f"{name}.jsonl") for name in "ab"]
    with pytest.raises(InputError, match=r"b\.jsonl: passage id 'p' had another text before"):
        Precomputed(files).passages()
