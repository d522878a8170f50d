"""Checkpoint files: written whole, read with one message, compared with the command that goes on
from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from radio.runs.checkpoints import WholeCheckpoints, check_network, read_checkpoint
from radio.runs.resuming import RunState, apply_rates, compare, data_fingerprint, differences
from radio.schema import InputError

KILLED_IN_THE_MIDDLE = """
import os, shutil, signal, sys, torch
from radio.trainer import RadioTrainer

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

trainer = RadioTrainer(accelerator="cpu", logger=False, strategy="ddp", devices=1, enable_progress_bar=False)
writer = trainer.strategy.checkpoint_io
writer.save_checkpoint({"state_dict": {"w": torch.ones(9)}, "pytorch-lightning_version": "2"}, sys.argv[1])
# all is written but not yet in its place; the second is what copies from another file system
os.fsync = shutil._fastcopy_sendfile = kill
writer.save_checkpoint({"state_dict": {"w": torch.zeros(9)}, "pytorch-lightning_version": "2"}, sys.argv[1])
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
    done = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(path)], env=environment)
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


def config(**model: Any) -> dict[str, Any]:
    loss = {"class_path": "ListNet", "init_args": {"teacher_temperature": 0.1}}
    arguments = {"model": "m", "lr": 0.1, "loss": loss, "max_length": 8, **model}
    return {
        "seed_everything": 0,
        "model": {"class_path": "BiEncoder", "init_args": arguments},
        "data": {
            "class_path": "Jsonl",
            "init_args": {"batch_size": 4, "seed": None, "train": "a", "cache_dir": "c"},
        },
        "trainer": {"max_epochs": 1},
    }


def saved(before: dict[str, Any], *, half: bool = False) -> dict[str, Any]:
    progress = {"current": {"ready": 3 if half else 0}, "is_last_batch": not half}
    return {
        "radio": {"config": before},
        "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}},
    }


def test_what_differs_is_said_and_the_command_wins_where_it_can() -> None:
    before = config()
    assert compare(saved(before), config(), Path("a"), trains=True) == []
    now = config(lr=0.5, loss={"class_path": "InfoNCE", "init_args": {}})
    now["data"]["init_args"].update(train="b", cache_dir="other", batch_size=8)
    now["trainer"]["max_epochs"] = 2
    assert compare(saved(before), now, Path("a"), trains=True) == [
        "model.init_args.lr: 0.1 in the checkpoint, 0.5 in this command",
        "model.init_args.loss.class_path: ListNet in the checkpoint, InfoNCE in this command",
        "data.init_args.batch_size: 4 in the checkpoint, 8 in this command",
        "data.init_args.train: a in the checkpoint, b in this command",
        "trainer.max_epochs: 1 in the checkpoint, 2 in this command",
    ]
    # an evaluation trains nothing, whatever the rate
    assert compare(saved(before), now, Path("a"), trains=False) == []


def test_another_model_is_refused_and_another_order_within_an_epoch() -> None:
    before = config()
    others = [config(model="n"), config(lora={"rank": 4}) | {}, {**config(), "seed_everything": 1}]
    before["model"]["init_args"]["lora"] = None
    other_class = config()
    other_class["model"]["class_path"] = "CrossEncoder"
    for other in (*others, other_class):
        with pytest.raises(InputError, match="is of another model"):
            compare(saved(before), other, Path("a.ckpt"), trains=True)
    with pytest.raises(InputError, match="class_path: BiEncoder in the checkpoint, CrossEncoder"):
        compare(saved(before), other_class, Path("a.ckpt"), trains=False)
    batches = config()
    batches["data"]["init_args"]["batch_size"] = 8
    with pytest.raises(
        InputError,
        match=r"in the middle of an epoch, whose order is fixed:\n  data\.init_args\.batch",
    ):
        compare(saved(before, half=True), batches, Path("a.ckpt"), trains=True)
    assert compare(saved(before, half=True), config(lr=1), Path("a"), trains=True) != []


def test_two_spellings_of_a_path_do_not_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("")
    assert differences({"k": "./a", "l": ["a"]}, {"k": str(tmp_path / "a"), "l": ["./a"]}) == {}
    assert differences({"k": "./a"}, {"k": "b"}) == {"k": ("./a", "b")}
    # keys of one side alone are those of another version
    assert differences({"k": 1, "old": 2}, {"k": 1, "new": 3}) == {}


@pytest.mark.parametrize("kind", ["LambdaLR", "ExponentialLR"])
def test_the_rate_of_the_command_takes_the_place_that_the_schedule_has_reached(kind: str) -> None:
    def schedule(lr: float) -> tuple[Any, Any]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
        argument = (lambda step: 1 / (1 + step)) if kind == "LambdaLR" else 0.5
        return optimizer, getattr(torch.optim.lr_scheduler, kind)(optimizer, argument)

    optimizer, scheduler = schedule(1.0)
    wanted, other = schedule(3.0)
    for _ in range(3):
        for one, two in ((optimizer, scheduler), (wanted, other)):
            one.step()
            two.step()
    apply_rates(scheduler, [3.0])
    for _ in range(2):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted.param_groups[0]["lr"])
        for one, two in ((optimizer, scheduler), (wanted, other)):
            one.step()
            two.step()
    apply_rates(SimpleNamespace(), [1.0])


def test_other_training_data_are_said_and_refused_within_an_epoch() -> None:
    def state(questions: int) -> tuple[RunState, list[str]]:
        said: list[str] = []
        examples = [
            SimpleNamespace(question=SimpleNamespace(id=str(i), question="q"), teacher={"p": 0.5})
            for i in range(questions)
        ]
        run = RunState()
        run.say = said.append
        run._data = data_fingerprint(SimpleNamespace(examples={"train": examples}))
        return run, said

    before = {"data": state(3)[0]._data, "processes": 1, "half_done": False}
    run, said = state(3)
    run._compare_data(before, 1)
    assert said == []
    run, said = state(2)
    run._compare_data(before, 2)
    assert [line.split(": ", 1)[1] for line in said] == [
        "training data: 3 questions then, 2 now; this command's is used",
        "processes: 1 then, 2 now; this command's is used",
    ]
    with pytest.raises(
        InputError, match="in the middle of an epoch, and this command differs: training data"
    ):
        run._compare_data({**before, "half_done": True}, 1)
