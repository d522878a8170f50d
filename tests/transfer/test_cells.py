"""Cells are plain commands, done once; the fault of one loses no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from radio.transfer import cells as module
from radio.transfer.cells import fill, run_command
from radio.transfer.matrix import Entry, Matrix
from tests.conftest import write_jsonl


def matrix(folder: Path, *generators: str) -> Matrix:
    model = folder / "model"
    if not model.is_dir():
        model.mkdir()
        (model / "config.json").write_text("{}")
    reranker = {"class_path": "CrossEncoder", "init_args": {"model": str(model)}}
    return Matrix(
        "t",
        folder / "t",
        "test",
        3,
        "retriever",
        {"d": Entry(trees=({"data": {"class_path": "QuickstartDataModule"}},))},
        {"r": Entry(trees=({"model": reranker},))},
        {name: {"class_path": "SpanReader"} for name in generators},
    )


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run; one that has a generator called ``bad`` fails, the others evaluate
    two questions."""
    ran: list[list[str]] = []

    def run(words: list[str], log: Path, say: Callable[[str], None]) -> str:
        ran.append(words)
        place = words.index("--name")
        root, folder = words[words.index("--trainer.default_root_dir") + 1], words[place + 1]
        overlay = yaml.safe_load(Path(words[place - 1]).read_text())
        names = [c["init_args"].get("name") for c in overlay["trainer"]["callbacks"]][1:]
        if "bad" in names:
            return "no such model"
        rows: list[dict[str, Any]] = []
        for number in range(2):
            numbers = {f"{name}_em": float(number) for name in names}
            systems = {"retriever": {"P@1": 1.0, **numbers}, "tuned": numbers}
            rows.append({"split": "test", "question_id": f"q{number}", **systems})
        rows.append({"split": "validation", "question_id": "q9", "tuned": {"good_em": 1.0}})
        (Path(root) / folder).mkdir(parents=True, exist_ok=True)
        write_jsonl(Path(root) / folder / "predictions.jsonl", rows)
        return ""

    monkeypatch.setattr(module, "run_command", run)
    return ran


def quiet(line: str) -> None: ...


def test_all_generators_read_in_one_command(tmp_path: Path, commands: list[list[str]]) -> None:
    found = fill(matrix(tmp_path, "good", "other"), again=False, say=quiet)
    assert len(commands) == 1
    assert not found.failed
    expected = {"em": {"q0": 0.0, "q1": 1.0}}
    for system in ("retriever", "r"):
        for generator in ("good", "other"):
            assert found.done["d", system, generator] == expected
    assert found.folders["d", "r", "good"] == tmp_path / "t/d/r"


def test_the_fault_of_one_generator_loses_no_other(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    found = fill(matrix(tmp_path, "good", "bad"), again=False, say=quiet)
    assert len(commands) == 3
    assert found.failed == {("d", "r", "bad"): "no such model"}
    assert found.done["d", "r", "good"]["em"] == {"q0": 0.0, "q1": 1.0}


def test_what_is_done_is_kept_until_something_has_changed(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    fill(matrix(tmp_path, "good"), again=False, say=quiet)
    again = fill(matrix(tmp_path, "good"), again=False, say=quiet)
    assert len(commands) == 1
    assert again.done["d", "r", "good"]["em"] == {"q0": 0.0, "q1": 1.0}
    fill(matrix(tmp_path, "good"), again=True, say=quiet)
    assert len(commands) == 2
    # another generator, then another file in the folder of the model
    fill(matrix(tmp_path, "good", "other"), again=False, say=quiet)
    assert len(commands) == 3
    (tmp_path / "model" / "model.safetensors").write_bytes(b"new")
    fill(matrix(tmp_path, "good", "other"), again=False, say=quiet)
    assert len(commands) == 4


def test_a_failed_one_is_tried_again(tmp_path: Path, commands: list[list[str]]) -> None:
    fill(matrix(tmp_path, "bad"), again=False, say=quiet)
    fill(matrix(tmp_path, "bad"), again=False, say=quiet)
    assert len(commands) == 2


def test_the_message_of_a_failed_command_is_kept_with_what_it_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    said: list[str] = []
    error = run_command(["tset"], log, said.append)
    assert error.startswith("unknown command 'tset'; did you mean 'test'")
    assert said == ["$ radio tset"]
    assert "radio: error: unknown command" in log.read_text()
    assert "radio: error: unknown command" in capfd.readouterr().out
    assert run_command(["--version"], log, said.append) == ""
