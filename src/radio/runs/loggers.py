"""What a run logs: ``metrics.csv`` that a resumed run continues, W&B runs with a name, a config and
an id, and TensorBoard's files in the run folder.
"""

from __future__ import annotations

import csv
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from radio.lines import atomic_write
from radio.runs.folder import RunFolder
from radio.schema import InputError
from radio.secrecy import plain_words

TENSORBOARD = "tensorboard"
"""Folder in that of a run for what its TensorBoard logger writes."""

LIGHTNINGS_NAME = "lightning_logs"
"""Of a TensorBoard logger whose config names none."""


class ResumableCSVLogger(CSVLogger):
    """``metrics.csv`` in the run folder itself. Rows of an earlier part of the run are kept up to a
    step.

    Every row is written at once: a killed run loses none.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, name="", version="", flush_logs_every_n_steps=1)
        self.folder = Path(folder)
        self._ahead: tuple[Any, int] | None = None

    def keep_until(self, step: int, *, validates: bool = False) -> None:
        """Drop the rows that a killed run wrote after its checkpoint: they will be written again.

        A row that the kill, or a full disk, has cut off is dropped too.

        Args:
            step: optimizer steps done when the checkpoint was written.
            validates: the run goes on with the validation after the last of them.
        """
        path = self.folder / ExperimentWriter.NAME_METRICS_FILE
        if not path.is_file():
            return
        try:
            names, rows = _whole_rows(path)
            kept = []
            for row in rows:
                again = validates and int(row["step"]) == step - 1 and _is_of_validation(row)
                if int(row["step"]) < step and not again:
                    kept.append(row)
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise InputError(
                f"{path}: not what radio wrote ({error}); the rows of this run are added to it: "
                "move it away first"
            ) from None
        _write_rows(path, names, kept)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._experiment = _Continued(str(self.folder))
        return self._experiment

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        row, self._ahead = self._ahead, None
        if row == (metrics, step):
            return
        super().log_metrics(metrics, step)
        self.save()

    def log_ahead(self, metrics: Any, step: int) -> None:
        """Write a row that Lightning is about to log, so that it is on the disk before a checkpoint
        that is of the same step."""
        self.log_metrics(metrics, step)
        self._ahead = metrics, step


class _Continued(ExperimentWriter):
    """Adds to the file that is there. (Lightning's deletes it.)"""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])

    def _check_log_dir_exists(self) -> None:
        pass

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        # Lightning's truncates the file first: a kill would take all rows
        _, rows = _whole_rows(Path(self.metrics_file_path))
        _write_rows(Path(self.metrics_file_path), fieldnames, rows)


def _whole_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a CSV file and its rows, but for a last one that is cut off."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(whole.splitlines())
    return list(reader.fieldnames or []), list(reader)


def _is_of_validation(row: Mapping[str, str]) -> bool:
    return any(value for name, value in row.items() if name.startswith("validation/"))


def _write_rows(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


class DiscreetWandbLogger(WandbLogger):
    """W&B notes the command line of a run: here without what may be a secret, as the config."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        typed = sys.argv
        # processes that this one starts need it as it is
        sys.argv = plain_words(typed)
        try:
            return super().experiment
        finally:
            sys.argv = typed


def prepare_loggers(
    loggers: Namespace | list[Namespace] | bool | None,
    folder: RunFolder,
    *,
    first: bool,
    trains: bool,
) -> None:
    """Give the W&B loggers of a config the name of the run, and the id under which it goes on; and
    those of TensorBoard a folder in that of the run.

    Args:
        loggers: configs of loggers, one, a list, or none.
        folder: of the run.
        first: this process begins the run: it checks the key, and notes the id in the folder.
        trains: the command is ``fit``.

    Raises:
        InputError: W&B has no key, or refuses it; TensorBoard is not installed.
    """
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if not isinstance(logger, Namespace):
            continue
        if is_tensorboard(logger):
            check_tensorboard()
            name_tensorboard_folder(logger, folder.path.name)
        if not is_wandb(logger):
            continue
        if is_offline(logger):
            keep_together(logger)
        elif first:
            check_wandb_key()
        mark = folder.mark or {}
        identifier = os.environ.get("WANDB_RUN_ID") or mark.get("wandb") or secrets.token_hex(4)
        name_wandb_run(logger, folder.path.name, identifier)
        logger.class_path = f"{DiscreetWandbLogger.__module__}.{DiscreetWandbLogger.__qualname__}"
        if first and mark and trains:
            folder.note(wandb=identifier)


def is_tensorboard(logger: object) -> bool:
    """Whether the config of a logger is that of TensorBoard."""
    return str(getattr(logger, "class_path", "")).endswith("TensorBoardLogger")


def check_tensorboard() -> None:
    """Refuse to log to TensorBoard without it.

    Raises:
        InputError: its package is not there.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise InputError(
            "TensorBoardLogger needs its package: pip install 'radio-rag[tensorboard]'"
        ) from None


def name_tensorboard_folder(logger: Namespace, name: str) -> None:
    """Let a TensorBoard logger write to ``save_dir/NAME/tensorboard``, unless its config says
    otherwise: in the folder of the run, where ``save_dir`` is that of all runs."""
    arguments = logger.init_args
    if arguments.get("name") == LIGHTNINGS_NAME and arguments.get("version") is None:
        arguments.name, arguments.version = name, TENSORBOARD


def is_wandb(logger: object) -> bool:
    """Whether the config of a logger is that of W&B."""
    return str(getattr(logger, "class_path", "")).endswith("WandbLogger")


def name_wandb_run(logger: Namespace, name: str, identifier: str) -> None:
    """Name a W&B run in its logger's config like the run, and give it an id, by which it is found
    when it goes on.
    """
    arguments = logger.init_args
    arguments.name = arguments.get("name") or name
    if not (arguments.get("id") or arguments.get("version")):
        arguments.id = identifier


def is_offline(logger: Namespace) -> bool:
    """Whether a W&B logger writes files alone, by its config or by the environment."""
    mode = os.environ.get("WANDB_MODE", "online")
    return bool(logger.init_args.get("offline")) or mode in ("offline", "dryrun", "disabled")


def keep_together(logger: Namespace) -> None:
    """Let W&B keep what it is to sync later beside the run's other files, and not in the user's
    home folder, which another machine may lack."""
    folder = Path(logger.init_args.get("save_dir") or logger.init_args.get("dir") or ".")
    os.environ.setdefault("WANDB_DATA_DIR", str(folder.resolve() / "wandb" / "data"))


def check_wandb_key() -> None:
    """Refuse to log to W&B without a key, which would ask for one when all has been prepared.

    Raises:
        InputError: there is none, in the environment or where ``wandb login`` keeps it, or the
            server refuses it or is away.
    """
    import wandb

    try:
        # asks the server too: a key that it does not know, or a server that is away, shows now and
        # not after hours
        known = wandb.login(prompt=False)
    except wandb.errors.Error as error:
        raise InputError(f"W&B: {error}; to log without a connection: WANDB_MODE=offline") from None
    if not known:
        raise InputError(
            "W&B: no API key: set WANDB_API_KEY or run `wandb login`; to log without an account: "
            "WANDB_MODE=offline"
        )
