"""Does a release work where it is installed? ``python -m benchmarks.versions`` tries each Python
that it finds with the lowest and the highest versions of the dependencies.

The sdist is built, and a wheel from that. Then for each pair: a fresh virtual environment, the
wheel with its dependencies from the package index, and, in a folder outside of the repository,
``radio fit`` on some of the bundled data, and its export loaded by sentence-transformers.

*lowest* is the lowest release that pyproject.toml allows of each dependency that it names, and that
comes as a wheel for this Python. uv installs: it knows how to resolve downwards, and keeps what it
fetched for the next pair. On Linux the index' torch brings 5 GB of CUDA; ``--own`` takes this
Python alone, and the build of torch that it has.

The exit status is 1 where a pair fails, or where a Python that was asked for is not there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = ("lowest", "highest")
MAIN = (
    *("torch", "lightning", "transformers", "sentence-transformers", "numpy", "datasets"),
    *("jsonargparse", "pyarrow", "scikit-learn", "torchmetrics"),
)
"""Dependencies whose versions the table shows."""

FIT = (
    *("fit", "--config", "quickstart", "--name", "proof", "--trainer.max_epochs", "1"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--model.init_args.max_length", "64", "--data.init_args.eval_candidates", "5"),
    *("--data.init_args.max_questions", "{train: 8, validation: 2, test: 2}"),
)
LOAD = (
    "from sentence_transformers import SentenceTransformer\n"
    "SentenceTransformer('runs/proof/export', device='cpu').encode_query(['Does it load?'])\n"
)
VERSIONS = (
    "import sys\n"
    "from importlib.metadata import version\n"
    "print(*map(version, sys.argv[1:]), sep='\\n')\n"
)


def find_python(version: str) -> str | None:
    """The interpreter of a version: on the path, or among those of pyenv."""
    found = shutil.which(f"python{version}")
    places = (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python3")
    for place in [found, *map(str, sorted(places))]:
        if place and _answers(place, version):
            return place
    return None


def _answers(place: str, version: str) -> bool:
    """Whether an interpreter is of a version: pyenv's go-betweens may lead nowhere."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([place, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() == version


def environment() -> dict[str, str]:
    """What the commands see: nothing of the repository, no model of the hub."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    shown = {key: value for key, value in os.environ.items() if key not in hidden}
    quiet = {"HF_HUB_OFFLINE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {"UV_PYTHON_DOWNLOADS": "never", **shown, **quiet}


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Output of a command that knows nothing of the repository.

    Raises:
        RuntimeError: it fails; with the last line that it said.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise RuntimeError(f"{' '.join(words[:4])}: {said[-1]}")
    return done.stdout


def installed_uv(folder: Path) -> Path:
    """uv, in an environment of its own."""
    run([sys.executable, "-m", "venv", folder / "tools"], folder)
    run([folder / "tools/bin/python", "-m", "pip", "install", "-q", "uv"], folder)
    return folder / "tools/bin/uv"


def own_torch(folder: Path) -> Path:
    """The wheel of the build of torch that this Python has. pip fetches it: uv does not read pip's
    settings, and so does not know where this machine keeps such builds."""
    wanted = f"torch=={metadata.version('torch')}"
    download = ["download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, wanted]
    run([sys.executable, "-m", "pip", *download], folder)
    (wheel,) = folder.glob("torch-*.whl")
    return wheel


def build(uv: Path, folder: Path) -> Path:
    """A wheel that was built from the sdist, as an index would have both."""
    run([uv, "build", "-q", "--python", sys.executable, "--out-dir", folder, ROOT], folder)
    (wheel,) = folder.glob("*.whl")
    (_,) = folder.glob("*.tar.gz")
    return wheel


def installs(resolution: str, wheel: Path, torch: Path | None) -> list[list[str]]:
    """Arguments of ``uv pip install``, one call after the other.

    The wheel's dependencies are not *direct* ones to uv, which lowers these alone: where they are
    to be the lowest, those of pyproject.toml come first, and the wheel finds them there.
    """
    options = ["--only-binary", ":all:", *([str(torch)] if torch else [])]
    calls = [[*options, f"{wheel}[offline]"]]
    if resolution == "lowest":
        project = ["-r", str(ROOT / "pyproject.toml"), "--extra", "offline"]
        calls.insert(0, [*options, "--resolution", "lowest-direct", *project])
    return calls


def prove(
    python: str, resolution: str, uv: Path, wheel: Path, folder: Path, torch: Path | None
) -> Mapping[str, str]:
    """Install and run; the versions of :data:`MAIN` that were installed.

    Raises:
        RuntimeError: a step fails.
    """
    venv, work = folder / "venv", folder / "work"
    work.mkdir(parents=True)
    run([uv, "venv", "-q", "--python", python, venv], folder)
    for arguments in installs(resolution, wheel, torch):
        run([uv, "pip", "install", "-q", "--python", venv, *arguments], work)
    run([venv / "bin/radio", *FIT], work)
    run([venv / "bin/python", "-c", LOAD], work)
    found = run([venv / "bin/python", "-c", VERSIONS, *MAIN], work).splitlines()
    return dict(zip(MAIN, found, strict=True))


def row(version: str, resolution: str, outcome: str, seconds: float, found: str) -> str:
    """A line of the table."""
    return f"| {version} | {resolution} | {outcome} | {seconds:.0f} | {found} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; 1 where any pair fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pythons", nargs="+", help="default: those that are found")
    which.add_argument("--own", action="store_true", help="this Python, with its build of torch")
    parser.add_argument("--resolutions", nargs="+", choices=RESOLUTIONS, default=RESOLUTIONS)
    options = parser.parse_args(arguments)
    pythons = {version: find_python(version) for version in options.pythons or PYTHONS}
    if options.own:
        pythons = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    failed = False
    print("| Python | versions | outcome | s | installed |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        uv = installed_uv(Path(name))
        wheel = build(uv, Path(name))
        torch = own_torch(Path(name) / "torch") if options.own else None
        for version, python in pythons.items():
            for resolution in options.resolutions:
                if python is None:
                    failed |= options.pythons is not None
                    print(row(version, resolution, "no such Python here", 0, ""), flush=True)
                    continue
                start = time.perf_counter()
                folder = Path(name) / f"{version}-{resolution}"
                found, outcome = "", "runs"
                try:
                    installed = prove(python, resolution, uv, wheel, folder, torch)
                    found = ", ".join(f"{key} {value}" for key, value in installed.items())
                except RuntimeError as error:
                    failed, outcome = True, str(error)
                seconds = time.perf_counter() - start
                print(row(version, resolution, outcome, seconds, found), flush=True)
                # each takes gigabytes
                shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
