"""The GPU script, rehearsed with tiny models on a processor: every row is had but for its speed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as page
from benchmarks.gpu import attention, material, teachers
from benchmarks.gpu.rows import Row, at_least, at_most, not_run, table
from tests.conftest import ROOT


def test_packed_attention_is_that_of_the_plain_formula() -> None:
    rows = list(attention.check("cpu", tiny=True))
    assert len(rows) == 4
    assert all(row.reached for row in rows), rows


def test_a_wrong_attention_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.attend
    monkeypatch.setattr(attention, "attend", lambda *args, scale: right(*args, scale=2 * scale))
    assert not any(row.reached for row in attention.check("cpu", tiny=True))


def test_the_teacher_and_the_loop_score_all_questions(tmp_path: Path) -> None:
    rows = list(teachers.race(tmp_path, "cpu", tiny=True))
    assert ["1 on average" in rows[0].what, "2 on average" in rows[1].what] == [True, True]
    assert all(row.found.endswith("times the loop") for row in rows)


@pytest.mark.parametrize(("shared", "distinct"), [(1, 400), (2, 200)])
def test_lessons_share_as_many_passages_as_they_say(shared: int, distinct: int) -> None:
    work = teachers.lessons(8, shared, 12)
    texts = [passage.contents for lesson in work for passage in lesson.passages]
    assert len(texts) == 400
    assert distinct * 0.8 <= len(set(texts)) <= distinct


def test_the_useful_work_of_a_model() -> None:
    # 2 layers of 12 * 32^2 weights, 3 tokens: 2 * weights * 3, and 4 * 3^2 * 32 in each layer
    assert material.TINY.flops([3], training=False) == 2 * 24_576 * 3 + 4 * 9 * 32 * 2
    assert material.TINY.flops([3], training=True) == 3 * material.TINY.flops([3], training=False)


def test_the_table_says_what_was_missed_and_what_was_not_run() -> None:
    rows = [
        at_least("speed", 1.4, 1.5, "times", "a | b"),
        at_most("gap", 1e-3, 1e-2, ""),
        not_run("ranking", "out of\nmemory"),
    ]
    assert table(rows).splitlines()[2:] == [
        "| speed | 1.40 times | >= 1.5 times | **no** | a / b |",
        "| gap | 1.0e-03 | <= 1e-02 | yes |  |",
        "| ranking | not run | - | **no** | out of memory |",
    ]


def test_a_part_that_fails_or_is_too_late_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> Iterator[Row]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(page, "parts", lambda *args, **kwargs: iter([("training", fails)]))
    (row,) = page.measure(tmp_path, "cpu", tiny=True, seconds=60)
    assert (row.what, row.found, row.detail) == (
        "training",
        "not run",
        "RuntimeError: out of memory",
    )
    (row,) = page.measure(tmp_path, "cpu", tiny=True, seconds=-1)
    assert (row.found, row.detail) == ("not run", "-1 s were over")


@pytest.mark.slow
def test_the_whole_script_on_a_processor(tmp_path: Path) -> None:
    output = tmp_path / "gpu.md"
    command = ["bash", str(ROOT / "benchmarks/gpu.sh"), "--python", sys.executable]
    command += ["--output", str(output), "--", "--device", "cpu", "--tiny"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-3000:]
    text = output.read_text(encoding="utf-8")
    assert text.startswith("A rehearsal with tiny models: the numbers mean nothing.")
    assert "not run" not in text
    for what in ("packed attention", "512 tokens", "teacher scoring", "BERT-large, ranking"):
        assert f"| {what}" in text or what in text
    assert "| YesNoLM with LoRA, training |" in text


def test_the_script_says_what_it_lacks() -> None:
    script = str(ROOT / "benchmarks/gpu.sh")
    done = subprocess.run(["bash", script, "--whels", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown argument: --whels" in done.stderr
    assert "--wheels FOLDER" in done.stderr
