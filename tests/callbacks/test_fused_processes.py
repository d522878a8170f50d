"""Merging on two processes, of which one prepares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.several import Run, runner


@pytest.fixture
def two(tiny_run: list[str], tmp_path: Path) -> Run:
    return runner(tiny_run, tmp_path)


@pytest.mark.slow
def test_passages_of_the_questions_that_weights_are_learnt_from_are_embedded_by_who_prepares(
    two: Run, tmp_path: Path
) -> None:
    (tmp_path / "fused.yaml").write_text(
        "model: {class_path: BiEncoder, init_args: {train_side: question}}\n"
        "trainer: {callbacks+: [{class_path: Fused, "
        "init_args: {method: min_max, weights: learnt}}]}\n",
        encoding="utf-8",
    )
    done = two("validate", "--config", "fused.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "runs/tiny/metrics.json").read_text(encoding="utf-8"))
    assert metrics["fused"]["validation"]["learnt_on"] > 0
