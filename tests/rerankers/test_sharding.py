"""Weights that two processes hold together: scores, steps, checkpoints and export are those of one
process."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from radio.schema import InputError
from radio.trainer import RadioTrainer
from tests.conftest import read_jsonl
from tests.rerankers.test_yes_no import make_decoder
from tests.several import Run, runner
from tests.test_processes_stopping import PARTS

two = pytest.fixture(runner)

FSDP2 = [
    *("--config", "trainers/fsdp2", "--trainer.devices", "2"),
    *("--trainer.strategy.init_args.data_parallel_size", "2", "--data.init_args.batch_size", "2"),
]
ONE = ["--data.init_args.batch_size", "4"]

CALLBACKS = [
    {"class_path": "RankEvaluation"},
    {
        "class_path": "ModelCheckpoint",
        "init_args": {"monitor": "validation/nDCG@5", "mode": "max", "filename": "best"},
    },
    {
        "class_path": "ModelCheckpoint",
        "init_args": {"filename": "last", "enable_version_counter": False},
    },
    {"class_path": "ExportHuggingFace"},
    {"class_path": "parts.Ends"},
]


def losses_of(run: Path) -> list[float]:
    """Of each step."""
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    assert [int(row["step"]) for row in rows] == list(range(len(rows)))
    return [float(row["train/loss"]) for row in rows]


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """4 steps of a language model, in 2 epochs of 7 questions."""
    (tmp_path / "parts.py").write_text(PARTS)
    # its output layer is its embeddings, and its head alone is called, not its forward
    decoder = make_decoder(tmp_path / "decoder", "gemma")
    return [
        *("--config", "rerankers/bge_reranker_v2_gemma", "--model.init_args.model", decoder),
        *("--model.init_args.max_length", "320", "--model.init_args.lr", "0.001"),
        *("--trainer.precision", "32-true", "--trainer.max_epochs", "2"),
        *("--trainer.gradient_clip_val", "1", "--trainer.log_every_n_steps", "1"),
        *("--data.init_args.eval_batch_size", "2"),
        *("--data.init_args.max_questions", json.dumps({"train": 7})),
        *("--trainer.callbacks", json.dumps(CALLBACKS)),
    ]


def assert_alike(one: Path, shared: Path) -> None:
    """Two runs are the same training, to rounding."""
    losses = losses_of(one)
    assert len(losses) == 4
    assert losses_of(shared) == pytest.approx(losses, abs=1e-5)
    expected = load_file(one / "export/model.safetensors")
    found = load_file(shared / "export/model.safetensors")
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        # a step of Adam is as large as the rate however small the gradient is
        assert found[name].numpy() == pytest.approx(weight.numpy(), abs=1e-4), name
    rows = {row["question_id"]: row for row in read_jsonl(shared / "predictions.jsonl")}
    for row in read_jsonl(one / "predictions.jsonl"):
        for system, tolerance in (("base", 1e-5), ("tuned", 1e-2)):
            scores = dict(zip(row[system]["passage_ids"], row[system]["scores"], strict=True))
            other = rows[row["question_id"]][system]
            own = [scores[passage] for passage in other["passage_ids"]]
            assert other["scores"] == pytest.approx(own, abs=tolerance), system


@pytest.mark.slow
def test_adapters_of_a_model_in_two_parts_are_trained_as_in_one_also_after_a_stop(
    settings: list[str], two: Run, tmp_path: Path
) -> None:
    done = two("fit", "--name", "on1", *settings, *ONE, processes=0)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "moment.txt").write_text("process 1 before batch 1")
    on2 = ["--name", "on2", *settings, *FSDP2, "--ckpt_path", "last"]
    done = two("fit", *on2, processes=0)
    assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
    assert "last.ckpt is written, after step 1" in done.stdout
    (tmp_path / "moment.txt").unlink()
    done = two("fit", *on2, processes=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after step 1" in done.stdout
    assert_alike(tmp_path / "runs/on1", tmp_path / "runs/on2")


@pytest.mark.slow
def test_a_whole_model_in_two_parts_is_trained_as_in_one_and_goes_on_in_one(
    settings: list[str], two: Run, tmp_path: Path
) -> None:
    whole = [*settings, "--model.init_args.lora", "null"]
    done = two("fit", "--name", "on1", *whole, *ONE, processes=0)
    assert done.returncode == 0, done.stdout + done.stderr
    done = two("fit", "--name", "on2", *whole, *FSDP2, processes=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_alike(tmp_path / "runs/on1", tmp_path / "runs/on2")
    # a checkpoint of two processes is one file, from which one goes on as well
    on = ["--ckpt_path", "last", "--trainer.max_epochs", "3"]
    done = two("fit", "--name", "on2", *whole, *ONE, *on, processes=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(losses_of(tmp_path / "runs/on2")) == 6


def test_checkpoints_in_parts_are_refused() -> None:
    from lightning.pytorch.strategies import ModelParallelStrategy

    with pytest.raises(InputError, match="save_distributed_checkpoint: found true, expected false"):
        RadioTrainer(accelerator="cpu", strategy=ModelParallelStrategy(), logger=False)
