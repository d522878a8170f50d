"""Run folders: whose they are, who is at work in them, and what a command may touch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radio.commands import rationales_report
from radio.runs.folder import LOCK, MARK, WRITES, RunFolder, mark_as_own, sweep_suffix
from radio.schema import InputError


def finished(folder: RunFolder, command: str = "fit") -> RunFolder:
    """A folder in which a run has been."""
    folder.claim(command)
    (folder.path / "config.yaml").write_text("seed_everything: 0\n")
    (folder.path / "metrics.json").write_text("{}")
    if command == "fit":
        checkpoint(folder, "last")
    folder.release()
    return folder


def checkpoint(folder: RunFolder, name: str, seconds: int = 0) -> Path:
    """A file that torch could have written: a zip."""
    import zipfile

    path = folder.path / f"checkpoints/{name}.ckpt"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", "")
    os.utime(path, (seconds, seconds))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "/abs",
        "a/b",
        "a\\b",
        "",
        "  ",
        "a\0b",
        "a\nb",
        "x" * 300,
        "ä" * 130,
        "\udc80",
        "../../etc",
    ],
)
def test_what_is_not_the_name_of_one_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--name: found") as caught:
        RunFolder(tmp_path, name)
    assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", list(WRITES))
def test_files_without_a_mark_are_left_alone_whatever_the_command(
    command: str, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path, "mine")
    for name in ("config.yaml", "export/model.txt"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text("of the user")
    with pytest.raises(InputError, match=r"mine holds .*no mark of a run.*left alone"):
        folder.claim(command, overwrite=True)
    assert (folder.path / "export/model.txt").read_text() == "of the user"
    assert not (folder.path / MARK).exists()
    # other files are no hindrance, and stay
    other = RunFolder(tmp_path, "notes")
    other.path.mkdir()
    (other.path / "notes.txt").write_text("of the user")
    other.claim(command, overwrite=True)
    other.release()
    assert (other.path / "notes.txt").read_text() == "of the user"


def test_an_older_versions_run_is_adopted_by_its_checkpoint_or_an_empty_mark(
    tmp_path: Path,
) -> None:
    folder = finished(RunFolder(tmp_path, "old"))
    (folder.path / MARK).unlink()
    last = folder.path / "checkpoints/last.ckpt"
    with pytest.raises(InputError, match="of a version before runs were marked"):
        folder.claim("test")
    folder.claim("fit", checkpoint=last)
    folder.release()
    assert folder.mark
    (folder.path / MARK).write_text("")
    folder.claim("test", checkpoint=last)
    folder.release()
    assert last.is_file()


def test_overwrite_replaces_what_the_run_has_made_and_nothing_else(tmp_path: Path) -> None:
    folder = finished(RunFolder(tmp_path, "one"))
    identifier = (folder.mark or {})["run"]
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("of the user")
    (folder.path / "export").symlink_to(elsewhere)
    for name in ("mine.trec", "notes.txt", "reviews/ada.jsonl"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_text("of the user")
    (folder.path / "test.base.trec").write_text("of the run")
    with pytest.raises(
        InputError, match=r"already holds a run.*--ckpt_path last.*last\.ckpt.*--overwrite true"
    ):
        folder.claim("fit")
    folder.claim("fit", overwrite=True)
    assert (folder.mark or {})["run"] != identifier
    folder.release()
    left = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert left == {MARK, LOCK, "mine.trec", "notes.txt", "reviews/ada.jsonl"}
    assert (elsewhere / "file").read_text() == "of the user"


def test_a_command_that_makes_nothing_leaves_no_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs", "one")
    folder.claim("fit")
    folder.release()
    assert not folder.path.exists()


def test_a_folder_is_not_shared_by_two_commands(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path, "one"), RunFolder(tmp_path, "one")
    first.claim("fit")
    for command in ("fit", "test", "predict"):
        with pytest.raises(
            InputError, match=rf"in use by another command \(radio fit, process {os.getpid()} on"
        ):
            second.claim(command, overwrite=True)
    (first.path / "metrics.csv").write_text("step\n")
    first.release()
    second.claim("test")
    second.release()


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom radio.runs.folder import RunFolder\n"
        "RunFolder(sys.argv[1], 'one').claim('fit')\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    folder = RunFolder(tmp_path, "one")
    assert (folder.mark or {})["busy"]["command"] == "fit"
    folder.claim("fit")
    folder.release()


def test_half_written_files_of_a_killed_process_are_taken_away(tmp_path: Path) -> None:
    folder = finished(RunFolder(tmp_path, "one"))
    for name in (
        ".metrics.json.ab12",
        ".test.base.trec.x1",
        ".export.q/model",
        "checkpoints/.last.ckpt.7.unfinished",
    ):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_text("half")
    (folder.path / ".notes").write_text("of the user")
    folder.claim("test")
    folder.release()
    hidden = {path.name for path in folder.path.rglob(".*")}
    assert hidden == {MARK, LOCK, ".notes"}


def test_nothing_is_written_into_the_folder_of_another_run(tmp_path: Path) -> None:
    one = finished(RunFolder(tmp_path / "runs", "one"))
    with pytest.raises(InputError, match="in the folder of another run"):
        RunFolder(one.path, "two").claim("fit")
    with pytest.raises(InputError, match="in the folder of another run"):
        RunFolder(tmp_path / "runs", "two").claim("fit", checkpoints=[one.path / "checkpoints"])
    # a saved config of an older version names the folder of its run, which has no mark
    (one.path / MARK).unlink()
    with pytest.raises(InputError, match="older versions"):
        RunFolder(one.path, "two").claim("fit")
    assert not (one.path / "two").exists()


@pytest.mark.parametrize("root", ["file", "/proc/nowhere", "deep/" * 1200])
def test_a_runs_folder_that_cannot_be_used_is_one_message(root: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"cannot be (used|read)|is a file"):
        RunFolder(tmp_path / root if root[0] != "/" else root, "one").claim("fit")


def test_a_file_in_the_place_of_the_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("no folder")
    with pytest.raises(InputError, match="one is a file, expected a folder"):
        RunFolder(tmp_path, "one").claim("predict")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "[1]"),
        ("metrics.json", b"\xff"),
        ("metrics.json", "[" * 200_000),
        ("predictions.jsonl", '{"split": "test"}\nnull\n'),
        ("predictions.jsonl", '{"split": "te'),
    ],
)
def test_damaged_results_are_refused_before_anything_is_computed(
    name: str, content: str | bytes, tmp_path: Path
) -> None:
    folder = finished(RunFolder(tmp_path, "one"))
    path = folder.path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    for command, arguments in [
        ("test", {}),
        ("fit", {"checkpoint": folder.path / "checkpoints/last.ckpt"}),
    ]:
        with pytest.raises(InputError, match=rf"{name}.*move it away first"):
            folder.claim(command, **arguments)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    folder.claim("fit", overwrite=True)
    folder.release()


def test_last_and_best_are_the_runs_own_and_half_written_ones_do_not_count(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "one")
    for name in ("last", "best"):
        with pytest.raises(InputError, match=f"--ckpt_path {name}: .* holds no such checkpoint"):
            folder.resolve(name)
    folder.claim("fit")
    checkpoint(folder, "epoch=1", 50)
    last = checkpoint(folder, "last", 20)
    newer = checkpoint(folder, "last-v1", 30)
    best = checkpoint(folder, "best", 40)
    assert folder.resolve("last") == newer
    newer.write_bytes(newer.read_bytes()[:-10])
    assert folder.resolve("last") == last
    last.write_bytes(b"")
    assert folder.resolve("last").name == "epoch=1.ckpt"
    assert folder.resolve("best") == best
    folder.note(best="checkpoints/epoch=1.ckpt")
    assert folder.resolve("best").name == "epoch=1.ckpt"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        folder.resolve(str(tmp_path / "pipe"))
    with pytest.raises(InputError, match="no such file"):
        folder.resolve("x" * 5000)
    with pytest.raises(
        InputError, match=r"no such file.*holds best\.ckpt|no such file.*epoch=1\.ckpt"
    ):
        folder.resolve(str(tmp_path / "nowhere.ckpt"))
    folder.release()


def test_a_copied_run_has_its_own_checkpoints(tmp_path: Path) -> None:
    import shutil

    one = finished(RunFolder(tmp_path, "one"))
    shutil.copytree(one.path, tmp_path / "two")
    assert RunFolder(tmp_path, "two").resolve("last") == tmp_path / "two/checkpoints/last.ckpt"


def test_a_report_does_not_write_over_files_of_the_user(tmp_path: Path) -> None:
    rationales = tmp_path / "rationales.jsonl"
    rationales.write_text("paid for")
    with pytest.raises(InputError, match=r"rationales\.jsonl, but no mark"):
        mark_as_own(tmp_path, rationales_report.WRITES, "rationales_report")
    assert rationales.read_text() == "paid for"
    (tmp_path / "report").mkdir()
    mark_as_own(tmp_path / "report", rationales_report.WRITES, "rationales_report")
    (tmp_path / "report/rationales.jsonl").write_text("of the report")
    mark_as_own(tmp_path / "report", rationales_report.WRITES, "rationales_report")


def test_the_points_of_a_sweep_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    assert sweep_suffix() == ""
    monkeypatch.setenv("WANDB_RUN_ID", "ab/12")
    assert sweep_suffix() == "-ab_12"
    monkeypatch.delenv("WANDB_RUN_ID")
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    drawn = sweep_suffix()
    # processes that this one starts have the same
    assert drawn == sweep_suffix() == "-" + os.environ["WANDB_RUN_ID"]


def test_an_export_that_a_kill_left_aside_comes_back(tmp_path: Path) -> None:
    folder = finished(RunFolder(tmp_path, "run"))
    aside = folder.path / ".export.abc.old"
    for path, content in ((aside, "old"), (folder.path / ".export.abc", "new")):
        path.mkdir()
        (path / "README.md").write_text(content)
    folder.claim("fit", checkpoint=folder.path / "checkpoints/last.ckpt")
    assert (folder.path / "export/README.md").read_text() == "old"
    assert list(folder.path.glob(".export*")) == []
