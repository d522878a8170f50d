"""The surroundings of a command: environment variables, folders, streams, limits and signals."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence

from benchmarks.inputs.changes import TUNED
from benchmarks.inputs.place import ROOT, Input, Place


def afresh(arguments: Sequence[str], **environment: str) -> None:
    """Become a new Python process, for what is read when it starts; never returns."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    os.execve(sys.executable, [sys.executable, "-m", "radio", *arguments], environment)


def environment(**values: str) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        os.environ.update(values)
        return place.arguments()

    return make


def _no_home(place: Place) -> list[str]:
    os.environ.pop("HOME")
    return place.arguments()


def _cache_is_a_file(place: Place) -> list[str]:
    afresh(place.arguments(), XDG_CACHE_HOME=str(place.folder / place.write("file", "")))
    raise AssertionError


def _plain_locale(place: Place) -> list[str]:
    place.change(
        "train", lambda _, row: {**row, "question": row["question"] + " — in Zürich, 東京"}
    )
    afresh(place.arguments("--name", "Zürich"), LC_ALL="C", LANG="C")
    raise AssertionError


def _head(place: Place) -> list[str]:
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(reader)
    return place.arguments()


def _no_input(place: Place) -> list[str]:
    os.close(0)
    return place.arguments()


def _read_only(place: Place) -> list[str]:
    for folder in (place.folder, place.folder / "world"):
        folder.chmod(0o555)
    if os.getuid() == 0:
        # without its capabilities, root may do what the permissions of a folder say
        header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, none) == 0
    return place.arguments()


def _folder_gone(place: Place) -> list[str]:
    arguments = place.arguments()
    gone = place.folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    return arguments


def _odd_folder(place: Place) -> list[str]:
    odd = place.folder / "50 % of {my} data #1"
    odd.mkdir()
    (place.folder / "world").rename(odd / "world")
    (odd / "bert").symlink_to("../bert")
    os.chdir(odd)
    return Place(odd).arguments()


def _same_names(place: Place) -> list[str]:
    for name in ("datasets.py", "random.py", "tokenizers.py", "radio.py"):
        place.write(name, "raise RuntimeError('a file of the user')\n")
    # the console script; python -m would take the user's files first
    start = "import sys; sys.argv[0] = 'radio'; from radio.__main__ import main; sys.exit(main())"
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-P", "-c", start, *place.arguments()]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": paths})
    raise AssertionError


def _few_files(place: Place) -> list[str]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    return place.arguments()


def _small_files(place: Place) -> list[str]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
    return place.arguments()


def _ctrl_c(place: Place) -> list[str]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.alarm(8)
    return place.arguments("--trainer.max_epochs", "100000")


def _full_terminal(place: Place) -> list[str]:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    return place.arguments()


INPUTS = [
    Input("no HOME", _no_home, 0, TUNED),
    Input("XDG_CACHE_HOME is a file", _cache_is_a_file, 0, TUNED),
    Input("LANG=C, with a name and questions in other scripts", _plain_locale, 0, TUNED),
    Input("TMPDIR that does not exist", environment(TMPDIR="/nowhere/tmp"), 0, TUNED),
    Input("output into `head -1`, which closes it", _head, 2, r"output was closed"),
    Input("standard output on a full disk", _full_terminal, 2, r"disk is full|No space"),
    Input("standard input closed", _no_input, 0, TUNED),
    Input("NO_COLOR=1", environment(NO_COLOR="1"), 0, TUNED),
    Input("a terminal of 20 columns", environment(COLUMNS="20"), 0, r"tuned|tun"),
    Input(
        "a working folder that may not be written",
        _read_only,
        2,
        r"(?i)permission denied|cannot be written",
    ),
    Input(
        "a working folder that was deleted", _folder_gone, 2, r"the working folder cannot be used"
    ),
    Input("a working folder named `50 % of {my} data #1`", _odd_folder, 0, TUNED),
    Input(
        "files of the user named as libraries: random.py, datasets.py, ...", _same_names, 0, TUNED
    ),
    Input("24 open files at most (ulimit -n)", _few_files, None, r"(?i)open files|metric .* tuned"),
    Input("files of 120 kB at most (ulimit -f)", _small_files, 2, r"disk"),
    Input(
        "a seed in the environment that is a word", environment(PL_GLOBAL_SEED="lucky"), 0, TUNED
    ),
    Input(
        "variables of a cluster that is not there: SLURM_NTASKS=4",
        environment(
            SLURM_NTASKS="4",
            SLURM_JOB_NAME="work",
            SLURM_PROCID="0",
            SLURM_LOCALID="0",
            SLURM_NODEID="0",
            SLURM_NODELIST="node1",
            SLURM_JOB_ID="7",
        ),
        None,
        r"(?i)slurm|metric .* tuned",
    ),
    Input(
        "Ctrl-C in the middle of training", _ctrl_c, 130, r"radio: interrupted.*--ckpt_path last"
    ),
]
