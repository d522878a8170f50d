"""Where a command begins: its run folder, the checkpoint that it starts from, and the folders in
which it writes checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.callbacks import ModelCheckpoint

from radio.runs import progress, story
from radio.runs.checkpoints import read_checkpoint
from radio.runs.folder import OWNED, RunFolder, check_name, sweep_suffix
from radio.runs.kept import ABOUT, not_replaced, writer_of
from radio.runs.resuming import compare, run_of
from radio.schema import InputError
from radio.secrecy import plain

WITH_CHECKPOINT = ("fit", "validate", "test", "predict")
"""Commands that may start from a checkpoint."""


@dataclass(frozen=True)
class Start:
    """The weights that a command starts from."""

    checkpoint: Path | None = None
    """None for those of the model itself."""
    step: int | None = None
    """Optimizer steps done by then; None where that is not known."""
    validates: bool = False
    """Whether training goes on with the validation after the last of them."""
    anew: bool = False
    """Whether the run was to go on, but there is nothing yet to go on from."""


def run_folder(config: Namespace) -> RunFolder:
    """The run folder of a command.

    Raises:
        InputError: its name is not that of one folder.
    """
    check_name(config.name)
    suffix = sweep_suffix()
    # who goes on with a point of a sweep names its folder as it is
    name = config.name if config.name.endswith(suffix) else config.name + suffix
    return RunFolder(config.trainer.default_root_dir or "runs", name)


def place_checkpoints(config: Namespace, folder: RunFolder) -> list[Path]:
    """Have each ModelCheckpoint write into the run folder, if the config does not say where.

    Returns:
        All folders with checkpoints of this run, its own first.
    """
    own = folder.path / "checkpoints"
    places = [own]
    for callback in _checkpoint_writers(config):
        if callback.init_args.get("dirpath") is None:
            callback.init_args.dirpath = str(own)
        place = Path(callback.init_args.dirpath)
        if place not in places:
            places.append(place)
    return places


def _checkpoint_writers(config: Namespace) -> list[Namespace]:
    """The configs of the ModelCheckpoints of a command."""
    callbacks = config.trainer.callbacks or []
    listed = callbacks if isinstance(callbacks, list) else [callbacks]
    return [callback for callback in listed if callback.class_path.endswith("ModelCheckpoint")]


def check_places(config: Namespace, folder: RunFolder, checkpoint: Path | None) -> None:
    """Refuse to train where the checkpoints of another run would be written over, or deleted.

    Args:
        config: of the command, see :func:`place_checkpoints`.
        folder: of the run.
        checkpoint: that the command goes on from.

    Raises:
        InputError: names both runs.
    """
    own = folder.runs
    for callback in _checkpoint_writers(config):
        place = Path(callback.init_args.dirpath)
        if folder.path.resolve() in place.resolve().parents:
            continue
        for path in sorted(place.glob("*.ckpt")):
            # what a callback knows from its checkpoint it takes for its own
            known = checkpoint is not None and path.resolve() == checkpoint.resolve()
            if not (known or _writes_over(callback.init_args, path.stem)):
                continue
            other = writer_of(path)
            if other.run is not None and other.run not in own:
                raise InputError(not_replaced(path, other, str(folder.path)))


def _writes_over(arguments: Namespace, name: str) -> bool:
    """Whether a ModelCheckpoint may replace a file of this name; with a version counter it takes
    another name."""
    if arguments.get("enable_version_counter", True):
        return False
    templates = [arguments.get("filename") or "{epoch}-{step}"]
    if arguments.get("save_last"):
        templates.append(ModelCheckpoint.CHECKPOINT_NAME_LAST)
    # epoch={epoch}, or the number alone
    patterns = [".*".join(map(re.escape, re.split(r"\{[^}]*\}", one))) for one in templates]
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def find_start(
    command: str, config: Namespace, folder: RunFolder, settings: Mapping[str, Any]
) -> Start:
    """The checkpoint that a command starts from; an evaluation takes the best one of a trained run.

    Says in what the command differs from the one that has written it. Takes ``last`` out of the
    config where there is no checkpoint yet.

    Args:
        command: one word.
        config: of the command.
        folder: of the run.
        settings: of the command, see :func:`radio.runs.resuming.relevant`.

    Raises:
        InputError: there is no such checkpoint, it cannot be read, or the command does not fit it.
    """
    given = config.get("ckpt_path")
    if command not in WITH_CHECKPOINT or "://" in (given or ""):
        return Start()
    if command == "fit" and given == "last" and _has_only_begun(folder):
        # one command for the first time and all later ones: where a job is started again by itself,
        # nobody is there to change it
        config.ckpt_path = None
        return Start(anew=True)
    if given is not None:
        checkpoint = folder.resolve(given)
    elif command != "fit" and folder.trained:
        checkpoint = _best_of(folder, command)
    else:
        return Start()
    if not checkpoint.is_file():
        return Start(checkpoint)
    content = read_checkpoint(
        checkpoint, weights_only=config.get("weights_only") is not False, look=True
    )
    # those of older versions hold the settings as they were given
    content = {**content, ABOUT: plain(content.get(ABOUT))}
    for line in compare(content, settings, checkpoint, trains=command == "fit"):
        story.say(f"differs from the checkpoint: {line}; this command's is used")
    replaces = command == "fit" and config.overwrite
    if not replaces and _is_of_another_run(content, checkpoint, folder) and folder.found(OWNED):
        raise InputError(
            f"{folder.path} holds another run than that of the checkpoint {checkpoint}, whose "
            f"{command} would write over its results; choose another --name"
        )
    validates = progress.is_validation_due(content.get("loops", {}))
    return Start(checkpoint, int(content.get("global_step", 0)), validates)


def _has_only_begun(folder: RunFolder) -> bool:
    """Whether there is nothing yet that a training could go on from, nor anything to lose: no
    folder, or one of a ``fit`` that was ended before its first checkpoint."""
    mark = folder.mark
    if mark is None:
        return not folder.found(OWNED)
    ended = mark.get("finished") or (folder.path / "export").exists()
    return mark.get("command") == "fit" and not ended and not folder.checkpoints()


def _best_of(folder: RunFolder, command: str) -> Path:
    checkpoint = folder.best_checkpoint() or next(iter(folder.checkpoints()), None)
    if checkpoint is None:
        raise InputError(
            f"{folder.path} holds a trained run, but no checkpoint of it: {command} "
            "would write what the untrained model gives over its results. Evaluate its "
            "export under another --name, with --model.init_args.model "
            f"{folder.path / 'export'}, or give --ckpt_path"
        )
    return checkpoint


def _is_of_another_run(content: Mapping[str, Any], path: Path, folder: RunFolder) -> bool:
    own = (folder.mark or {}).get("run")
    writer = run_of(content)
    if not own or writer is None or writer == own:
        return False
    return not folder.holds(path)


def say_what_begins(command: str, config: Namespace, folder: RunFolder, start: Start) -> None:
    """The first lines of a command: run folder, model, loss, seed, and whose weights it takes."""
    model = config.model
    loss = model.init_args.get("loss") if command == "fit" else None
    taught = f", loss {_class_name(loss)}" if loss else ""
    story.say(
        f"{command} {folder.path}: {_class_name(model)} {model.init_args.get('model', '')}"
        f"{taught}, seed {config.seed_everything}"
    )
    if start.anew:
        story.say("--ckpt_path last: there is no checkpoint yet, the run begins from the start")
    elif start.checkpoint is not None and command == "fit":
        step = "?" if start.step is None else start.step
        story.say(f"goes on from {start.checkpoint}, after step {step}")
    elif start.checkpoint is not None:
        story.say(f"weights: {start.checkpoint}")
    elif command != "fit":
        story.say(
            "weights: of that model as it is, not trained further (--ckpt_path takes a checkpoint)"
        )


def _class_name(part: Namespace) -> str:
    """The last part of the import path of a class."""
    path: str = part.class_path
    return path.rpartition(".")[2]
