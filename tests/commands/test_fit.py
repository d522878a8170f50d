"""A whole training by the command line: what it leaves, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.conftest import read_jsonl, write_jsonl
from tests.test_cli import Radio


def test_annotated_passages_are_labels_and_verdicts_are_not_searched_for(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "world/test.jsonl"
    first, second, *_ = read_jsonl(path)
    # one of the two annotated passages is not in the corpus: no retriever can find it
    first["metadata"] = {"gold_ids": ["port5-0", "nowhere"]}
    write_jsonl(path, [first, {**second, "golden_answers": ["yes"]}])
    status, _, err = radio(
        "fit", *tiny_run, "--model", "BiEncoder", "--data.init_args.eval_candidates", "30"
    )
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    rows = {
        r["question_id"]: r for r in read_jsonl(run / "predictions.jsonl") if r["split"] == "test"
    }
    tuned = rows[first["id"]]["tuned"]
    place = tuned["passage_ids"].index("port5-0")
    rr = 1 / (place + 1) if place < 10 else 0.0
    assert tuned["gold_RR@10"] == tuned["RR@10"] == rr
    assert tuned["R@5"] == float(place < 5)
    assert tuned["gold_R@5"] == float(place < 5) / 2
    other = rows[second["id"]]["tuned"]
    assert "em" in other
    assert not {"RR@10", "gold_RR@10", "answer_in_context"} & other.keys()
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["differences"]["test"]["tuned - base"]["gold_RR@10"]["questions"] == 1


@pytest.mark.parametrize("kind", ["BiEncoder", "CrossEncoder"])
def test_fit_leaves_a_complete_run_folder(
    kind: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("fit", *tiny_run, "--model", kind)
    assert status == 0, err
    run = tmp_path / "runs" / "tiny"
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["test"]) == {"retriever", "base", "tuned"}
    for system in metrics["test"].values():
        assert {"em", "f1", "answer_in_context", "RR@10", "nDCG@5", "R@5", "P@1"} <= set(system)
        assert all(0 <= value <= 1 for value in system.values())
    assert "tuned - base" in metrics["differences"]["test"]
    questions = {row["id"] for row in read_jsonl(tmp_path / "world/test.jsonl")}
    predictions = [row for row in read_jsonl(run / "predictions.jsonl") if row["split"] == "test"]
    assert {row["question_id"] for row in predictions} == questions
    em = [row["tuned"]["em"] for row in predictions]
    assert sum(em) / len(em) == pytest.approx(metrics["test"]["tuned"]["em"])
    for system in ("retriever", "base", "tuned"):
        lines = (run / f"test.{system}.trec").read_text().splitlines()
        assert {line.split()[0] for line in lines} == questions
    assert f"class_path: radio.rerankers.{kind}" in (run / "config.yaml").read_text()
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {
        p.name for p in (run / "export").iterdir()
    }
    assert not list((run / "export").rglob("*.bin"))
    assert "tuned - base" in out
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert "hyper_parameters" not in checkpoint

    # a second run does not mix with the first
    status, _, err = radio("fit", *tiny_run, "--model", kind)
    assert status == 2
    assert "already holds a run" in err
    assert "--overwrite" in err

    # the untrained model and the best checkpoint are evaluated again, from their files, to the same
    # numbers
    best = str(run / "checkpoints/best.ckpt")
    status, _, err = radio("test", *tiny_run, "--model", kind, "--ckpt_path", best)
    assert status == 0, err
    again = json.loads((run / "metrics.json").read_text())
    for system in ("base", "tuned"):
        assert again["test"][system] == pytest.approx(metrics["test"][system])
    assert again["validation"] == metrics["validation"]


def test_training_in_bf16_gives_an_fp32_export(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    status, _, err = radio("fit", *tiny_run, "--trainer.precision", "bf16-mixed")
    assert status == 0, err
    weights = load_file(tmp_path / "runs/tiny/export/model.safetensors")
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_differences_are_logged_with_their_interval(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    assert radio("fit", *tiny_run)[0] == 0
    header = (tmp_path / "runs/tiny/metrics.csv").read_text().splitlines()[0].split(",")
    for name in ("em", "f1", "answer_in_context", "nDCG@5"):
        for column in ("", "base/", "retriever/"):
            assert f"validation/{column}{name}" in header
        assert {f"test/tuned-base/{name}{end}" for end in ("", "/low", "/high")} <= set(header)
