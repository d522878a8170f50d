"""A diagnosis on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.diagnosing.diagnosis import Diagnosing, Settings
from radio.diagnosing.subject import open_subject
from radio.diagnosing.terminal import show
from tests.diagnosing.runs import made_run


def test_tables_fit_and_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    subject = open_subject(made_run(tmp_path / "run"))
    subject.remarks.append("WARNING: \x1b[2J")
    settings = Settings(tests=["training", "closed_book", "order"], questions=6)
    show(Diagnosing(subject, settings).run().document)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "training questions, 13 tokens" in out
    assert "Order of the passages: em, read by SpanReader" in out
    assert "closed_book: not available: SpanReader copies spans" in " ".join(out.split())
    assert "asked about 6 of 12 questions, drawn at random (seed 0)" in " ".join(out.split())
    assert "0 of 12 test questions are suspicious." in out
