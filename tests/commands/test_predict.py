"""Reranking by the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import read_jsonl, write_jsonl
from tests.test_cli import Radio


def test_predict_needs_neither_answers_nor_rationales(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "new.jsonl", [{"id": "n1", "question": "Who lit the lamp at port3?"}])
    where = tiny_run.index("--data.init_args.rationales.init_args.paths")
    arguments = [
        *tiny_run[:where],
        *tiny_run[where + 2 :],
        "--data.init_args.predict",
        str(tmp_path / "new.jsonl"),
    ]
    status, _, err = radio("predict", *arguments)
    assert status == 0, err
    run = (tmp_path / "runs/tiny/predict.trec").read_text().splitlines()
    assert len(run) == 6
    assert {line.split()[0] for line in run} == {"n1"}
    scores = [float(line.split()[4]) for line in run]
    assert scores == sorted(scores, reverse=True)
    (row,) = read_jsonl(tmp_path / "runs/tiny/predict.jsonl")
    assert [c["id"] for c in row["candidates"]] == [line.split()[2] for line in run]
    assert all(c["contents"] for c in row["candidates"])

    # its own output is a candidate file, and so is the TREC run
    for file in ("predict.jsonl", "predict.trec"):
        candidates = json.dumps([str(tmp_path / "runs/tiny" / file)])
        extra = [
            "--data.init_args.retriever",
            "Precomputed",
            "--data.init_args.retriever.init_args.paths",
            candidates,
        ]
        status, _, err = radio("predict", *arguments, *extra, "--name", "again")
        assert status == 0, err
        assert (tmp_path / "runs/again/predict.trec").read_text().splitlines() == run
