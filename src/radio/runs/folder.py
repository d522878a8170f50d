"""The folder of a run: whose it is, who is at work in it, what of it may be replaced, and where a
run goes on.

A folder that a run has made carries a mark, the file ``.radio``. What is not marked belongs to the
user or to an earlier version, and is neither deleted nor written over.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from radio import __version__
from radio.evaluation.files import check_results
from radio.lines import atomic_write
from radio.runs.kept import Kept, names, sweep, writer_of
from radio.schema import InputError

MARK = ".radio"
LOCK = ".radio.lock"

RANKINGS = ("validation.*.trec", "test.*.trec")
EVALUATED = ("config.yaml", "metrics.json", "predictions.jsonl")
PREDICTED = ("predict.trec", "predict.jsonl")
TRAINED = ("checkpoints", "export", "onnx", "metrics.csv", "tensorboard")
OWNED = (*TRAINED, *EVALUATED, *RANKINGS, *PREDICTED)
"""What the commands write into a run folder, and ``--overwrite true`` replaces."""

WRITES: dict[str, tuple[str, ...]] = {
    "fit": OWNED,
    "validate": (*EVALUATED, RANKINGS[0]),
    "test": (*EVALUATED, RANKINGS[1]),
    "predict": ("config.yaml", *PREDICTED),
}
"""What each command of Lightning writes; one that is not here leaves alone what it finds."""

LONGEST = 255
"""Bytes in the name of a file, on all common file systems."""


def check_name(name: str | None) -> None:
    """Refuse what is not the name of one folder.

    Raises:
        InputError: a path, ``.`` or ``..``, blank, control characters, no Unicode, or too long.
    """
    # the parser reads a blank and the word null as None
    name = name or ""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        length = LONGEST + 1
    path_like = name in (".", "..") or "/" in name or "\\" in name
    unprintable = any(not character.isprintable() for character in name)
    if path_like or unprintable or not name.strip() or length > LONGEST:
        shown = repr(name) if len(name) <= 60 else f"{name[:60]!r}... ({len(name)} characters)"
        raise InputError(
            f"--name: found {shown}, expected the name of one folder: no path, no control "
            f"characters, at most {LONGEST} bytes; the folder above it is "
            "--trainer.default_root_dir"
        )


def sweep_suffix() -> str:
    """What tells the points of a sweep apart, whose commands all have the same name; empty outside
    of one.

    Processes that this one starts have the same: they inherit the environment.
    """
    if "WANDB_SWEEP_ID" in os.environ:
        os.environ.setdefault("WANDB_RUN_ID", secrets.token_hex(4))
    identifier = re.sub(r"[^\w.-]", "_", os.environ.get("WANDB_RUN_ID", ""))
    return f"-{identifier}" if identifier else ""


class RunFolder:
    """``root/name``. :meth:`claim` before anything is written there, :meth:`release` when the
    command ends.

    Args:
        root: folder of all runs.
        name: of this run; see :func:`check_name`.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        check_name(name)
        self.root = Path(root)
        self.path = self.root / name
        self._lock: FileLock | None = None

    # The mark

    @property
    def mark(self) -> dict[str, Any] | None:
        """What the mark says, None without one. An empty or damaged one still is a mark, of a run
        without an id.
        """
        try:
            found = json.loads((self.path / MARK).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {} if os.path.isfile(self.path / MARK) else None
        return found if isinstance(found, dict) else {}

    def note(self, **facts: Any) -> None:
        """Add facts to the mark; None removes one."""
        known = {**(self.mark or {}), **facts}
        with atomic_write(self.path / MARK) as file:
            json.dump({key: fact for key, fact in known.items() if fact is not None}, file)
            file.write("\n")

    @property
    def trained(self) -> bool:
        """Whether a ``fit`` has left something here."""
        mark = self.mark
        if mark is None:
            return False
        made_by_fit = ("checkpoints", "export", "metrics.csv")
        return mark.get("command") == "fit" or any(
            (self.path / name).exists() for name in made_by_fit
        )

    def found(self, patterns: Sequence[str]) -> list[Path]:
        """What is there of these names."""
        return sorted(path for pattern in patterns for path in self.path.glob(pattern))

    # Checkpoints

    @property
    def kept(self) -> Kept:
        """All checkpoints of this run, also those in folders elsewhere."""
        return Kept(self.path, self.mark)

    def checkpoints(self) -> list[Path]:
        """See :meth:`radio.runs.kept.Kept.all`."""
        return self.kept.all()

    def best_checkpoint(self) -> Path | None:
        """See :meth:`radio.runs.kept.Kept.best`."""
        return self.kept.best()

    def resolve(self, checkpoint: str) -> Path:
        """See :meth:`radio.runs.kept.Kept.resolve`."""
        return self.kept.resolve(checkpoint)

    def holds(self, checkpoint: Path) -> bool:
        """See :meth:`radio.runs.kept.Kept.holds`."""
        return self.kept.holds(checkpoint)

    @property
    def runs(self) -> list[str]:
        """The ids of this run: its own, and those of runs that it has replaced; none in a copy of a
        folder that is still in its place, which is another run as soon as it trains."""
        mark = self.mark or {}
        if not mark.get("run") or self._is_copy(mark):
            return []
        return [mark["run"], *mark.get("replaces", [])]

    def _is_copy(self, mark: dict[str, Any]) -> bool:
        place = Path(mark.get("folder", self.path))
        if place.resolve() == self.path.resolve() or not place.is_dir():
            return False
        there = RunFolder(place.parent, place.name).mark or {}
        return there.get("run") == mark["run"]  # type: ignore[no-any-return]

    # Claiming

    def claim(
        self,
        command: str,
        *,
        overwrite: bool = False,
        checkpoint: Path | None = None,
        checkpoints: Sequence[Path] = (),
    ) -> None:
        """Make the folder this command's own until :meth:`release`, and mark it.

        Args:
            command: see :data:`WRITES`.
            overwrite: ``fit`` may replace what an earlier run has left here.
            checkpoint: that the command starts from.
            checkpoints: folders for those that ``fit`` will write.

        Raises:
            InputError: it belongs to another run or to the user, is in use, or cannot be written.
        """
        mine = checkpoint is not None and self.holds(checkpoint)
        goes_on = command == "fit" and mine
        before = self.runs
        try:
            self._refuse_other_runs([self.path, *checkpoints])
            self._refuse_what_is_not_marked(WRITES[command], adopt=mine)
            self.path.mkdir(parents=True, exist_ok=True)
            self._acquire()
            if command == "fit" and not goes_on:
                self._make_room(overwrite)
            elif command in ("fit", "validate", "test"):
                check_results(self.path)
            self._sweep_up(checkpoints, before)
            identity = self._identity(command, before, checkpoint if goes_on else None)
            self._mark_as_busy(command, checkpoints, identity)
        except OSError as error:
            self.release()
            raise InputError(
                f"{self.path} cannot be used as run folder ({error.strerror or error}); choose "
                "another --name or --trainer.default_root_dir"
            ) from None
        except BaseException:
            self.release()
            raise

    def _identity(
        self, command: str, before: Sequence[str], goes_on: Path | None
    ) -> dict[str, Any]:
        """Which run this is: facts for the mark.

        Args:
            command: that begins.
            before: :attr:`runs`, before room was made.
            goes_on: the checkpoint of this run that it goes on from.
        """
        known = (self.mark or {}).get("run")
        is_copy = known is not None and not before
        if is_copy and command != "fit":
            return {}
        facts: dict[str, Any] = {"run": known, "folder": str(self.path.resolve())}
        if is_copy:
            facts["run"] = secrets.token_hex(8)
        elif known is None:
            # a run whose mark has lost its id has it from its checkpoint
            writer = writer_of(goes_on).run if goes_on else None
            facts["run"] = writer or secrets.token_hex(8)
        if command == "fit" and (is_copy or goes_on is None):
            facts["replaces"] = list(before) or None
        return facts

    def _mark_as_busy(
        self, command: str, checkpoints: Sequence[Path], identity: dict[str, Any]
    ) -> None:
        # an evaluation does not make a run that was trained its own
        facts: dict[str, Any] = {
            "command": command if command == "fit" or not self.trained else "fit"
        }
        if command == "fit":
            elsewhere = [place.resolve() for place in checkpoints if self._is_elsewhere(place)]
            facts |= {
                "checkpoints": [str(folder) for folder in elsewhere] or None,
                "finished": None,
            }
        facts |= identity
        facts["radio"] = __version__
        facts["busy"] = {"command": command, "process": os.getpid(), "host": socket.gethostname()}
        self.note(**facts)

    def _is_elsewhere(self, place: Path) -> bool:
        return self.path.resolve() not in place.resolve().parents

    def release(self) -> None:
        """Let other commands work in the folder; one in which nothing was made is taken away
        again.
        """
        if self._lock is None:
            return
        try:
            if self.mark is not None:
                self.note(busy=None)
            if {path.name for path in self.path.iterdir()} <= {MARK, LOCK}:
                (self.path / MARK).unlink(missing_ok=True)
            if self.mark is None:
                (self.path / LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        except OSError:
            # the folder is gone or full: that is no reason to hide how the command ended
            pass
        finally:
            self._lock.release()
            self._lock = None

    def _acquire(self) -> None:
        # the operating system lets go of the lock when its process dies, however it dies
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            busy = (self.mark or {}).get("busy", {})
            who = (
                f" (radio {busy['command']}, process {busy['process']} on {busy['host']})"
                if busy
                else ""
            )
            raise InputError(
                f"{self.path} is in use by another command{who}; wait for it, or choose another "
                "--name"
            ) from None
        self._lock = lock

    def _refuse_other_runs(self, folders: Sequence[Path]) -> None:
        """Nothing is written into a folder that lies in the folder of another run."""
        own = self.path.resolve()
        for folder in folders:
            for above in folder.resolve().parents:
                older = above == self.root.resolve() and looks_like_a_run(above)
                if (
                    above != own
                    and own not in above.parents
                    and ((above / MARK).is_file() or older)
                ):
                    raise InputError(
                        f"{folder} would lie in the folder of another run, {above}. Configs that "
                        "were saved by older versions hold that folder: take "
                        "--trainer.default_root_dir runs, and no dirpath for ModelCheckpoint"
                    )

    def _refuse_what_is_not_marked(self, writes: Sequence[str], *, adopt: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InputError(
                f"{self.path} is a file, expected a folder for the run; choose another --name"
            )
        there = names(self.found(writes))
        # a checkpoint in it that the user names says whose folder it is
        if self.mark is None and there and not (adopt and looks_like_a_run(self.path)):
            raise InputError(
                f"{self.path} holds {there}, but no mark of a run ({MARK}): it is yours, or of a "
                "version before runs were marked. It is left alone: choose another --name, or "
                f"move it away. If it is a run: touch {self.path / MARK}"
            )

    def _make_room(self, overwrite: bool) -> None:
        there = self.found(OWNED)
        if there and not overwrite:
            checkpoints = self.checkpoints()
            state = ", which is finished" if (self.mark or {}).get("finished") else ""
            on = (
                f", go on from its last checkpoint with --ckpt_path last ({checkpoints[0]})"
                if checkpoints
                else ""
            )
            raise InputError(
                f"{self.path} already holds a run{state}; choose another --name{on}, or delete "
                "what it has made with --overwrite true"
            )
        for path in there:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        (self.path / MARK).unlink(missing_ok=True)

    def _sweep_up(self, checkpoints: Sequence[Path], runs: Sequence[str]) -> None:
        """Take away the half-written files of a process that was killed; no other one is at work
        here, but perhaps in a folder elsewhere.
        """
        # see radio.rerankers.saving.replaced
        for old in self.path.glob(".export.*.old"):
            if not (self.path / "export").exists():
                old.rename(self.path / "export")
        for pattern in OWNED:
            for path in self.path.glob(f".{pattern}.*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in {*checkpoints, self.path / "checkpoints"}:
            sweep(folder, runs if self._is_elsewhere(folder) else None)


def mark_as_own(folder: Path, writes: Sequence[str], command: str) -> None:
    """Mark a folder into which a command adds files that no other one writes; nothing else in it is
    touched.

    Raises:
        InputError: files of these names are there that no such command has made, or it cannot be
            written.
    """
    there = RunFolder(folder.resolve().parent, folder.resolve().name)
    try:
        there._refuse_what_is_not_marked(writes, adopt=False)
        if there.mark is None:
            there.note(command=command, radio=__version__, run=secrets.token_hex(8))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None


def looks_like_a_run(folder: Path) -> bool:
    """Whether a folder without a mark holds what a run leaves."""
    made = ("checkpoints", "metrics.json", "metrics.csv", "export")
    return (folder / "config.yaml").is_file() and any((folder / name).exists() for name in made)
