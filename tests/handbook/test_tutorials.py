"""The notebook runs as it stands, and so does the script of the other tutorial."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from radio.formats import read_passages, read_questions
from tests.conftest import ROOT
from tests.test_readme import files_of

NOTEBOOK = ROOT / "docs/tutorials/notebook.ipynb"


def printed(cell: Any) -> str:
    return "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stdout")


@pytest.mark.slow
def test_the_notebook_runs_and_says_what_it_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    # kernels write where they are told to, not into the home of who runs the tests
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [printed(cell) for cell in notebook.cells if cell["cell_type"] == "code"]
    assert "train: 24 questions, 24 rationales" in cells[0]
    assert "tuned - base" in cells[3]
    assert (tmp_path / "runs/notebook/export/modules.json").is_file()


def test_the_script_of_the_tutorial_writes_files_that_can_be_read(tmp_path: Path) -> None:
    script = files_of("docs/tutorials/own-data.md")["example_files.py"]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert len(read_passages(tmp_path / "corpus.jsonl")) == 480
    assert len(read_questions(tmp_path / "train.jsonl")) == 165
    new = read_questions(tmp_path / "new_questions.jsonl", need_answers=False)
    assert len(new) == 95
