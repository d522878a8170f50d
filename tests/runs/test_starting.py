"""Which weights a command starts from."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from jsonargparse import Namespace

from radio.runs.starting import run_folder
from tests.test_cli_runs import FAST, Radio, contents


def test_a_trained_run_is_evaluated_by_its_best_checkpoint_and_never_as_the_untrained_model(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs/tiny"
    arguments = [*tiny_run, "--model.init_args.lr", "1e-2"]
    status, out, err = radio("fit", *arguments)
    assert status == 0, err
    assert "to train on: --ckpt_path last (runs/tiny/checkpoints/last.ckpt)" in out
    before = contents(run)
    tuned = json.loads(before["metrics.json"])["test"]

    # a trial leaves no trace
    for command in ("fit", "test", "predict"):
        status, out, err = radio(command, *arguments, "--trainer.fast_dev_run", "true")
        assert status == 0, err
        assert "a trial" in out
        assert contents(run) == before

    status, out, err = radio("test", *arguments)
    assert status == 0, err
    assert "weights: runs/tiny/checkpoints/best.ckpt" in out
    assert json.loads((run / "metrics.json").read_text())["test"]["tuned"] == pytest.approx(
        tuned["tuned"]
    )
    assert {k: v for k, v in contents(run).items() if k in ("config.yaml", "metrics.csv")} == {
        k: v for k, v in before.items() if k in ("config.yaml", "metrics.csv")
    }
    assert "weights: runs/tiny/checkpoints/best.ckpt" in radio("predict", *arguments)[1]
    assert (
        "weights: runs/tiny/checkpoints/last.ckpt"
        in radio("validate", *arguments, "--ckpt_path", "last")[1]
    )

    status, out, err = radio("test", *arguments, "--name", "base")
    assert status == 0, err
    assert "not trained further" in out

    # the checkpoint of another run
    shutil.copytree(run, tmp_path / "runs/copy")
    mark = (run / ".radio").read_text()
    (run / ".radio").write_text('{"run": "another", "command": "fit"}')
    before = contents(run)
    status, _, err = radio("test", *arguments, "--ckpt_path", "runs/copy/checkpoints/best.ckpt")
    assert (status, "holds another run than that of the checkpoint" in err) == (2, True), err
    (run / ".radio").write_text(mark)
    # none at all
    shutil.rmtree(run / "checkpoints")
    for command in ("test", "validate", "predict"):
        status, _, err = radio(command, *arguments)
        assert (status, "no checkpoint of it" in err) == (2, True), err
    assert contents(run) == {
        name: content for name, content in before.items() if "checkpoints" not in name
    }


def test_a_resumed_run_heeds_its_command_and_keeps_its_metrics(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs/tiny"
    arguments = [
        *tiny_run,
        *FAST,
        "--data.init_args.batch_size",
        "4",
        "--trainer.log_every_n_steps",
        "1",
    ]
    # one that was killed before its first checkpoint, and logged a step
    run.mkdir(parents=True)
    (run / ".radio").write_text('{"run": "a", "command": "fit"}')
    (run / "metrics.csv").write_text("epoch,step,train/loss\n0,0,123.25\n")
    status, out, err = radio("fit", *arguments, "--ckpt_path", "last")
    assert status == 0, err
    assert "there is no checkpoint yet, the run begins from the start" in out
    assert "123.25" not in (run / "metrics.csv").read_text()

    # said, where the command wins; refused, where it cannot
    status, _, err = radio("fit", *arguments)
    assert (status, "go on from its last checkpoint with --ckpt_path last" in err) == (2, True), err
    on = [*arguments, "--ckpt_path", "last", "--trainer.max_epochs", "3"]
    for other in (["--model", "CrossEncoder"], ["--seed_everything", "1"]):
        status, _, err = radio("fit", *on, *other)
        assert (status, "is of another model" in err) == (2, True), err
    rate = ["--model.init_args.lr", "0.5", "--model.init_args.weight_decay", "0.2"]
    rate += ["--model.init_args.warmup_ratio", "0.5", "--model.init_args.dropout", "0.3"]
    rate += ["--model.init_args.max_length", "40", "--trainer.limit_val_batches", "1.0"]
    train = tmp_path / "world/train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[:-1]))
    status, out, err = radio("fit", *on, *rate, "--model.init_args.loss", "InfoNCE")
    assert status == 0, err
    for line in (
        "model.init_args.lr: 3e-05 in the checkpoint, 0.5 in this command; this command's is used",
        "model.init_args.warmup_ratio: 0.1 in the checkpoint, 0.5 in this command",
        "model.init_args.dropout: ",
        "in the checkpoint, 0.3 in this command",
        "model.init_args.max_length: 48 in the checkpoint, 40 in this command",
        "model.init_args.loss.class_path: radio.losses.",
        "training data: 12 questions then, 11 now",
        "goes on from runs/tiny/checkpoints/last.ckpt, after step 3",
    ):
        assert line in out
    groups = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0][
        "param_groups"
    ]
    assert [(g["initial_lr"], g["weight_decay"]) for g in groups] == [(0.5, 0.2), (0.5, 0.0)]
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(9))
    assert [int(row["epoch"]) for row in rows if row["train/loss"]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    # a validation after each epoch, and one of the best checkpoint at the end
    assert [int(row["step"]) for row in rows if row["validation/nDCG@5"]] == [2, 5, 8, 9]


@pytest.mark.parametrize(
    "mark",
    ['{"command": "test"}', '{"command": "fit", "finished": true}', None],
    ids=["an evaluation", "a finished run without a checkpoint", "files of the user"],
)
def test_what_is_no_begun_training_is_not_begun_anew(
    mark: str | None, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs/tiny"
    run.mkdir(parents=True)
    if mark:
        (run / ".radio").write_text(mark)
    (run / "metrics.csv").write_text("epoch,step\n")
    (run / "config.yaml").write_text("name: tiny\n")
    before = contents(run)
    status, _, err = radio("fit", *tiny_run, *FAST, "--ckpt_path", "last")
    assert (status, "runs/tiny holds no such checkpoint" in err) == (2, True), err
    assert contents(run) == before


def test_another_run_is_not_resumed_into_a_folder_that_holds_one(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert radio("fit", *tiny_run, *FAST, "--name", name)[0] == 0
    before = contents(tmp_path / "runs/two")
    checkpoint = ["--ckpt_path", "runs/one/checkpoints/last.ckpt", "--trainer.max_epochs", "2"]
    status, _, err = radio("fit", *tiny_run, *FAST, "--name", "two", *checkpoint)
    assert (status, "holds another run than that of the checkpoint" in err) == (2, True), err
    assert contents(tmp_path / "runs/two") == before
    assert radio("fit", *tiny_run, *FAST, "--name", "three", *checkpoint)[0] == 0


def test_a_point_of_a_sweep_is_found_by_the_name_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "ab12")
    trainer = Namespace(default_root_dir=str(tmp_path))
    for name in ("quickstart", "quickstart-ab12"):
        folder = run_folder(Namespace(name=name, trainer=trainer))
        assert folder.path == tmp_path / "quickstart-ab12"
