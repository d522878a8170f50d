"""Files on the disk, and one process at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from radio.disk import alone, sync, sync_folder
from tests import forked
from tests.conftest import ROOT
from tests.synced import Synced


def test_a_file_and_a_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    synced = Synced(monkeypatch)
    sync(path)
    sync(tmp_path)
    assert synced.events == [("synced", path), ("synced", tmp_path)]


def test_a_folder_that_cannot_be_opened_is_left_alone(tmp_path: Path) -> None:
    sync_folder(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "gone")


WAITS = """
import sys
from pathlib import Path
from radio.disk import alone
with alone(Path(sys.argv[1]), "waiting for the other one"):
    print("my turn", file=sys.stderr)
"""


def test_the_second_process_says_that_it_waits(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / ".lock"
    into, out = os.pipe()
    with os.fdopen(into, encoding="utf-8") as said:
        with alone(lock, "nobody else is here"):
            command = [sys.executable, "-c", WAITS, str(lock)]
            with open(os.devnull, "wb") as nothing:
                other = forked.Forked(command, cwd=ROOT, stdout=nothing.fileno(), stderr=out)
            os.close(out)
            assert said.readline() == "waiting for the other one\n"
        assert other.wait(60) == 0
        assert said.read() == "my turn\n"
    with alone(lock, "nobody is there any more"):
        pass


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), alone(tmp_path / "file" / ".lock", ""):
        pass
