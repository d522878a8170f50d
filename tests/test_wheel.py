"""The built wheel works by itself outside the clone: shipped configs, bundled data, own classes."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT, World, make_world
from tests.test_readme import EXAMPLES, commands, examples, fenced

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that knows nothing of the clone and asks no network for models."""
    hidden = {"PYTHONPATH", "PYTHONHOME"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the tools that build a wheel."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "hatchling"], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        pytest.skip(f"hatchling, which builds the wheel, cannot be fetched: {said[-1]}")
    return folder


@pytest.fixture(scope="module")
def wheel(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "pip", "wheel", "-q", "--disable-pip-version-check", ROOT, "--no-deps")
    run(environment / "bin/python", *build, "--no-build-isolation", "-w", folder, cwd=folder)
    (file,) = folder.glob("*.whl")
    return file


def test_the_sdist_builds_the_same_wheel(environment: Path, wheel: Path, tmp_path: Path) -> None:
    python = environment / "bin/python"
    run(python, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    build = ("-m", "pip", "wheel", "-q", "--disable-pip-version-check", sdist, "--no-deps")
    run(python, *build, "--no-build-isolation", "-w", tmp_path, cwd=tmp_path)
    (built,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(built).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def python(environment: Path, wheel: Path) -> Path:
    """The interpreter of an environment that has the wheel, and sees the dependencies of this
    one."""
    interpreter = environment / "bin/python"
    install = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", wheel)
    run(interpreter, *install, cwd=environment)
    (site,) = environment.glob("lib/python*/site-packages")
    # a folder that is added so is searched last, and its own .pth files (the clone's, where it is
    # installed to be edited) are not read
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def test_the_wheel_holds_what_a_run_needs_and_nothing_of_the_clone(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"radio", "data_modules", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    for package, folder in (("radio", ROOT / "src"), ("data_modules", ROOT)):
        for file in sorted((folder / package).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                assert file.relative_to(folder).as_posix() in names
    for file in sorted((ROOT / "configs").rglob("*.yaml")):
        assert f"radio/{file.relative_to(ROOT).as_posix()}" in names


def test_the_command_finds_its_configs_outside_the_clone(python: Path, tmp_path: Path) -> None:
    place = Path(run(python, "-c", "import radio; print(radio.__file__)", cwd=tmp_path).strip())
    assert place.is_relative_to(python.parents[1])
    assert "losses/rank_net" in run(python.parent / "radio", "configs", cwd=tmp_path)
    run(python.parent / "radio", "configs", "copy", "quickstart", cwd=tmp_path)
    assert (tmp_path / "quickstart.yaml").read_text() == (
        ROOT / "configs/quickstart.yaml"
    ).read_text()


def small(tiny_bert: str, teacher: str = "teacher.init_args.teachers.0") -> Sequence[str]:
    """Options that make a run on a few questions with a random model; ``teacher`` is the one that
    has an encoder, empty where none has."""
    options = [
        *("--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"),
        *("--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"),
    ]
    if teacher:
        encoder = f"--data.init_args.{teacher}.init_args.encoder.init_args"
        options += [f"{encoder}.model", tiny_bert, f"{encoder}.max_length", "48"]
    return options


FEW = ("--data.init_args.max_questions", "{train: 8, validation: 2, test: 2}")


def test_the_quickstart_runs_outside_the_clone(
    python: Path, tiny_bert: str, tmp_path: Path
) -> None:
    command = ("fit", "--config", "quickstart", *small(tiny_bert), *FEW)
    run(python.parent / "radio", *command, cwd=tmp_path)


def own_class_commands() -> list[list[str]]:
    """The first command of each page that shows a class of one's own."""
    found = []
    for page in EXAMPLES.values():
        text = next(text for kind, text in fenced(page) if kind == "bash")
        found.append(commands(text)[0])
    return found


@pytest.mark.parametrize("command", own_class_commands(), ids=lambda words: " ".join(words[4:6]))
def test_own_classes_of_the_pages_run_outside_the_clone(
    command: list[str], python: Path, tiny_bert: str, tmp_path: Path
) -> None:
    world: World = make_world(tmp_path / "world")
    for path in world.folder.iterdir():
        path.rename(tmp_path / path.name)
    for name, text in examples().items():
        (tmp_path / name).write_text(text)
    options = small(tiny_bert, "") if "my-teacher" in command else small(tiny_bert)
    run(python.parent / "radio", *command[1:], *options, *FEW, cwd=tmp_path)
