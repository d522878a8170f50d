"""Commands other than ``fit`` that are ended: the results of before stay, none is half there, and
the same command comes to the end."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from radio.rerankers import CrossEncoder
from tests import forked
from tests.commands.test_export import LINE
from tests.conftest import PATIENCE, write_jsonl
from tests.runs.restarting import difference, without_times
from tests.several import environment
from tests.signalled import PARTS, Start, starter

pytestmark = pytest.mark.slow

start = pytest.fixture(starter)

WRITTEN = {
    "validate": ("metrics.json", "predictions.jsonl", "validation.tuned.trec"),
    "test": ("metrics.json", "predictions.jsonl", "test.tuned.trec"),
    "predict": ("predict.jsonl", "predict.trec"),
}
MOMENT = {
    "validate": "in the validation",
    "test": "in the test",
    "predict": "in the prediction",
}
"""Before its first batch of two."""


def results(run: Path, command: str) -> dict[str, Any]:
    """What a command has written, but for times."""
    found: dict[str, Any] = {}
    for name in WRITTEN[command]:
        text = (run / name).read_text()
        found[name] = text if name.endswith(".trec") else without_times(text)
    return found


def half_written(run: Path) -> list[str]:
    """What was begun beside its place."""
    hidden = [path.name for path in run.rglob(".*")]
    return [name for name in hidden if not name.startswith(".radio")]


def ended(status: int, kind: signal.Signals) -> bool:
    return status == (128 + kind if kind is signal.SIGTERM else -kind)


@pytest.mark.parametrize("command", WRITTEN)
def test_an_evaluation_that_was_ended_leaves_the_results_of_before(
    command: str, start: Start, tmp_path: Path
) -> None:
    run = tmp_path / "runs/tiny"
    done = start(command)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = results(run, command)
    # told apart from those that are still to come
    before = {}
    for name in WRITTEN[command]:
        before[name] = (run / name).read_bytes().removesuffix(b"\n") + b" \n"
        (run / name).write_bytes(before[name])
    for kind in (signal.SIGKILL, signal.SIGTERM):
        (tmp_path / "moments.txt").write_text(f"{kind.name} {MOMENT[command]}")
        done = start(command)
        assert ended(done.returncode, kind), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert ("radio: terminated" in done.stderr) == (kind is signal.SIGTERM)
        assert {name: (run / name).read_bytes() for name in before} == before
    if command == "predict":
        (tmp_path / "moments.txt").write_text("SIGKILL in predict.jsonl")
        assert ended(start(command).returncode, signal.SIGKILL)
        assert (run / "predict.jsonl").read_bytes() == before["predict.jsonl"]
        assert (run / "predict.trec").read_text() == expected["predict.trec"]
        assert len(half_written(run)) == 1
    done = start(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert difference(expected, results(run, command)) is None
    assert (run / WRITTEN[command][0]).read_bytes() != before[WRITTEN[command][0]]
    assert half_written(run) == []


ONNX = """
import sys
import parts
from radio.commands import export

measure = export.measure


def measured(*arguments):
    # the files are written, and not yet in their place
    parts.moment("in the comparison")
    return measure(*arguments)


export.measure = measured
from radio.__main__ import main
sys.exit(main())
"""


def test_an_export_as_onnx_that_was_ended_leaves_that_of_before(
    tiny_bert: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    run = tmp_path / "runs/tiny"
    reranker = CrossEncoder(model=tiny_bert, max_length=40)
    reranker.configure_model()
    reranker.eval().export(run / "export")
    (tmp_path / "parts.py").write_text(PARTS)
    write_jsonl(tmp_path / "lines.jsonl", [LINE])
    before = {"model.onnx": "of before", "onnx.json": "{}"}
    (run / "onnx").mkdir()
    for name, text in before.items():
        (run / "onnx" / name).write_text(text)

    def export() -> int:
        words = ["export", str(run), "--onnx", "--questions", "lines.jsonl"]
        command = [sys.executable, "-c", ONNX, *words]
        done = forked.run(command, cwd=tmp_path, env=environment(tmp_path), timeout=PATIENCE)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    for begun, kind in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        (tmp_path / "moments.txt").write_text(f"{kind.name} in the comparison")
        assert export() == -kind
        assert {path.name: path.read_text() for path in (run / "onnx").iterdir()} == before
        assert len(half_written(run)) == begun
    assert export() == 0
    assert json.loads((run / "onnx/onnx.json").read_text())["results"].keys() == {
        "torch",
        "model.onnx",
    }
