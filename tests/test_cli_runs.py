"""Commands in run folders: which weights they take, what they leave alone, how a run goes on."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import PATIENCE, make_world

Radio = Callable[..., tuple[int, str, str]]
FAST = ["--test_after_fit", "false"]
MODEL_CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a run but its mark."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".radio")
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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


def test_a_saved_config_makes_another_run_and_leaves_the_first_alone(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    assert radio("fit", *tiny_run, *FAST)[0] == 0
    one = tmp_path / "runs/tiny"
    before = contents(one)
    config = str(one / "config.yaml")
    status, _, err = radio("fit", "--config", config, "--name", "two")
    assert status == 0, err
    assert contents(one) == before
    two = contents(tmp_path / "runs/two")
    assert two.keys() == before.keys()
    assert two["config.yaml"] == before["config.yaml"].replace(b"name: tiny", b"name: two")
    # what resumes or replaces a run does not become a habit
    arguments = ["--name", "two", "--ckpt_path", "last", "--trainer.max_epochs", "2"]
    status, _, err = radio("fit", "--config", config, *arguments)
    assert status == 0, err
    text = (tmp_path / "runs/two/config.yaml").read_text()
    assert "ckpt_path: null" in text
    assert radio("fit", "--config", config, "--name", "two", "--overwrite", "true")[0] == 0
    assert "overwrite: false" in (tmp_path / "runs/two/config.yaml").read_text()


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
    status, _, err = radio("fit", *arguments, "--ckpt_path", "last")
    assert (status, "runs/tiny holds no such checkpoint" in err) == (2, True), err
    assert not run.exists()
    assert radio("fit", *arguments)[0] == 0

    # said, where the command wins; refused, where it cannot
    status, _, err = radio("fit", *arguments)
    assert (status, "go on from its last checkpoint with --ckpt_path last" in err) == (2, True), err
    on = [*arguments, "--ckpt_path", "last", "--trainer.max_epochs", "3"]
    for other in (["--model", "CrossEncoder"], ["--seed_everything", "1"]):
        status, _, err = radio("fit", *on, *other)
        assert (status, "is of another model" in err) == (2, True), err
    rate = ["--model.init_args.lr", "0.5", "--model.init_args.weight_decay", "0.2"]
    train = tmp_path / "world/train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[:-1]))
    status, out, err = radio("fit", *on, *rate, "--model.init_args.loss", "InfoNCE")
    assert status == 0, err
    for line in (
        "model.init_args.lr: 3e-05 in the checkpoint, 0.5 in this command; this command's is used",
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
    assert [int(row["step"]) for row in rows if row["validation/ndcg@5"]] == [2, 5, 8, 9]


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


@pytest.mark.parametrize("name", ["..", "/tmp/x", "a\0b", "x" * 300, "  "])
def test_a_bad_name_is_refused_before_anything_is_touched(
    name: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/mine.txt").write_text("of the user")
    before = contents(tmp_path)
    for command in ("fit", "prepare", "predict"):
        status, _, err = radio(command, *tiny_run, "--name", name, "--overwrite", "true")
        assert status == 2
        assert err.count("\n") == 1
        assert "--name: found" in err
    assert contents(tmp_path) == before


def test_the_last_weights_are_kept_when_nothing_is_validated(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "best.yaml").write_text(
        "trainer:\n  callbacks:\n  - class_path: RankEvaluation\n  - class_path: "
        f"{MODEL_CHECKPOINT}\n    init_args:\n"
        "      monitor: validation/ndcg@5\n      mode: max\n      filename: best\n"
    )
    unseen = ["--config", "best.yaml", "--trainer.limit_val_batches", "0", *FAST]
    with pytest.warns(
        UserWarning, match=r"no checkpoint was written \(validation/ndcg@5 did not come up\)"
    ):
        status, _, err = radio("fit", *tiny_run, *unseen)
    assert status == 0, err
    assert (
        torch.load(tmp_path / "runs/tiny/checkpoints/last.ckpt", weights_only=True)["global_step"]
        == 1
    )
    none = [
        "--trainer.callbacks",
        "null",
        "--trainer.enable_checkpointing",
        "false",
        "--name",
        "none",
        *FAST,
    ]
    status, out, err = radio("fit", *tiny_run, *none)
    assert status == 0, err
    assert "no checkpoint was kept" in out


CTRL_C = """
import lightning as L

class CtrlC(L.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
"""


def test_an_interrupted_run_says_how_it_goes_on(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ctrl_c.py").write_text(CTRL_C)
    monkeypatch.syspath_prepend(tmp_path)
    # Lightning goes deaf to Ctrl-C when it has heard it
    heard = signal.getsignal(signal.SIGINT)
    stopped = ["--trainer.max_epochs", "2", "--trainer.callbacks+", "ctrl_c.CtrlC"]
    status, _, err = radio("fit", *tiny_run, *FAST, *stopped)
    signal.signal(signal.SIGINT, heard)
    assert status == 128 + signal.SIGINT
    last = "runs/tiny/checkpoints/last.ckpt"
    assert f"interrupted; it goes on with the same command and --ckpt_path last ({last})" in err
    status, out, err = radio(
        "fit", *tiny_run, *FAST, "--trainer.max_epochs", "2", "--ckpt_path", "last"
    )
    assert status == 0, err
    assert f"goes on from {last}, after step" in out


WANDB = ["--trainer.logger", "WandbLogger", "--trainer.logger.init_args.project", "p"]


def test_a_wandb_run_has_the_config_the_name_and_goes_on(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    import wandb

    for extra in ([], ["--ckpt_path", "last", "--trainer.max_epochs", "2"]):
        status, _, err = radio("fit", *tiny_run, *FAST, *WANDB, *extra)
        wandb.finish()
        assert status == 0, err
    identifier = json.loads((tmp_path / "runs/tiny/.radio").read_text())["wandb"]
    records = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert [record.stem for record in records] == [f"run-{identifier}"] * len(records)
    content = b"".join(record.read_bytes() for record in records)
    assert b"tiny" in content
    assert b"teacher_temperature" in content
    assert b"missing_rationales" in content


def test_wandb_without_a_key_is_one_message_before_anything_is_prepared(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    status, _, err = radio("fit", *tiny_run, *WANDB)
    assert status == 2
    assert "W&B: no API key: set WANDB_API_KEY" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / ".radio_cache").exists()
    assert not (tmp_path / "runs/tiny").exists()


def test_secrets_are_not_logged() -> None:
    from radio.runs.loggers import plain

    config = {
        "api_key": "k",
        "max_tokens": 5,
        "urls": ["https://me:pw@host/x"],
        "hf_token": "t",
        "token": None,
    }
    found = plain(config)
    assert found["api_key"] == found["hf_token"] == "(left out)"
    assert (found["max_tokens"], found["token"]) == (5, None)
    assert found["urls"] == ["https://(left out)@host/x"]


NOISE = (
    *(
        "litlogger",
        "LeafSpec",
        "Restoring states",
        "Loaded model weights",
        "FLOPs",
        "sync_dist",
        "Seed set",
    ),
    *("TPU available", "it/s", "GLOBAL_RANK", "predict returned None", "DataLoader 0"),
)
WARNER = """
import lightning as L
from lightning.pytorch.utilities import rank_zero_warn

class Warner(L.Callback):
    def on_train_start(self, trainer, pl_module):
        rank_zero_warn("a real warning")
        own = "self.log('validation/mine', ..., sync_dist=True)"
        rank_zero_warn(f"It is recommended to use `{own}`")
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_run_prints_fits_a_screen_and_warnings_are_shown(
    processes: int, tiny_run: list[str], tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=13)
    (tmp_path / "warner.py").write_text(WARNER)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    # with what the test's own arguments turn off
    where = tiny_run.index("--trainer.enable_progress_bar")
    arguments = [*tiny_run[:where], *tiny_run[where + 2 :]]
    where = arguments.index("--trainer.enable_model_summary")
    arguments = [
        *arguments[:where],
        *arguments[where + 2 :],
        "--trainer.callbacks+",
        "warner.Warner",
    ]
    if processes > 1:
        arguments += [
            "--trainer.devices",
            "2",
            "--trainer.strategy",
            "ddp",
            "--data.init_args.batch_size",
            "4",
        ]
    command = [sys.executable, "-m", "radio", "fit", *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    printed = done.stdout + done.stderr
    assert len(printed.splitlines()) <= 40, printed
    for words in NOISE:
        # a warning of the user's own metric is no noise
        assert words not in printed.replace("validation/mine', ..., sync_dist", ""), printed
    for words in (
        "a real warning",
        "validation/mine",
        "fit runs/tiny: BiEncoder",
        "epoch 1 of 1",
        "to train on",
    ):
        assert words in printed, printed
