"""Commands in processes of their own that need not import everything first.

A server imports what ``radio`` imports, once a test session, and forks itself for each command:
real processes with their own environment, folder, signals and status, seven CPU seconds earlier.
All workers of a session share one (:func:`share`).
What a test checks about imports, or about what is read from the environment at import, starts
:mod:`subprocess` instead.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
LONGEST = 1 << 20
READ_AT_IMPORT = {
    "HF_HUB_OFFLINE": "1",
    # with a pool of threads the server could not fork
    "OMP_NUM_THREADS": "1",
    # as radio sets them where nobody looks at progress bars
    "TQDM_DELAY": "1",
    "TQDM_MININTERVAL": "30",
}


class Forked:
    """A command that runs in a fork of the server, with the part of ``subprocess.Popen`` that
    tests and Lightning use."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = 1,
        stderr: int = 2,
    ) -> None:
        self.args = list(command)
        self.returncode: int | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(address())
        asked = {
            "command": self.args,
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        nothing = os.open(os.devnull, os.O_RDONLY)
        streams = [nothing if stdin == subprocess.DEVNULL else stdin, stdout, stderr]
        socket.send_fds(self._server, [json.dumps(asked).encode() + b"\n"], streams)
        os.close(nothing)
        self._replies = self._server.makefile("r")
        reply = self._replies.readline()
        if not reply:
            raise RuntimeError("the server of forked processes has ended; see its traceback")
        self.pid = int(reply)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._server], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status: that of the process, or the negative number of the signal that ended
        it."""
        if self.returncode is None:
            if not select.select([self._server], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._replies.readline())
            self._replies.close()
            self._server.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run`` with ``capture_output`` and ``text``; ``command`` begins with
    ``python -m MODULE`` or ``python -c CODE``."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = Forked(command, cwd=cwd, env=env, stdout=out.fileno(), stderr=err.fileno())
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(process.args, status, *texts)


def share(address: str) -> None:
    """Use the server that listens there instead of one of this process."""
    _known.append(address)


def address() -> str:
    """Where the server listens, perhaps while it still imports; starts it if there is none yet."""
    if not _known:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            cwd=ROOT,
            env={**os.environ, **READ_AT_IMPORT},
            # closed with this process, by which the server knows that it has gone
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout
        found = server.stdout.readline().strip()
        if not found:
            raise RuntimeError(f"the server of forked processes ended with {server.wait()}")
        _known.append(found)
        _servers.append(server)
    return _known[0]


_known: list[str] = []
_servers: list[subprocess.Popen[str]] = []


# The server


def serve(folder: Path) -> None:
    """Fork for each command that is asked for, until the tests have gone."""
    listening = str(folder / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listening)
    listener.listen(64)
    # who asks from now on waits for the imports
    print(listening, flush=True)
    # nothing of what is imported is garbage
    gc.disable()
    _import()
    own = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    paths = [entry for entry in sys.path[1:] if entry not in own]
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    gc.collect()
    # else each collection in a fork copies the memory of the server
    gc.freeze()
    gc.enable()
    children: dict[int, socket.socket] = {}
    while True:
        ready = select.select([listener, wake, 0], [], [])[0]
        if 0 in ready:
            return
        if wake in ready:
            wake.recv(LONGEST)
            _tell_who_ended(children)
        if listener not in ready:
            continue
        asker, _ = listener.accept()
        asked, streams = _received(asker)
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            for opened in (asker, listener, wake, woken, *children.values()):
                opened.close()
            _known.append(listening)
            _run_as_new(asked, streams, paths)
        for stream in streams:
            os.close(stream)
        children[child] = asker
        _say(asker, child)


def _import() -> None:
    """Everything that a run imports, and nothing that starts threads: they do not survive a
    fork."""
    import pkgutil
    from importlib import import_module

    import radio

    for module in pkgutil.walk_packages(radio.__path__, "radio."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    from lightning.pytorch.strategies.launchers import subprocess_script

    import data_modules  # noqa: F401

    # the second process of a run is a fork as well
    subprocess_script.subprocess = ModuleType("subprocess")
    subprocess_script.subprocess.Popen = Forked
    assert len(os.listdir("/proc/self/task")) == 1


def _received(asker: socket.socket) -> tuple[dict[str, Any], list[int]]:
    text, streams, _, _ = socket.recv_fds(asker, LONGEST, 3)
    while not text.endswith(b"\n"):
        text += asker.recv(LONGEST)
    return json.loads(text), streams


def _tell_who_ended(children: dict[int, socket.socket]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        asker = children.pop(child)
        _say(asker, os.waitstatus_to_exitcode(status))
        asker.close()


def _say(asker: socket.socket, number: int) -> None:
    try:
        asker.sendall(f"{number}\n".encode())
    except OSError:
        # who asked is gone
        return


def _run_as_new(asked: dict[str, Any], streams: Sequence[int], paths: Sequence[str]) -> NoReturn:
    """Run the command as a new interpreter would, to its end."""
    status = 0
    try:
        _become(asked, streams, paths)
        _command(asked["command"])
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    # the end of an interpreter, but for the second that it takes to free what was imported
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _become(asked: dict[str, Any], streams: Sequence[int], paths: Sequence[str]) -> None:
    """Take on streams, signals, folder, environment and import path of the command."""
    from lightning.fabric.utilities.rank_zero import _get_rank, rank_zero_only

    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # a test run in the background of a shell ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["env"])
    # the server has looked it up in its own environment
    tempfile.tempdir = None
    # so has Lightning
    rank_zero_only.rank = _get_rank() or 0
    os.chdir(asked["cwd"])
    added = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    first = asked["cwd"] if asked["command"][1] == "-m" else ""
    sys.path[:] = [first, *added, *paths]


def _command(command: Sequence[str]) -> None:
    _, way, what, *arguments = command
    sys.argv[:] = [what if way == "-m" else way, *arguments]
    if way == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    assert way == "-c", command
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    # not one that removes itself: each fork would remove it at its end
    own_folder = Path(tempfile.mkdtemp(prefix="radio-forked-"))
    serve(own_folder)
    shutil.rmtree(own_folder)
