"""A class of the user's own counts by its source: edited, it does not get its old results."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.fingerprints import Fingerprinted
from radio.schema import InputError

TEACHER = """
from radio.teachers import Teacher, AnswerMatch
from my_base import Base

class Mine(Base, Teacher):
    def __init__(self, weight=1.0):
        self.weight = weight
    def score(self, question, rationale, passages):
        return [0.5 for _ in passages]

class Stricter(AnswerMatch):
    pass
"""
BASE = "class Base:\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "my_base.py").write_text(BASE)
    (tmp_path / "my_teacher.py").write_text(TEACHER)
    yield tmp_path
    _forget()


def _forget() -> None:
    for name in ("my_base", "my_teacher", "moved"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def fresh(name: str = "my_teacher") -> Any:
    """The module as a new process imports it."""
    _forget()
    return importlib.import_module(name)


def test_an_edited_class_does_not_get_its_old_results(folder: Path) -> None:
    before = fresh().Mine().fingerprint()
    assert fresh().Mine().fingerprint() == before
    assert fresh().Mine(weight=2.0).fingerprint() != before
    (folder / "my_teacher.py").write_text(TEACHER.replace("0.5", "0.7"))
    assert fresh().Mine().fingerprint() != before


def test_an_edited_base_class_counts_too(folder: Path) -> None:
    before = fresh().Mine().fingerprint()
    (folder / "my_base.py").write_text(BASE + "    edited = True\n")
    assert fresh().Mine().fingerprint() != before


def test_the_version_of_a_shipped_base_class_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fresh()
    before = module.Stricter().fingerprint()
    monkeypatch.setattr("radio.teachers.AnswerMatch.version", 3)
    monkeypatch.setattr(module.Stricter, "version", 2)
    assert module.Stricter().fingerprint() != before


def test_a_file_that_is_moved_loses_nothing(folder: Path) -> None:
    before = fresh().Mine().fingerprint()
    (folder / "my_teacher.py").rename(folder / "moved.py")
    assert fresh("moved").Mine().fingerprint() == before


def test_what_was_edited_after_the_import_is_not_what_runs(folder: Path) -> None:
    module = fresh()
    (folder / "my_teacher.py").write_text(TEACHER.replace("0.5", "0.7"))
    running = module.Mine().fingerprint()
    assert fresh().Mine().fingerprint() != running
    (folder / "my_teacher.py").write_text(TEACHER)
    assert fresh().Mine().fingerprint() == running


CELL = """
class Mine(Fingerprinted):
    def score(self):
        return {}
"""


def define(source: str, name: str) -> Any:
    """A class as a notebook or an interactive prompt makes it: in no module that has a file."""
    space: dict[str, Any] = {"Fingerprinted": Fingerprinted, "__name__": "no_file"}
    exec(compile(source, name, "exec"), space)
    return space["Mine"]()


def test_a_class_of_a_notebook_counts_by_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for number, value in enumerate((1, 1, 2)):
        name, source = f"<cell {number}>", CELL.format(value)
        # so that tracebacks can show it, IPython keeps each cell here
        monkeypatch.setitem(
            linecache.cache, name, (len(source), None, source.splitlines(True), name)
        )
        keys.append(define(source, name).fingerprint())
    assert keys[0] == keys[1] != keys[2]


def test_a_class_without_a_source_is_refused_when_its_results_would_be_cached() -> None:
    mine = define(CELL.format(1), "<stdin>")
    with pytest.raises(
        InputError, match=r"Mine: found no source of this class.*write it into a \.py file"
    ):
        mine.fingerprint()
