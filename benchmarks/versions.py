"""Does a release work where it is installed? ``python -m benchmarks.versions`` tries each Python
that it finds with the lowest and the highest versions of the main dependencies.

For each pair: the sdist is built, a wheel from that, a fresh virtual environment, the wheel with
its dependencies from the package index, and then, in a folder outside of the repository, ``radio
fit`` on some of the bundled data, and its export loaded by sentence-transformers. It takes a
quarter of an hour a pair and gigabytes of disk. The exit status is 1 where
any pair fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MAIN = (
    *("torch", "lightning", "transformers", "sentence-transformers", "numpy", "datasets"),
    *("jsonargparse", "pyarrow", "scikit-learn", "torchmetrics"),
)
"""Dependencies whose versions matter most."""

FIT = (
    *("fit", "--config", "quickstart", "--name", "proof", "--trainer.max_epochs", "1"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--data.init_args.max_questions", "{train: 12, validation: 4, test: 4}"),
)
LOAD = (
    "from sentence_transformers import SentenceTransformer\n"
    "SentenceTransformer('runs/proof/export', device='cpu').encode_query(['Does it load?'])\n"
)


def find_python(version: str) -> str | None:
    """The interpreter of a version: on the path, or among those of pyenv."""
    if found := shutil.which(f"python{version}"):
        return found
    places = (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python3")
    return next(map(str, sorted(places)), None)


def lower_bounds(project: str) -> dict[str, str]:
    """The lowest version that pyproject.toml allows, of each of :data:`MAIN`."""
    lines = tomllib.loads(project)["project"]["dependencies"]
    bounds = {}
    for requirement in map(Requirement, lines):
        for part in requirement.specifier:
            if requirement.name in MAIN and part.operator in (">=", "=="):
                bounds[requirement.name] = part.version
    return bounds


def lowest(listing: str, bound: str) -> str:
    """The lowest release from a bound on, in what ``pip index versions`` prints: one that exists,
    and has a file for this Python."""
    names = re.search(r"Available versions: (.*)", listing)
    versions = [Version(name.strip()) for name in names[1].split(",")] if names else []
    allowed = [version for version in versions if version >= Version(bound)]
    if not allowed:
        raise ValueError(f"no release from {bound} on in {listing.strip()[:200]!r}")
    return min(allowed).public


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Output of a command that knows nothing of the repository.

    Raises:
        RuntimeError: it fails; with the last line that it said.
    """
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"HF_HUB_OFFLINE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise RuntimeError(f"{' '.join(words[:4])}: {said[-1]}")
    return done.stdout


def build(folder: Path) -> Path:
    """A wheel that was built from the sdist, as an index would have both."""
    tools = folder / "tools"
    run([sys.executable, "-m", "venv", tools], folder)
    pip = [tools / "bin/python", "-m", "pip"]
    run([*pip, "install", "-q", "hatchling"], folder)
    run([tools / "bin/python", "-m", "hatchling", "build", "-t", "sdist", "-d", folder], ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    wheel = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, sdist]
    run(wheel, folder)
    (file,) = folder.glob("*.whl")
    return file


def prove(python: str, resolution: str, wheel: Path, folder: Path) -> Mapping[str, str]:
    """Install and run; the versions of :data:`MAIN` that were installed.

    Raises:
        RuntimeError: a step fails.
    """
    venv, work = folder / "venv", folder / "work"
    work.mkdir(parents=True)
    run([python, "-m", "venv", venv], folder)
    interpreter = venv / "bin/python"
    pip = [interpreter, "-m", "pip"]
    constraints = folder / "constraints.txt"
    lines = []
    if resolution == "lowest":
        for name, bound in lower_bounds(
            (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        ).items():
            lines.append(f"{name}=={lowest(run([*pip, 'index', 'versions', name], work), bound)}")
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    install = [*pip, "install", "-q", "-c", constraints, f"{wheel}[offline]"]
    run(install, work)
    run([venv / "bin/radio", *FIT], work)
    run([interpreter, "-c", LOAD], work)
    installed = dict(
        line.split("==") for line in run([*pip, "freeze"], work).splitlines() if "==" in line
    )
    return {name: installed.get(name, "?") for name in MAIN}


def row(version: str, resolution: str, outcome: str, seconds: float, found: str) -> str:
    """A line of the table."""
    return f"| {version} | {resolution} | {outcome} | {seconds:.0f} | {found} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; 1 where any pair fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", nargs="+", default=PYTHONS)
    parser.add_argument("--resolutions", nargs="+", default=("lowest", "highest"))
    options = parser.parse_args(arguments)
    failed = False
    print("| Python | versions | outcome | s | installed |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        wheel = build(Path(name))
        for version in options.pythons:
            python = find_python(version)
            for resolution in options.resolutions:
                if python is None:
                    print(row(version, resolution, "no such Python here", 0, ""), flush=True)
                    continue
                start = time.perf_counter()
                folder = Path(name) / f"{version}-{resolution}"
                found, outcome = "", "runs"
                try:
                    installed = prove(python, resolution, wheel, folder)
                    found = ", ".join(f"{key} {value}" for key, value in installed.items())
                except (RuntimeError, ValueError) as error:
                    failed, outcome = True, str(error)
                print(row(version, resolution, outcome, time.perf_counter() - start, found))
                sys.stdout.flush()
                # each takes gigabytes
                shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
