"""Checkpoints: written whole or not at all, read with one clear message, and compared with the
command that goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn

from radio.run_folder import UNFINISHED
from radio.schema import InputError

KEY = "radio"
"""Where a checkpoint says what run it is of, and with what settings and data."""

COMMAND_WINS = (
    *("lr", "weight_decay", "warmup_ratio", "loss", "dropout", "max_length"),
    *("gradient_checkpointing", "compile"),
)
"""Arguments of a reranker that may change between a checkpoint and the command that goes on from
it.
"""

ORDER = ("batch_size", "sampler", "seed")
"""Arguments of the data on which the order of the groups hangs: they are fixed within an epoch."""

NO_MATTER = (
    *(
        "cache_dir",
        "num_workers",
        "eval_batch_size",
        "eval_candidates",
        "predict",
        "validation",
        "test",
    ),
    *("persistent_workers",),
)
"""Arguments of the data that do not change what is learnt."""

TRAINING = (
    *("max_epochs", "max_steps", "accumulate_grad_batches", "precision", "limit_train_batches"),
    *("gradient_clip_val", "gradient_clip_algorithm"),
)
"""Arguments of the trainer that do."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it when it is on the disk.

    Until then the previous one stays, whenever the process is killed. (Lightning writes to the
    temporary folder; where that is on another file system, moving it is a copy.)

    Args:
        trainer: whose network must fit what is read.
    """

    def __init__(self, trainer: L.Trainer) -> None:
        self.trainer = trainer

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        work = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with work.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            work.replace(target)
            _sync_folder(target.parent)
        except (OSError, RuntimeError) as error:
            # torch reports a full disk as a RuntimeError
            kept = "; the one before is kept" if target.exists() else ""
            raise InputError(
                f"{target}: the checkpoint cannot be written ({error}){kept}"
            ) from None
        finally:
            work.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: Any,
        map_location: Any = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        checkpoint = read_checkpoint(Path(path), weights_only=weights_only is not False)
        check_network(checkpoint, self.trainer.lightning_module, path)
        return checkpoint


def _sync_folder(folder: Path) -> None:
    """Put the renaming itself on the disk, where the system lets one open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


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


def check_network(checkpoint: Mapping[str, Any], module: Any, path: Any) -> None:
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


def run_of(checkpoint: Mapping[str, Any]) -> str | None:
    """The id of the run that has written a checkpoint, if it says."""
    return _about(checkpoint).get("run")


def _about(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    about = checkpoint.get(KEY)
    return about if isinstance(about, dict) else {}


def half_done(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was written in the middle of an epoch."""
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.batch_progress", {})
    return progress.get("current", {}).get("ready", 0) > 0 and not progress.get(
        "is_last_batch", True
    )


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that what is learnt hangs on, as plain values."""
    trainer = config.get("trainer") or {}
    return {
        "seed_everything": config.get("seed_everything"),
        "model": config.get("model"),
        "data": config.get("data"),
        "trainer": {key: trainer[key] for key in TRAINING if key in trainer},
    }


def differences(before: Any, now: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ, by their full key. Below a class that is another one nothing is
    compared; nor is a setting that only one side knows, as between versions."""
    if isinstance(before, dict) and isinstance(now, dict):
        if "class_path" in before and before["class_path"] != now.get("class_path"):
            return {f"{key}.class_path": (before["class_path"], now.get("class_path"))}
        found: dict[str, tuple[Any, Any]] = {}
        for name in before:
            if name in now:
                found |= differences(before[name], now[name], f"{key}.{name}" if key else name)
        return found
    return {} if before == now or _same_place(before, now) else {key: (before, now)}


def _same_place(before: Any, now: Any) -> bool:
    """Whether two spellings of a path mean the same file."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return all(a == b or _same_place(a, b) for a, b in zip(before, now, strict=True))
    if not isinstance(before, str) or not isinstance(now, str):
        return False
    return Path(now).exists() and Path(before).resolve() == Path(now).resolve()


def _argument(key: str, section: str) -> str | None:
    """The argument of the class of a section that a key is of, or lies in: ``loss``."""
    match = re.match(rf"{section}\.init_args\.(\w+)", key)
    return match[1] if match else None


def compare(
    checkpoint: Mapping[str, Any], config: Mapping[str, Any], path: Path, *, trains: bool
) -> list[str]:
    """What differs between the settings of a checkpoint and those of the command that starts from
    it, a line each.

    Args:
        checkpoint: as :func:`read_checkpoint` gives it.
        config: of the command.
        path: of the checkpoint, for the messages.
        trains: the command goes on with training; otherwise it only evaluates.

    Raises:
        InputError: they are of different models, or of a different order of the data in a half-done
            epoch.
    """
    before = _about(checkpoint).get("config")
    if not before:
        return []
    said, refused, fixed = [], [], []
    for key, (old, new) in differences(before, relevant(config)).items():
        model, data = _argument(key, "model"), _argument(key, "data")
        line = f"{key}: {_short(old)} in the checkpoint, {_short(new)} in this command"
        other_model = key.startswith("model.") and model not in COMMAND_WINS
        if other_model or (key == "seed_everything" and trains):
            refused.append(line)
        elif data in NO_MATTER or not trains:
            continue
        elif half_done(checkpoint) and (data in ORDER or key == "trainer.accumulate_grad_batches"):
            fixed.append(line)
        else:
            said.append(line)
    if refused:
        raise InputError(
            f"checkpoint {path} is of another model:\n  "
            + "\n  ".join(refused)
            + "\nGive the settings of the checkpoint; to train other ones from its weights, begin a "
            "new run with --model.init_args.model RUN/export"
        )
    if fixed:
        raise InputError(
            f"checkpoint {path} is in the middle of an epoch, whose order is fixed:\n  "
            + "\n  ".join(fixed)
        )
    return said


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:57] + "..."


def data_fingerprint(datamodule: Any) -> dict[str, Any]:
    """What a run is trained on: the number of questions, and a digest of them, their candidates and
    teacher scores.
    """
    examples = getattr(datamodule, "examples", {}).get("train", [])
    digest = hashlib.sha256()
    for example in examples:
        teacher = sorted((example.teacher or {}).items())
        digest.update(
            json.dumps([example.question.id, example.question.question, teacher]).encode()
        )
    return {"questions": len(examples), "digest": digest.hexdigest()}


class RunState(L.Callback):
    """Writes into each checkpoint what it was trained with and on, and makes a resumed run heed its
    own command.

    Lightning restores learning rate, weight decay and schedule from the checkpoint; the command's
    are put in their place before the first step.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        """``run`` and ``config`` of the command, if it has them."""
        self.say: Callable[[str], None] = rank_zero_warn
        self._given: list[list[dict[str, Any]]] = []
        self._base_lrs: list[list[float]] = []
        self._data: dict[str, Any] = {}
        self._before: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = {**self.facts, "data": self._data, "processes": trainer.world_size}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit":
            self._before = {**_about(checkpoint), "half_done": half_done(checkpoint)}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # the optimizers are as the command has them: Lightning restores their state after this
        self._data = data_fingerprint(trainer.datamodule)  # type: ignore[attr-defined]
        self._given = [
            [
                {key: value for key, value in group.items() if key != "params"}
                for group in optimizer.param_groups
            ]
            for optimizer in trainer.optimizers
        ]
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self._base_lrs = [list(getattr(scheduler, "base_lrs", [])) for scheduler in schedulers]
        before, self._before = self._before, {}
        if before.get("data", {}).get("questions"):
            self._compare_data(before, trainer.world_size)

    def _compare_data(self, before: Mapping[str, Any], processes: int) -> None:
        differing = []
        if before["data"] != self._data:
            old, new = before["data"]["questions"], self._data["questions"]
            counts = (
                f"{old} questions then, {new} now"
                if old != new
                else "other questions or teacher scores"
            )
            differing.append(f"training data: {counts}")
        if before.get("processes", processes) != processes:
            differing.append(f"processes: {before['processes']} then, {processes} now")
        if differing and before["half_done"]:
            raise InputError(
                "the checkpoint is in the middle of an epoch, and this command differs: "
                f"{'; '.join(differing)}. Give what it was trained on, or go on from a checkpoint "
                "at the end of an epoch"
            )
        for line in differing:
            self.say(f"differs from the checkpoint: {line}; this command's is used")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._given, strict=True):
            for group, given in zip(optimizer.param_groups, groups, strict=False):
                # the rate itself is the schedule's; without one it is the command's
                kept = {"lr": group["lr"]} if trainer.lr_scheduler_configs else {}
                group.update({**given, **kept})
        for config, base_lrs in zip(trainer.lr_scheduler_configs, self._base_lrs, strict=True):
            apply_rates(config.scheduler, base_lrs)


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
        callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        writers = [c for c in callbacks if c.save_top_k != 0]
        # by this process, or by the one that it goes on from
        written = [c for c in writers if c._last_checkpoint_saved or _is_file(c.best_model_path)]
        if trainer.fast_dev_run or not writers or written:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(self.path)
        monitored = sorted({c.monitor for c in writers if c.monitor})
        rank_zero_warn(
            f"no checkpoint was written ({', '.join(monitored) or 'no interval'} did not come up); "
            f"the last weights are kept in {self.path}"
        )


def _is_file(path: str) -> bool:
    return bool(path) and Path(path).is_file()


def apply_rates(scheduler: Any, base_lrs: list[float]) -> None:
    """Set the learning rates that a schedule gives at its present step when it starts from
    ``base_lrs``.
    """
    if not base_lrs or not hasattr(scheduler, "base_lrs"):
        return
    old, scheduler.base_lrs = list(scheduler.base_lrs), list(base_lrs)
    if isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR):
        factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
        rates = [rate * factor for rate, factor in zip(base_lrs, factors, strict=True)]
    else:
        groups = scheduler.optimizer.param_groups
        rates = [
            group["lr"] * (new / base if base else 1.0)
            for group, new, base in zip(groups, base_lrs, old, strict=True)
        ]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
