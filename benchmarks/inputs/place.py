"""Where an input is tried: a fresh folder with a tiny world, and the command line in a process of
its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, make_tiny_bert, make_world, read_jsonl, write_jsonl

PATIENCE = 240
"""Seconds after which an input hangs."""
SAID = "said.txt"


@dataclass(frozen=True)
class Place:
    """A folder of its own for one input: ``world/`` with its files, ``bert`` beside it, perhaps a
    finished run."""

    folder: Path

    def arguments(self, *more: str, command: str = "fit") -> list[str]:
        """A complete command on the tiny world that takes seconds, with further options at its
        end."""
        tiny = ["bert", "48"]
        files = [
            a
            for name in ("corpus", "train", "validation", "test")
            for a in (f"--data.init_args.{name}", f"world/{name}.jsonl")
        ]
        encoder = "--data.init_args.teacher.init_args.encoder.init_args"
        return [
            *(command, "--config", str(ROOT / "configs/jsonl.yaml"), "--name", "tiny"),
            *("--trainer.accelerator", "cpu", "--trainer.max_epochs", "1"),
            *("--model.init_args.model", tiny[0], "--model.init_args.max_length", tiny[1]),
            *(f"{encoder}.model", tiny[0], f"{encoder}.max_length", tiny[1]),
            *("--data.init_args.train_candidates", "8", "--data.init_args.eval_candidates", "6"),
            *files,
            *("--data.init_args.rationales.init_args.paths", "world/rationales.jsonl"),
            *more,
        ]

    def prepare(self, *more: str) -> list[str]:
        return self.arguments(*more, command="prepare")

    def write(self, name: str, content: str | bytes) -> str:
        """A file in the folder; returns its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def rows(self, name: str) -> list[dict[str, Any]]:
        return read_jsonl(self.folder / "world" / f"{name}.jsonl")

    def change(self, name: str, change: Callable[[int, dict[str, Any]], Any]) -> None:
        """Give each row of a file of the world to ``change`` with its number; what it returns
        replaces it."""
        rows = self.rows(name)
        rows = [
            changed if (changed := change(number, row)) is not None else row
            for number, row in enumerate(rows)
        ]
        write_jsonl(self.folder / "world" / f"{name}.jsonl", rows)

    def add(self, name: str, text: str | bytes) -> None:
        with (self.folder / "world" / f"{name}.jsonl").open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def metrics(self, split: str = "test") -> dict[str, Any]:
        """The numbers of a split in ``metrics.json`` of the run ``tiny``."""
        document = json.loads((self.folder / "runs/tiny/metrics.json").read_text(encoding="utf-8"))
        return dict(document[split])

    def has(self, *names: str) -> bool:
        return all((self.folder / name).exists() for name in names)


@dataclass(frozen=True)
class Input:
    """One thing that a user does.

    Args:
        words: what it is, for the table.
        make: puts it into the place and returns the arguments of ``radio``; it runs in the process
            of the command, so that it may also change the environment and the streams.
        status: expected exit status; None where either is fine.
        says: regular expression of what must be said.
        trained: whether the place begins with a finished run ``runs/tiny``.
        holds: further check of what came out, in the end; None for none.
    """

    words: str
    make: Callable[[Place], Sequence[str]]
    status: int | None
    says: str
    trained: bool = False
    holds: Callable[[Place], Any] | None = None


@dataclass(frozen=True)
class Outcome:
    status: int | str
    line: str
    faults: tuple[str, ...]
    said: str


def make_template(folder: Path) -> None:
    """The two beginnings that are copied: ``fresh`` and ``trained``."""
    place = Place(folder / "fresh")
    make_world(place.folder / "world")
    make_tiny_bert(place.folder / "bert")
    shutil.copytree(place.folder, folder / "trained")
    trained = Place(folder / "trained")
    status = run_apart(trained, lambda p: p.arguments())
    if status != 0:
        said = (trained.folder / SAID).read_text(encoding="utf-8")
        raise SystemExit(f"the world itself does not train:\n{said}")


def attempt(case: Input, template: Path, folder: Path) -> Outcome:
    """Try one input."""
    shutil.copytree(template / ("trained" if case.trained else "fresh"), folder, symlinks=True)
    place = Place(folder)
    status = run_apart(place, case.make)
    said = (folder / SAID).read_text(encoding="utf-8", errors="replace")
    faults = []
    if case.status is not None and status != case.status:
        faults.append(f"exit status {status} instead of {case.status}")
    if status not in (0, 2, 130):
        faults.append("no known exit status")
    if "Traceback (most recent call last)" in said:
        faults.append("a traceback")
    found = re.search(case.says, said)
    if not found:
        faults.append("says something else")
    if case.holds and not faults:
        try:
            good = case.holds(place)
        except Exception as error:  # a missing file is a result too
            good, said = False, f"{said}\n{error!r}"
        if not good:
            faults.append("the result is not what it should be")
    return Outcome(status, _line(said, found), tuple(faults), said)


def _line(said: str, found: re.Match[str] | None) -> str:
    """The line of what was said that the expectation is about, else the last one."""
    if found is None or not found[0]:
        return (said.strip().splitlines() or [""])[-1]
    start = said.rfind("\n", 0, found.start() + 1) + 1
    return said[start:].strip().splitlines()[0]


def run_apart(place: Place, make: Callable[[Place], Sequence[str]]) -> int | str:
    """Run the command in a forked copy of this process, as the installed ``radio`` would; its exit
    status.

    A process of its own is what environment, working folder, streams and signals are changed in;
    forked, since the libraries take longer to import than the command to run.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become_the_command(place, make)
    for _ in range(PATIENCE * 10):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


def _become_the_command(place: Place, make: Callable[[Place], Sequence[str]]) -> None:
    """Never returns."""
    status = 1
    try:
        os.chdir(place.folder)
        output = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = radio(make(place))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def radio(arguments: Sequence[str]) -> int:
    """The command in this process, as its console script runs it."""
    from radio.__main__ import main

    sys.argv = ["radio", *arguments]
    try:
        return main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return int(stop.code or 0)
