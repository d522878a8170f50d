"""W&B and TensorBoard get the tables: read back through their own readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.reporting.loggers import MOST_IN_TEXT, escaped, log_evaluation, log_export
from tests.reporting.evaluating import ANSWER, HARM, evaluate
from tests.wandb_files import records, tables


def test_wandb_has_the_tables_and_the_curve_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb
    from lightning.pytorch.loggers import CSVLogger, WandbLogger

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = evaluate(tmp_path / "run")
    loggers = [CSVLogger(tmp_path / "csv"), WandbLogger(project="p", save_dir=tmp_path)]
    log_evaluation(loggers, folder, "test", 7)
    wandb.finish()
    found = tables(tmp_path)
    assert set(found) == {"test/table", "test/questions", "test/notes", "test/curves/em_table"}
    assert found["test/table"]["columns"][:2] == ["metric", "questions"]
    assert [row[:2] for row in found["test/curves/em_table"]["data"][:2]] == [
        [1, "retriever"],
        [3, "retriever"],
    ]
    questions = found["test/questions"]
    assert len(questions["data"]) == 12
    row = dict(zip(questions["columns"], questions["data"][0], strict=True))
    assert (row["outcome"], row["tuned: answer@1"]) == ("won", ANSWER)
    assert "<script>" in row["question"]
    assert not set(row["question"]) & {"\u202e", "\x1b", "\n"}
    assert found["test/notes"]["data"][0][0].startswith("test: 12 of 15 questions")

    (record,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    written = records(record)
    assert [row["item"]["trainer/global_step"] for row in written["history"]] == [7]
    panels = json.dumps([row["update"] for row in written["config"]])
    assert "wandb/line/v0" in panels
    assert "test/curves/em_table" in panels
    # what is synced later is there: an artifact for each table
    assert len(written["artifact"]) == len(found)


def test_an_export_is_an_artifact_of_the_run_and_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb
    from lightning.pytorch.loggers import CSVLogger, WandbLogger

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    export = tmp_path / "run/export"
    (export / "inner").mkdir(parents=True)
    for name in ("radio.json", "inner/weights"):
        (export / name).write_text(name)
    logger = WandbLogger(project="p", save_dir=tmp_path)
    log_export([CSVLogger(tmp_path / "csv"), logger], export, {"step": 7, "validation/em": 0.5})
    name = f"reranker-{logger.experiment.id}"
    wandb.finish()
    (record,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    (artifact,) = records(record)["artifact"]
    assert (artifact["name"], artifact["type"]) == (name, "model")
    assert json.loads(artifact["metadata"]) == {"step": 7, "validation/em": 0.5}
    places = {entry["path"]: entry["local_path"] for entry in artifact["manifest"]["contents"]}
    assert places == {name: str(export / name) for name in ("radio.json", "inner/weights")}


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0, "scalars": 0})
    found.Reload()
    return found


def shown(events: Any, tag: str) -> str:
    """A text as the page of TensorBoard has it."""
    import numpy as np
    from tensorboard.plugins.text.text_plugin import text_array_to_html

    (event,) = events.Tensors(f"{tag}/text_summary")
    html: str = text_array_to_html(np.array(event.tensor_proto.string_val), True)
    return html


def test_tensorboard_has_the_tables_the_curve_and_no_markup_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from lightning.pytorch.loggers import TensorBoardLogger

    folder = evaluate(tmp_path / "run", MOST_IN_TEXT + 20)
    log_evaluation([TensorBoardLogger(tmp_path, name="", version="tb")], folder, "test", 7)
    events = read_back(tmp_path / "tb")
    assert events.Tags()["images"] == ["test/curves/em"]
    curve = [(event.step, event.value) for event in events.Scalars("test/curves/em/tuned")]
    assert curve == [(1, 0.25), (3, 0.25)]
    (table,) = events.Tensors("test/table/text_summary")
    assert table.step == 7
    html = shown(events, "test/table")
    for cell in ("<th>tuned - base</th>", "<td>em@1</td>", "<li>test: 120 of 123 questions"):
        assert cell in html
    assert "25.0 &#91;" in html

    html = shown(events, "test/questions")
    assert html.count("<td>q") == MOST_IN_TEXT
    # each row has as many cells as there are columns: no text has added one
    columns = html.count("<th>")
    assert html.count("<td>") == columns * MOST_IN_TEXT + 1
    for tag in ("<script", "<img", "<a ", "<em>", "<code>", "<h1>"):
        assert tag not in html
    assert "&#60;script&#62;" in html
    left_out = "the table has 100 of 120: 60 of the 60"
    assert left_out in html
    assert f"test: TensorBoardLogger: questions: {left_out}" in caplog.text


def test_no_evaluation_logs_nothing(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

    loggers = [TensorBoardLogger(tmp_path / "tb"), WandbLogger(save_dir=tmp_path, offline=True)]
    log_evaluation(loggers, evaluate(tmp_path / "run"), "validation", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_markdown_shows_a_text_as_it_is() -> None:
    import html

    assert html.unescape(escaped("a_b *c* | <d> & `e` [f](g) \\ 1. #")) == (
        "a_b *c* | <d> & `e` [f](g) \\ 1. #"
    )
    assert not set(escaped(HARM)) & set("<>|*`[]()_!\\")
