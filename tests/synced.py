"""What is put on the disk, and when: nothing but a power cut shows it otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


class Synced:
    """Notes what is synced and renamed, in this order.

    Args:
        monkeypatch: of the test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[Any, ...]] = []
        fsync = os.fsync

        def noting_sync(handle: int) -> None:
            self.events.append(("synced", Path(os.readlink(f"/proc/self/fd/{handle}"))))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", noting_sync)
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._noting(getattr(os, name)))

    def _noting(self, rename: Any) -> Any:
        def noting(source: Any, target: Any, **options: Any) -> None:
            self.events.append(("renamed", Path(source), Path(target)))
            rename(source, target, **options)

        return noting

    def check(self, target: Path, *, files: int = 1) -> None:
        """Check that what is now called so was on the disk before, and its name after.

        Args:
            target: file or folder.
            files: how many of the folder, all of which must have been.
        """
        number, source = next(
            (number, event[1])
            for number, event in enumerate(self.events)
            if event[0] == "renamed" and event[2] == target
        )
        before = {path for kind, path, *_ in self.events[:number] if kind == "synced"}
        needed = {source}
        if target.is_dir():
            found = [path for path in target.iterdir() if path.is_file()]
            assert len(found) == files
            needed |= {source / path.name for path in found}
        assert needed <= before, f"not on the disk: {needed - before}"
        assert ("synced", target.parent) in self.events[number:]
