"""The checkpoints of a run: which there are, where they are, and whose they are.

What lies in a run folder is that run's. A folder elsewhere (``dirpath`` of a ModelCheckpoint) may
be shared by several runs: there the id that a checkpoint holds says whose it is.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

from radio.schema import InputError

ABOUT = "radio"
"""Where a checkpoint says what run it is of."""

UNFINISHED = ".unfinished"
"""How the name of a checkpoint ends while it is written."""


class Writer(NamedTuple):
    """The run that has written a checkpoint, as far as the file tells."""

    run: str | None = None
    """Its id."""
    folder: str | None = None
    """Its run folder at that time."""

    def __str__(self) -> str:
        return self.folder or f"the run with the id {self.run}"


def writer_of(path: Path) -> Writer:
    """Who has written a checkpoint; nobody is named by a file that cannot be read or is of an older
    version. Its tensors stay on the disk."""
    import torch

    # a sharded one is a folder, in which this file has all but the tensors
    file = path / "meta.pt" if path.is_dir() else path
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # torch names no type for what it cannot read
        return Writer()
    about = content.get(ABOUT) if isinstance(content, dict) else None
    if not isinstance(about, dict):
        return Writer()
    return Writer(about.get("run"), about.get("folder"))


def unfinished(target: Path, run: str | None) -> Path:
    """What a checkpoint is called while this process writes it."""
    return target.with_name(f".{target.name}.{run or 'unknown'}.{os.getpid()}{UNFINISHED}")


def sweep(folder: Path, runs: Sequence[str] | None = None) -> None:
    """Take away the half-written checkpoints in a folder.

    Args:
        folder: where they are.
        runs: ids of those whose they are; None takes all. Another run may be writing its own now.
    """
    whose = ["*"] if runs is None else [f"*.{escape(run)}.*" for run in runs]
    for pattern in whose:
        for path in folder.glob(f".{pattern}{UNFINISHED}"):
            path.unlink(missing_ok=True)


def not_replaced(checkpoint: Path, other: Writer, run: str) -> str:
    """Why a run does not write a checkpoint, and how it can, for a message."""
    return (
        f"{checkpoint} is a checkpoint of {other}; {run} would write over it or delete it, for "
        "both have this dirpath of ModelCheckpoint. Give each run a dirpath of its own, with its "
        "name in it, or none: then they are in its run folder. Or move the other run's away"
    )


def names(paths: Sequence[Path]) -> str:
    """The first names of some files, for a message."""
    return ", ".join(path.name for path in paths[:5]) + (", ..." if len(paths) > 5 else "")


class Kept:
    """The checkpoints of a run.

    Args:
        folder: of the run.
        mark: of the folder.
    """

    def __init__(self, folder: Path, mark: Mapping[str, Any] | None) -> None:
        mark = mark or {}
        self.folder = folder
        self.elsewhere: list[Path] = [Path(place) for place in mark.get("checkpoints", [])]
        """Folders that its ModelCheckpoints were given."""
        self._run: str | None = mark.get("run")
        self._best: str | None = mark.get("best")

    def all(self) -> list[Path]:
        """Those that can be read, the one to go on from first.

        Those called ``last`` come before others, and the newest before older ones. A file that a
        killed process left half-written is no checkpoint.
        """
        shared = [
            path for folder in self.elsewhere for path in _whole(folder) if self._is_own(path)
        ]
        found = {path.resolve(): path for path in [*_whole(self.folder / "checkpoints"), *shared]}
        return sorted(
            found.values(),
            key=lambda path: (path.name.startswith("last"), path.stat().st_mtime),
            reverse=True,
        )

    def best(self) -> Path | None:
        """The one that the run chose by its validation; None if it did not come to that."""
        noted = self.folder / self._best if self._best else None
        if noted is not None and noted.is_file() and self.holds(noted):
            return noted
        return next((path for path in self.all() if path.name.startswith("best")), None)

    def resolve(self, checkpoint: str) -> Path:
        """The file that ``--ckpt_path`` means: a path, or ``last`` or ``best`` of this run.

        Raises:
            InputError: there is none.
        """
        if checkpoint in ("last", "best"):
            there = self.all()
            chosen = (there[0] if there else None) if checkpoint == "last" else self.best()
            if chosen is None:
                others = f"; there are {names(there)}" if there else self._others()
                raise InputError(
                    f"--ckpt_path {checkpoint}: {self.folder} holds no such checkpoint{others}"
                )
            return chosen
        path = Path(checkpoint)
        if os.path.exists(path) and not (path.is_file() or path.is_dir()):
            raise InputError(f"--ckpt_path {checkpoint}: this is neither a file nor a folder")
        if not os.path.exists(path):
            there = self.all()
            others = f"; {self.folder} holds {names(there)}" if there else ""
            raise InputError(
                f"--ckpt_path {checkpoint}: no such file (relative paths start at "
                f"{Path.cwd()}){others}; expected a checkpoint, or last or best: that of the run "
                "--name"
            )
        return path

    def holds(self, checkpoint: Path) -> bool:
        """Whether a checkpoint is one of this run's."""
        above = checkpoint.resolve().parents
        if self.folder.resolve() in above:
            return True
        return any(f.resolve() in above for f in self.elsewhere) and self._is_own(checkpoint)

    def _is_own(self, checkpoint: Path) -> bool:
        """Whether a checkpoint in a folder elsewhere is this run's: it is where one of the two does
        not say."""
        writer = writer_of(checkpoint).run
        return self._run is None or writer is None or writer == self._run

    def _others(self) -> str:
        """What the folders elsewhere hold of other runs, as the end of a message."""
        for folder in self.elsewhere:
            there = _whole(folder)
            if there:
                whose = ", ".join(sorted({str(writer_of(path)) for path in there}))
                return f"; {folder} holds {names(there)}, but of another run ({whose})"
        return ""


def _whole(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.ckpt"))
    return [path for path in found if path.is_dir() or zipfile.is_zipfile(path)]
