"""docs/run-folder.md names what a run leaves: all files, all keys."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from radio.commands.rationales_report import WRITES as RATIONALES
from radio.commands.teachers_report import WRITES as TEACHERS
from radio.diagnosing.diagnosis import WRITES as DIAGNOSIS
from radio.evaluation.files import VERSION
from radio.evaluation.results import NOTES
from radio.evaluation.systems import SYSTEMS
from radio.runs.folder import OWNED
from radio.runs.loggers import TENSORBOARD
from tests.conftest import ROOT, read_jsonl, write_jsonl
from tests.test_cli import Radio

ONNX = "onnx"
"""Written by ``radio export``."""

PAGE = (ROOT / "docs/run-folder.md").read_text(encoding="utf-8")


def named(part: str) -> list[str]:
    """What stands in the first cells of the tables of a part of the page."""
    text = PAGE.partition(part)[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


FILES = [name.rstrip("/") for name in named("# What is in a run folder")]


def test_the_files_that_a_run_writes_are_named(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    more = write_jsonl(tmp_path / "more.jsonl", [{"id": "n1", "question": "Who lit the lamp?"}])
    status, _, err = radio("fit", *tiny_run)
    assert status == 0, err
    status, _, err = radio("predict", *tiny_run, "--data.init_args.predict", str(more))
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    patterns = [name.replace("SYSTEM", "*") for name in FILES]
    there = sorted(path.name for path in run.iterdir())
    assert [name for name in there if not any(fnmatch(name, one) for one in patterns)] == []
    # and those of a run are there
    of_others = {*DIAGNOSIS, *RATIONALES, *TEACHERS, TENSORBOARD, ONNX}
    for pattern in patterns:
        assert pattern in of_others or any(fnmatch(name, pattern) for name in there), pattern
    _check_keys(run)


def _check_keys(run: Path) -> None:
    """The keys of the files of an evaluation are named too."""
    document = json.loads((run / "metrics.json").read_text())
    assert set(document) <= set(named("## metrics.json"))
    metrics = {name for means in document["test"].values() for name in means}
    known = set(named("## predictions.jsonl"))
    for row in read_jsonl(run / "predictions.jsonl"):
        assert set(row) <= known | set(SYSTEMS)
        for system in set(row) & set(SYSTEMS):
            assert set(row[system]) <= known | metrics


def test_what_commands_may_write_is_named() -> None:
    patterns = [name.replace("SYSTEM", "*") for name in FILES]
    assert {*OWNED, *RATIONALES, *TEACHERS} <= set(patterns)
    assert set(NOTES) <= set(named("## metrics.json"))


def test_the_present_version_is_described() -> None:
    versions = re.findall(r"^\| (\d+) ", PAGE.partition("## Version")[2], re.MULTILINE)
    assert [int(version) for version in versions] == list(range(VERSION, -1, -1))
