"""Small disks of their own, for tests that fill one or cannot write it, and folders that cannot be
written."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOLD = 'mount "$@" && echo mounted && exec cat'
"""In a namespace of its own, which is there as long as its standard input is open."""
ENTERED = 'cd "$0" && exec "$@"'


@dataclass(frozen=True)
class Disk:
    """A disk that a user without rights may have in a namespace alone."""

    path: Path
    """As commands name it."""
    seen: Path
    """The same as the test sees it."""
    within: list[str] = field(default_factory=list)
    """What a command begins with to see it as well."""


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Disk]:
    """Mount a small disk by the rights there are: of root, of sudo without a password, or of any
    user in a namespace; skips where there are none."""
    place.mkdir()
    mounting = ["-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    reasons = []
    for rights in ([], ["sudo", "-n"]):
        reason = tried([*rights, "mount", *mounting])
        if reason is None:
            try:
                yield Disk(place, place)
            finally:
                tried([*rights, "umount", str(place)])
            return
        reasons.append(reason)
    with held(mounting) as holder:
        assert holder.stdout
        if holder.stdout.readline():
            entering = ["nsenter", "--target", str(holder.pid), "--user", "--mount"]
            entering += ["--preserve-credentials", "sh", "-c", ENTERED, str(place.parent)]
            inside = Path(f"/proc/{holder.pid}/root")
            yield Disk(place, inside / place.relative_to("/"), entering)
            return
        assert holder.stderr
        reasons.append(holder.stderr.read().strip())
    pytest.skip(f"no disk can be mounted here: {'; '.join(reasons)}")


def tried(command: Sequence[str]) -> str | None:
    """Run a command; returns why it failed."""
    if shutil.which(command[0]) is None:
        return f"no {command[0]}"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


@contextmanager
def held(mounting: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process whose namespace has the disk; it says so in a line, or ends."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    with subprocess.Popen(
        [*namespace, "sh", "-c", HOLD, "sh", *mounting],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        yield holder
        # at its end its input is closed, and waited for


@contextmanager
def enterable() -> Iterator[Path]:
    """A folder that everyone can enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def read_only(*paths: Path) -> Iterator[None]:
    """Folders and files that cannot be written, not even by root, who becomes nobody meanwhile."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)
