"""Whose a checkpoint is: by its place in a run folder, by its id where runs share a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from radio.runs.folder import RunFolder
from radio.runs.kept import Writer, sweep, unfinished, writer_of
from radio.schema import InputError


def write(folder: RunFolder, path: Path, seconds: int = 0) -> Path:
    """A checkpoint of the run in a folder."""
    mark = folder.mark or {}
    about = {key: mark[key] for key in ("run", "folder") if key in mark}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2", "radio": about}, path)
    os.utime(path, (seconds, seconds))
    return path


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A dirpath outside of all run folders."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def trained(tmp_path: Path, name: str, shared: Path) -> RunFolder:
    """A run that has claimed the shared folder, and ended."""
    folder = RunFolder(tmp_path / "runs", name)
    folder.claim("fit", checkpoints=[shared])
    (folder.path / "metrics.csv").write_text("step\n")
    folder.release()
    return folder


def test_last_is_the_newest_checkpoint_of_this_run_where_two_share_a_folder(
    tmp_path: Path, shared: Path
) -> None:
    one, two = trained(tmp_path, "lr-1", shared), trained(tmp_path, "lr-2", shared)
    last = write(one, shared / "last.ckpt", 9)
    best = write(one, shared / "best.ckpt", 9)
    for name in ("last", "best"):
        with pytest.raises(InputError, match=rf"holds best\.ckpt, last\.ckpt, .*{one.path}") as no:
            two.resolve(name)
        assert "another run" in str(no.value)
    two.note(best="../../checkpoints/best.ckpt")
    assert two.best_checkpoint() is None
    own = write(two, shared / "last-v1.ckpt", 3)
    assert (two.resolve("last"), one.resolve("last")) == (own, last)
    assert one.resolve("best") == best
    assert one.holds(last)
    assert not two.holds(last)


def test_a_renamed_run_keeps_its_checkpoints_elsewhere(tmp_path: Path, shared: Path) -> None:
    one = trained(tmp_path, "one", shared)
    last = write(one, shared / "last.ckpt")
    one.path.rename(tmp_path / "runs/other")
    other = RunFolder(tmp_path / "runs", "other")
    assert other.resolve("last") == last
    before = other.runs
    other.claim("fit", checkpoint=last, checkpoints=[shared])
    other.release()
    assert other.runs == before != []


def test_a_copy_is_another_run_as_soon_as_it_trains(tmp_path: Path, shared: Path) -> None:
    one = trained(tmp_path, "one", shared)
    write(one, one.path / "checkpoints/last.ckpt")
    shutil.copytree(one.path, tmp_path / "runs/copy")
    copy = RunFolder(tmp_path / "runs", "copy")
    last = copy.resolve("last")
    assert last.parent == copy.path / "checkpoints"
    copy.claim("test", checkpoint=last)
    copy.release()
    assert (copy.mark or {})["run"] == (one.mark or {})["run"]
    begun = unfinished(shared / "last.ckpt", one.runs[0])
    begun.write_text("half")
    copy.claim("fit", checkpoint=last, checkpoints=[shared])
    copy.release()
    assert begun.exists(), "the one that is still there may be writing it"
    assert copy.runs
    assert (copy.mark or {})["run"] != (one.mark or {})["run"]
    # what lies in its own folder stays its own
    assert copy.resolve("last") == last


def test_a_mark_that_has_lost_its_id_has_it_from_the_checkpoint(
    tmp_path: Path, shared: Path
) -> None:
    one = trained(tmp_path, "one", shared)
    last = write(one, shared / "last.ckpt")
    (identifier,) = one.runs
    one.note(run=None)
    one.claim("fit", checkpoint=last, checkpoints=[shared])
    one.release()
    assert one.runs == [identifier]
    assert one.resolve("last") == last


def test_what_another_run_is_writing_is_left_alone(tmp_path: Path, shared: Path) -> None:
    one = trained(tmp_path, "one", shared)
    begun = unfinished(shared / "last.ckpt", one.runs[0])
    begun.write_text("half")
    two = trained(tmp_path, "two", shared)
    assert begun.exists()
    mine = unfinished(shared / "last.ckpt", two.runs[0])
    mine.write_text("half")
    two.claim("test", checkpoints=[shared])
    two.release()
    assert [path.name for path in shared.iterdir()] == [begun.name]
    # also those of a run that this one replaces
    one.claim("fit", overwrite=True, checkpoints=[shared])
    one.release()
    assert list(shared.iterdir()) == []


def test_in_the_folder_of_a_run_all_is_swept_up(tmp_path: Path) -> None:
    for name in (".last.ckpt.7.unfinished", ".last.ckpt.a1.7.unfinished"):
        (tmp_path / name).write_text("half")
    (tmp_path / "notes.unfinished").write_text("of the user")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.unfinished"]


@pytest.mark.parametrize("content", [b"", b"PK half", b"text"])
def test_a_damaged_file_names_no_run(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    assert writer_of(path) == Writer()
    torch.save([1], path)
    assert writer_of(path) == Writer()
    torch.save({"radio": "other"}, path)
    assert writer_of(path) == Writer()
    # a sharded one
    sharded = tmp_path / "sharded.ckpt"
    sharded.mkdir()
    assert writer_of(sharded) == Writer()
    torch.save({"radio": {"run": "a1"}}, sharded / "meta.pt")
    assert writer_of(sharded) == Writer("a1")
