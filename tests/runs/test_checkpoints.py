"""Checkpoint files: written whole, and read with one message."""

from __future__ import annotations

import os
import signal
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.runs.checkpoints import WholeCheckpoints, check_network, read_checkpoint
from radio.runs.folder import RunFolder
from radio.schema import InputError
from tests import forked

KILLED_IN_THE_MIDDLE = """
import os, shutil, signal, sys, torch
from radio.trainer import RadioTrainer

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def save(weights):
    content = {"state_dict": {"w": weights}, "pytorch-lightning_version": "2"}
    trainer.strategy.checkpoint_io.save_checkpoint(content, sys.argv[1])

quiet = {"logger": False, "enable_progress_bar": False}
trainer = RadioTrainer(accelerator="cpu", strategy="ddp", devices=1, **quiet)
save(torch.ones(9))
# all is written but not yet in its place; the second is what copies from another file system
os.fsync = shutil._fastcopy_sendfile = kill
save(torch.zeros(9))
"""


def written(path: Path, **content: Any) -> Path:
    torch.save({"pytorch-lightning_version": "2", "state_dict": {}, **content}, path)
    return path


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    # on another file system, where there is one
    environment = {
        **os.environ,
        "TMPDIR": "/dev/shm" if os.path.isdir("/dev/shm") else str(tmp_path.parent),
    }
    done = forked.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(path)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.ones(9))
    # what it had begun is left for the next run of that name to take away
    assert [p.suffix for p in tmp_path.iterdir() if p != path] == [".unfinished"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "last.ckpt")
    before = path.read_bytes()

    def full(checkpoint: Any, file: Any) -> None:
        file.write(b"PK half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        InputError, match=r"last\.ckpt: the checkpoint cannot be written .*the one before is kept"
    ):
        WholeCheckpoints(None).save_checkpoint({}, path)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def cut(path: Path) -> None:
    path.write_bytes(written(path).read_bytes()[:-20])


def strange_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not torch")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot be read"),
    "folder": (lambda path: path.mkdir(), "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (lambda path: path.write_text("no checkpoint"), "another kind of file"),
    "LFS pointer": (
        lambda path: path.write_text("version https://git-lfs"),
        "a pointer of Git LFS",
    ),
    "pickle": (lambda path: path.write_bytes(b"\x80\x04K\x01."), "a pickled object of Python"),
    "cut off": (cut, "cut off"),
    "zip": (strange_zip, "cannot be read"),
    "objects": (
        lambda path: written(path, extra=Fraction(1)),
        "found fractions.Fraction in it.*--weights_only false",
    ),
    "weights alone": (
        lambda path: torch.save({"w": torch.ones(1)}, path),
        "found the keys w, expected a checkpoint",
    ),
    "a tensor": (
        lambda path: torch.save(torch.ones(1), path),
        "found a Tensor, expected a checkpoint",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("look", [True, False])
def test_what_is_no_checkpoint_is_one_message(name: str, look: bool, tmp_path: Path) -> None:
    make, expected = BROKEN[name]
    path = tmp_path / "a.ckpt"
    make(path)
    with pytest.raises(InputError, match=rf"checkpoint .*a\.ckpt: .*{expected}"):
        read_checkpoint(path, look=look)


def test_objects_are_read_when_the_user_trusts_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ckpt", extra=Fraction(1, 2))
    assert read_checkpoint(path, weights_only=False)["extra"] == Fraction(1, 2)


class Module(torch.nn.Module):
    """A reranker as the check sees it."""

    model = "tiny"
    strict_loading = True

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.network = torch.nn.Linear(size, 1)


def test_weights_of_another_network_are_refused_with_names_and_shapes() -> None:
    module = Module()
    stored = {"state_dict": dict(module.state_dict())}
    check_network(stored, module, "a.ckpt")
    with pytest.raises(InputError, match=r"network\.weight \[1, 2\] instead of \[1, 3\]"):
        check_network(stored, Module(3), "a.ckpt")
    other = {"state_dict": {"network.weight": torch.ones(1, 2), "encoder.weight": torch.ones(1)}}
    with pytest.raises(
        InputError, match=r"lacks network\.bias; it has encoder\.weight that this model lacks"
    ):
        check_network(other, module, "a.ckpt")


def of(run: str, **about: Any) -> dict[str, Any]:
    """A checkpoint of a run."""
    about = {"run": run, **about}
    return {"pytorch-lightning_version": "2", "state_dict": {}, "radio": about}


def test_a_checkpoint_of_another_run_is_not_replaced(tmp_path: Path) -> None:
    writer = WholeCheckpoints(None)  # type: ignore[arg-type]
    path = tmp_path / "last.ckpt"
    for content in (of("a", folder="runs/one"), of("a", folder="runs/one")):
        writer.save_checkpoint(content, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"of runs/one; runs/two would write over .*dirpath"):
        writer.save_checkpoint(of("b", folder="runs/two"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    # that of a run that this one replaces is
    writer.save_checkpoint(of("b", replaces=["a"]), path)
    assert read_checkpoint(path)["radio"]["run"] == "b"


def test_what_is_in_the_run_folder_is_replaced_whosever_it_is(tmp_path: Path) -> None:
    class Trainer:
        default_root_dir = str(tmp_path)

    writer = WholeCheckpoints(Trainer())  # type: ignore[arg-type]
    path = tmp_path / "checkpoints/last.ckpt"
    for run in ("a", "b"):
        writer.save_checkpoint(of(run), path)
    assert read_checkpoint(path)["radio"]["run"] == "b"


def test_a_second_run_in_the_same_folder_takes_nothing_from_one_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    save = torch.save

    def meanwhile(content: Any, file: Any) -> None:
        save(content, file)
        other = RunFolder(tmp_path / "runs", "other")
        other.claim("fit", checkpoints=[shared])
        other.release()

    monkeypatch.setattr(torch, "save", meanwhile)
    WholeCheckpoints(None).save_checkpoint(of("a"), shared / "last.ckpt")  # type: ignore[arg-type]
    assert [path.name for path in shared.iterdir()] == ["last.ckpt"]
