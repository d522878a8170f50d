"""Commands in forks behave as in processes that are started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import PATIENCE

SEEN = """
import os, sys, tempfile
print(os.getcwd(), sys.argv, os.environ.get("LAMP"), tempfile.gettempdir(), __name__)
from lightning.pytorch.utilities import rank_zero_only
print(rank_zero_only.rank, file=sys.stderr)
import own
sys.exit(own.STATUS)
"""


def test_a_fork_sees_what_a_new_process_sees(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/own.py").write_text("STATUS = 7\n")
    added = [str(tmp_path / "elsewhere"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "LAMP": "lit",
        "TMPDIR": str(tmp_path),
        "LOCAL_RANK": "1",
        "PYTHONPATH": os.pathsep.join(added),
    }
    command = [sys.executable, "-c", SEEN, "a b"]
    new = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    fork = forked.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE)
    assert (fork.returncode, fork.stdout, fork.stderr) == (7, new.stdout, new.stderr)
    assert fork.returncode == new.returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_ends_a_fork(number: signal.Signals) -> None:
    process = forked.Forked([sys.executable, "-c", "import time; time.sleep(600)"])
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert process.wait(PATIENCE) == -number
    process.send_signal(number)


def test_an_error_is_its_traceback_and_status_1() -> None:
    done = forked.run([sys.executable, "-c", "raise ValueError('no lamp')"], timeout=PATIENCE)
    assert (done.returncode, "ValueError: no lamp" in done.stderr) == (1, True)
