"""How commands end early: a mistake as one message, a crash with its traceback, and never one as
the other."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from radio.crashes import INTERRUPTED, guarded, mistake
from radio.schema import InputError

Capture = pytest.CaptureFixture[str]


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_a_mistake_is_one_message_and_status_2(capsys: Capture) -> None:
    assert guarded(raising(InputError("file.yaml: wrong"))) == 2
    assert capsys.readouterr().err == "radio: error: file.yaml: wrong\n"


def test_a_mistake_is_told_without_secrets(capsys: Capture) -> None:
    guarded(raising(InputError("base_url: found 'https://me:pw@host', {'token': 'S'}")))
    found = "base_url: found 'https://(left out)@host', {'token': '(left out)'}"
    assert capsys.readouterr().err == f"radio: error: {found}\n"


def test_a_crash_while_a_mistake_is_handled_shows_itself(capsys: Capture) -> None:
    def command() -> int:
        try:
            raise InputError("an earlier mistake")
        except InputError:
            return {}["a later crash"]

    assert guarded(command) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    last = err.rstrip().splitlines()[-1]
    assert "KeyError: 'a later crash' (in command, " in last
    assert "test_crashes.py" in last
    assert "radio: error:" not in err


def test_a_crash_that_hides_a_mistake_shows_itself(capsys: Capture) -> None:
    def command() -> int:
        try:
            raise InputError("an earlier mistake")
        except InputError:
            raise RuntimeError("the crash") from None

    assert guarded(command) == 1
    assert "RuntimeError: the crash" in capsys.readouterr().err


def test_a_mistake_that_another_error_was_raised_from_is_shown(capsys: Capture) -> None:
    def command() -> int:
        raise RuntimeError("wrapped") from InputError("the mistake")

    assert guarded(command) == 2
    assert capsys.readouterr().err == "radio: error: the mistake\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a/last.ckpt"),
            "the disk is full: runs/a/last.ckpt",
        ),
        (OSError(errno.EROFS, "Read-only file system", "runs"), "the disk can only be read: runs"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "permission denied: runs"),
        (RuntimeError("... No space left on device (os error 28)"), "the disk is full"),
        (MemoryError(), "the memory is full; take a smaller --data.init_args.batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), "the memory is full"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            "the memory of the GPU is full",
        ),
        (MisconfigurationException("no metric 'a'"), "no metric 'a'"),
        (
            RuntimeError("Error(s) in loading state_dict for X:\n\tMissing key(s)"),
            "the checkpoint does not fit",
        ),
    ],
)
def test_what_a_user_can_mend_outside_of_the_config_is_one_message(
    error: Exception, message: str, capsys: Capture
) -> None:
    assert guarded(raising(error)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"radio: error: {message}")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file", "a"), KeyError("a"), ValueError("b"), OSError()]
)
def test_any_other_error_is_a_crash_with_its_traceback(error: Exception, capsys: Capture) -> None:
    assert guarded(raising(error)) == 1
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_the_traceback_and_what_a_mistake_was_raised_from(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADIO_DEBUG", "1")
    assert guarded(raising(InputError("wrong"))) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("radio: error: wrong\n")


def test_ctrl_c_ends_with_its_own_status(capsys: Capture) -> None:
    def as_lightning_does() -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    for command in (raising(KeyboardInterrupt()), as_lightning_does):
        assert guarded(command) == INTERRUPTED == 130
        assert capsys.readouterr().err == "radio: stopped by Ctrl-C\n"
    with pytest.raises(SystemExit):
        guarded(raising(SystemExit(3)))


def test_a_mistake_in_a_process_of_the_data_loader_is_its_message_alone() -> None:
    from torch.utils.data import DataLoader

    loader = DataLoader(Broken(), num_workers=1, multiprocessing_context="fork")
    with pytest.raises(InputError) as caught:
        list(loader)
    assert mistake(caught.value) == "question 'a': wrong\n  and how to mend it"


class Broken:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise InputError("question 'a': wrong\n  and how to mend it")


def test_a_very_long_message_is_cut(capsys: Capture) -> None:
    guarded(raising(InputError("9" * 100_000)))
    assert len(capsys.readouterr().err) < 5000


def test_output_that_nobody_reads_is_one_message(tmp_path: Path) -> None:
    code = (
        "from radio.crashes import guarded\nimport sys\n"
        "sys.exit(guarded(lambda: print('a' * 100000) or 0))\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 2
    assert done.stderr == "radio: error: the output was closed before the end (broken pipe)\n"


def test_several_processes_of_a_run_say_the_same_once(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for run in ("a", "b"):
        monkeypatch.setenv("RADIO_RUN", run)
        for message in ("wrong", "wrong", "another"):
            assert guarded(raising(InputError(message))) == 2
        assert capsys.readouterr().err == "radio: error: wrong\nradio: error: another\n"
