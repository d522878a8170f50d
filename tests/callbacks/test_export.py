"""Which weights a run ends with: the best by a metric, early stopping, and what is left of a run
that was killed."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests import forked
from tests.conftest import PATIENCE, ROOT

Radio = Callable[..., tuple[int, str, str]]
EARLY = ["--config", str(ROOT / "configs/callbacks/early_stopping.yaml")]
SMALL = [
    "--data.init_args.batch_size",
    "2",
    "--model.init_args.lr",
    "1e-3",
    "--model.init_args.dropout",
    "0.1",
]


def column(path: Path, name: str) -> list[float]:
    with path.open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def test_the_best_checkpoint_can_be_that_of_the_generators_em(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # EM of the four validations: the second is the best, and the first of its equals stays
    asked = iter([0.0, 1.0, 1.0, 0.0])

    def scripted(self: Any, trainer: Any, split: str, rankings: Any, results: Any) -> list[str]:
        value = next(asked) if trainer.state.fn == "fit" else 0.5
        for question in rankings["tuned"]:
            results.add(split, "tuned", question, {"em": value})
        return ["em"]

    monkeypatch.setattr("radio.callbacks.GeneratorInTheLoop.evaluate", scripted)
    (tmp_path / "em.yaml").write_text(
        "trainer:\n  callbacks+:\n  - class_path: ModelCheckpoint\n    init_args:\n"
        "      monitor: validation/em\n      mode: max\n      filename: em\n"
    )
    arguments = [
        *tiny_run,
        *SMALL,
        "--config",
        "em.yaml",
        "--trainer.max_epochs",
        "4",
        "--test_after_fit",
        "false",
    ]
    status, _, err = radio("fit", *arguments)
    assert status == 0, err
    checkpoint = torch.load(tmp_path / "runs/tiny/checkpoints/em.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1
    assert (tmp_path / "runs/tiny/checkpoints/best.ckpt").is_file()


def test_the_exported_model_is_the_best_by_the_monitored_metric(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, _, err = radio("fit", *tiny_run, *SMALL, "--trainer.max_epochs", "4")
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    # the last row is the evaluation of the best checkpoint after training
    *during, after = column(run / "metrics.csv", "validation/nDCG@5")
    assert len(during) == 4
    assert after == pytest.approx(max(during))
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert during[best["epoch"]] == max(during)
    exported = load_file(run / "export/model.safetensors")
    for name, weight in best["state_dict"].items():
        if (short := name.removeprefix("network.")) in exported:
            torch.testing.assert_close(exported[short], weight, rtol=0, atol=0)


def test_early_stopping_by_its_overlay_and_its_count_survives_a_resume(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    # with a learning rate of 0 nothing gets better after the first epoch
    arguments = [*tiny_run, *EARLY, "--model.init_args.lr", "0", "--test_after_fit", "false"]
    last = tmp_path / "runs/tiny/checkpoints/last.ckpt"
    status, _, err = radio("fit", *arguments, "--trainer.max_epochs", "9")
    assert status == 0, err
    assert torch.load(last, weights_only=True)["epoch"] == 2

    for stopped_after in (1, 2):
        status, _, err = radio(
            "fit", *arguments, "--trainer.max_epochs", str(stopped_after), "--overwrite", "true"
        )
        assert status == 0, err
        assert torch.load(last, weights_only=True)["epoch"] == stopped_after - 1
        status, _, err = radio(
            "fit", *arguments, "--trainer.max_epochs", "9", "--ckpt_path", str(last)
        )
        assert status == 0, err
        assert torch.load(last, weights_only=True)["epoch"] == 2

    # the end stays the end, and with more patience it is none
    again = [*arguments, "--trainer.max_epochs", "9", "--ckpt_path", "last"]
    status, out, err = radio("fit", *again)
    assert status == 0, err
    assert (
        "nothing was left to train: validation/nDCG@5 has not improved for 2 of its checks, and "
        "the patience of EarlyStopping is 2; to train on, raise it" in out
    )
    assert torch.load(last, weights_only=True)["epoch"] == 2
    (tmp_path / "patient.yaml").write_text(
        Path(EARLY[1]).read_text(encoding="utf-8").replace("patience: 2", "patience: 3")
    )
    patient = [str(tmp_path / "patient.yaml") if part == EARLY[1] else part for part in again]
    status, out, err = radio("fit", *patient)
    assert status == 0, err
    assert "trainer.callbacks.EarlyStopping.patience: 2 in the checkpoint, 3 in this command" in out
    assert torch.load(last, weights_only=True)["epoch"] == 3


KILLER = '''
import os
import signal
import lightning as L

class Killer(L.Callback):
    """Sends this process a signal in the middle of the second epoch."""

    def __init__(self, name: str):
        self.name = name

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 1:
            os.kill(os.getpid(), getattr(signal, self.name))
'''


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["FullList", "HardNegatives"])
def test_a_killed_run_goes_on_from_its_last_checkpoint_to_the_same_metrics(
    radio: Radio, tiny_run: list[str], tmp_path: Path, sampler: str
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(tmp_path)}
    arguments = [
        *tiny_run,
        *SMALL,
        "--trainer.max_epochs",
        "3",
        "--data.init_args.sampler",
        sampler,
    ]

    def results(name: str) -> tuple[Any, list[str], dict[str, torch.Tensor]]:
        run = tmp_path / "runs" / name
        rankings = [(run / f"{split}.tuned.trec").read_text() for split in ("validation", "test")]
        metrics = json.loads((run / "metrics.json").read_text())
        for notes in metrics["generators"].values():
            for note in notes:
                # what the answers cost: a run that goes on has some of them already
                del note["systems"], note["total"]
        return (
            metrics,
            rankings,
            load_file(run / "export/model.safetensors"),
        )

    status, _, err = radio("fit", *arguments, "--name", "whole")
    assert status == 0, err
    expected = results("whole")
    for name in ("SIGKILL", "SIGTERM"):
        killer = [
            "--name",
            name,
            "--trainer.callbacks+",
            "killer.Killer",
            "--trainer.callbacks.init_args.name",
            name,
        ]
        command = [sys.executable, "-m", "radio", "fit", *arguments, *killer]
        done = forked.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE)
        # 143 is what a shell expects of a process that SIGTERM has ended
        assert done.returncode == {"SIGKILL": -9, "SIGTERM": 143}[name], done.stderr
        if name == "SIGTERM":
            assert (
                f"goes on with the same command and --ckpt_path last (runs/{name}/" in done.stderr
            )
        last = tmp_path / f"runs/{name}/checkpoints/last.ckpt"
        # one that is asked to end writes a checkpoint first
        epoch = {"SIGKILL": 0, "SIGTERM": 1}[name]
        assert torch.load(last, weights_only=True)["epoch"] == epoch
        assert not (tmp_path / f"runs/{name}/export").exists()
        status, _, err = radio("fit", *arguments, "--name", name, "--ckpt_path", str(last))
        assert status == 0, err
        metrics, rankings, weights = results(name)
        assert metrics == expected[0]
        assert rankings == expected[1]
        for key, weight in expected[2].items():
            torch.testing.assert_close(weights[key], weight, rtol=0, atol=0)


def test_a_reranker_that_has_learnt_nothing_is_exported_with_a_warning(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("fit", *tiny_run, "--model.init_args.lr", "0")
    assert status == 0, err
    warning = "the tuned reranker is no better than the base (nDCG@5 +0.0 [+0.0, +0.0] points"
    # behind the table, where it is read
    assert f"WARNING: {warning}" in out[out.index("run folder:") :]
    assert f"> **Warning**: {warning}" in (tmp_path / "runs/tiny/export/README.md").read_text()


def test_the_model_card_has_the_figures_of_the_weights_that_are_exported(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    more = [
        "--trainer.max_epochs",
        "3",
        "--model.init_args.lr",
        "1e-2",
        "--data.init_args.batch_size",
        "2",
    ]
    status, _, err = radio("fit", *tiny_run, *more)
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    step = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["global_step"]
    card = (run / "export/README.md").read_text()
    assert f"| steps | {step} |" in card
    # the best checkpoint is validated again at the end
    value = json.loads((run / "metrics.json").read_text())["validation"]["tuned"]["nDCG@5"]
    assert f"| validation/nDCG@5 | {value:.4f} |" in card
