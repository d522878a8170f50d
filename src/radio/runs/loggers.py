"""What a run logs: ``metrics.csv`` that a resumed run continues, and W&B runs with a name, a config
and an id.
"""

from __future__ import annotations

import csv
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from radio.lines import atomic_write
from radio.runs.folder import RunFolder
from radio.schema import InputError

SECRET = re.compile(
    r"(api_?key|secret|password|credential|authorization|(^|_)token$)", re.IGNORECASE
)


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


def prepare_wandb(
    loggers: Namespace | list[Namespace] | bool | None,
    folder: RunFolder,
    *,
    first: bool,
    trains: bool,
) -> None:
    """Give the W&B loggers of a config the name of the run, and the id under which it goes on.

    Args:
        loggers: configs of loggers, one, a list, or none.
        folder: of the run.
        first: this process begins the run: it checks the key, and notes the id in the folder.
        trains: the command is ``fit``.

    Raises:
        InputError: W&B has no key, or refuses it.
    """
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if not isinstance(logger, Namespace) or not is_wandb(logger):
            continue
        if first:
            check_wandb_key(logger)
        mark = folder.mark or {}
        identifier = os.environ.get("WANDB_RUN_ID") or mark.get("wandb") or secrets.token_hex(4)
        name_wandb_run(logger, folder.path.name, identifier)
        if first and mark and trains:
            folder.note(wandb=identifier)


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


def check_wandb_key(logger: Namespace) -> None:
    """Refuse to log to W&B without a key, which would ask for one when all has been prepared.

    Raises:
        InputError: there is none, in the environment or where ``wandb login`` keeps it, or the
            server refuses it or is away.
    """
    mode = os.environ.get("WANDB_MODE", "online")
    if logger.init_args.get("offline") or mode in ("offline", "dryrun", "disabled"):
        return
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


def plain(config: object) -> Any:
    """A config for other eyes: what may be a secret is left out, also passwords in addresses."""
    if isinstance(config, Mapping):
        return {
            key: "(left out)"
            if SECRET.search(str(key)) and isinstance(value, str)
            else plain(value)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [plain(value) for value in config]
    if isinstance(config, str):
        return re.sub(r"(\w+://)[^/@\s]+@", r"\1(left out)@", config)
    return config
