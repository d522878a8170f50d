"""Checkpoints: written whole or not at all, read with one clear message, and compared with the
command that goes on.
"""

from __future__ import annotations

import os
import pickle
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn

from radio.disk import sync_folder
from radio.processes import process_count, stopping_together
from radio.runs.kept import ABOUT, not_replaced, unfinished, writer_of
from radio.runs.stopping import checkpoint_writers
from radio.schema import InputError


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it when it is on the disk.

    Until then the previous one stays, whenever the process is killed. (Lightning writes to the
    temporary folder; where that is on another file system, moving it is a copy.)

    Args:
        trainer: whose network must fit what is read.
    """

    def __init__(self, trainer: L.Trainer) -> None:
        self.trainer = trainer
        self._problem: InputError | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        try:
            self._save(checkpoint, path, storage_options)
        except InputError as error:
            if process_count() == 1:
                raise
            # the others wait for this process, until the trainer asks for it
            self._problem = error

    def stop_where_unwritten(self) -> None:
        """End all processes where the first one could not write; all must call it.

        Raises:
            InputError: says why.
        """
        problem, self._problem = self._problem, None
        with stopping_together(self.trainer.strategy.root_device):
            if problem is not None:
                raise problem

    def _save(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any) -> None:
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        about = checkpoint.get(ABOUT) or {}
        self._check_whose(target, about)
        work = unfinished(target, about.get("run"))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with work.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            work.replace(target)
            sync_folder(target.parent)
        except (OSError, RuntimeError) as error:
            # torch reports a full disk as a RuntimeError
            kept = "; the one before is kept" if target.exists() else ""
            raise InputError(
                f"{target}: the checkpoint cannot be written ({error}){kept}. Make room in "
                f"{target.parent}, or make it writable; then the same command goes on with "
                "--ckpt_path last"
            ) from None
        finally:
            # that it cannot be swept up either is no news
            with suppress(OSError):
                work.unlink()

    def _check_whose(self, target: Path, about: Mapping[str, Any]) -> None:
        """Refuse to replace the checkpoint of another run in a folder that several write to.

        Raises:
            InputError: names both.
        """
        home = getattr(self.trainer, "default_root_dir", None)
        at_home = home is not None and Path(home).resolve() in target.resolve().parents
        if at_home or not target.exists():
            return
        other = writer_of(target)
        own = [about.get("run"), *about.get("replaces", [])]
        if about.get("run") and other.run and other.run not in own:
            raise InputError(not_replaced(target, other, str(about.get("folder", "this run"))))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        checkpoint = read_checkpoint(Path(path), weights_only=weights_only is not False)
        check_network(checkpoint, self.trainer.lightning_module, path)
        return checkpoint


def try_to_write(folders: Sequence[Path]) -> None:
    """Learn before training, and not when the first checkpoint is due, where none can be written.

    Raises:
        InputError: names the folder.
    """
    for folder in folders:
        if ":/" in str(folder):
            continue
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"0" * 4096)
        except OSError as error:
            raise InputError(
                f"{folder}: no checkpoint can be written there ({error.strerror or error}); make "
                "room, make it writable, or give another folder (--name, "
                "--trainer.default_root_dir, dirpath of ModelCheckpoint)"
            ) from None


def read_checkpoint(path: Path, *, weights_only: bool = True, look: bool = False) -> dict[str, Any]:
    """A checkpoint of Lightning, on the CPU.

    Args:
        path: of the file.
        weights_only: refuse what is no tensor or plain value.
        look: leave the tensors on the disk: for one who only wants to know what is in it.

    Raises:
        InputError: there is none, it is cut off, not a checkpoint, or holds more than tensors and
            plain values.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise InputError(f"checkpoint {path}: cannot be read ({error.strerror or error})") from None
    if not begin:
        raise InputError(f"checkpoint {path}: the file is empty (0 bytes): writing it was cut off")
    if begin[:2] != b"PK":
        raise InputError(
            f"checkpoint {path}: found {_kind(begin)}, expected a checkpoint that radio fit has "
            "written"
        )
    if not zipfile.is_zipfile(path):
        raise InputError(f"checkpoint {path}: the file is cut off: its end is missing")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=weights_only, mmap=look)
    except pickle.UnpicklingError as error:
        objects = re.findall(r"GLOBAL ([\w.]+)|class `?([\w.]+)`?", str(error))
        named = next((a or b for a, b in objects), "a Python object")
        raise InputError(
            f"checkpoint {path}: found {named} in it, expected tensors and plain values only: an "
            "object in a file may run any code when it is read. If you trust where the file comes "
            "from: --weights_only false"
        ) from None
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"checkpoint {path}: cannot be read ({str(error).splitlines()[0][:200]})"
        ) from None
    keys = list(checkpoint) if isinstance(checkpoint, dict) else []
    if "state_dict" not in keys or "pytorch-lightning_version" not in keys:
        found = (
            f"the keys {', '.join(map(str, keys[:5]))}"
            if keys
            else f"a {type(checkpoint).__name__}"
        )
        raise InputError(
            f"checkpoint {path}: found {found}, expected a checkpoint that radio fit has written; "
            "a model folder goes to --model.init_args.model"
        )
    return checkpoint  # type: ignore[no-any-return]


def _kind(begin: bytes) -> str:
    """What a file is, by its first bytes."""
    if begin[:1] == b"\x80":
        return "a pickled object of Python"
    if begin.startswith(b"ver"):
        return "a pointer of Git LFS in place of the file (git lfs pull)"
    return "another kind of file"


def check_network(
    checkpoint: Mapping[str, Any], module: L.LightningModule | None, path: str | Path
) -> None:
    """Refuse the weights of another network.

    Raises:
        InputError: names or shapes differ.
    """
    if module is None or getattr(module, "network", None) is None:
        return
    own, stored = _shapes(module.state_dict()), _shapes(checkpoint["state_dict"])
    missing, unknown = sorted(own.keys() - stored.keys()), sorted(stored.keys() - own.keys())
    if not module.strict_loading:
        missing, unknown = [], []
    other = [name for name in own if name in stored and own[name] != stored[name]]
    if not (missing or unknown or other):
        return
    facts = []
    if missing:
        facts.append(f"it lacks {_some(missing)}")
    if unknown:
        facts.append(f"it has {_some(unknown)} that this model lacks")
    if other:
        shapes = [f"{name} {list(stored[name])} instead of {list(own[name])}" for name in other]
        facts.append(f"it has {_some(shapes)}")
    raise InputError(
        f"checkpoint {path} is of another network than this {type(module).__name__} "
        f"({module.model}): {'; '.join(facts)}. Give the --model, its model and its lora with "
        "which the checkpoint was trained"
    )


def _shapes(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    tensors = {name: value for name, value in weights.items() if hasattr(value, "shape")}
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class KeepLastWeights(L.Callback):
    """Writes a checkpoint at the end of training if no ModelCheckpoint has: what was trained is not
    lost.

    That is so where the metric that they monitor was never computed, without a validation, say.
    ``save_top_k: 0`` and ``enable_checkpointing: false`` are heeded.

    Args:
        path: of that checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        writers = checkpoint_writers(trainer)
        if getattr(trainer, "fast_dev_run", False) or not writers:
            return
        if self.path.is_file() and not any(_writes(c, self.path) for c in writers):
            # of a time when the run was asked to end: none goes on from there any more
            trainer.save_checkpoint(self.path)
            return
        # by this process, or by the one that it goes on from
        if any(c._last_checkpoint_saved or _is_file(c.best_model_path) for c in writers):
            return
        trainer.save_checkpoint(self.path)
        monitored = sorted({c.monitor for c in writers if c.monitor})
        rank_zero_warn(
            f"no checkpoint was written ({', '.join(monitored) or 'no interval'} did not come up); "
            f"the last weights are kept in {self.path}"
        )


def _writes(callback: ModelCheckpoint, path: Path) -> bool:
    """Whether a checkpoint is one of a callback's."""
    own = (callback.last_model_path, callback.best_model_path, callback._last_checkpoint_saved)
    return any(place and Path(place).resolve() == path.resolve() for place in own)


def _is_file(path: str) -> bool:
    return bool(path) and Path(path).is_file()
