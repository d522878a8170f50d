"""Commands in run folders: which weights they take, what they leave alone, how a run goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

Radio = Callable[..., tuple[int, str, str]]
FAST = ["--test_after_fit", "false"]
MODEL_CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a run but its mark."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".radio")
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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
        "      monitor: validation/nDCG@5\n      mode: max\n      filename: best\n"
    )
    unseen = ["--config", "best.yaml", "--trainer.limit_val_batches", "0", *FAST]
    with pytest.warns(
        UserWarning, match=r"no checkpoint was written \(validation/nDCG@5 did not come up\)"
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
