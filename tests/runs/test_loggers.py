"""W&B, TensorBoard and metrics.csv: the name and id of a run, its tables, no secrets."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from radio.runs.loggers import ResumableCSVLogger
from radio.schema import InputError
from tests.reporting.test_loggers import read_back
from tests.test_cli_runs import FAST, Radio
from tests.wandb_files import records, tables

WANDB = ["--trainer.logger", "WandbLogger", "--trainer.logger.init_args.project", "p"]


def test_a_wandb_run_has_the_config_the_name_and_goes_on(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    import wandb

    on = ["--ckpt_path", "last", "--trainer.max_epochs", "2"]
    for extra in ([], [*on, "--trainer.callbacks.4.init_args.artifact", "false"]):
        status, _, err = radio("fit", *tiny_run, *FAST, *WANDB, *extra)
        wandb.finish()
        assert status == 0, err
    identifier = json.loads((tmp_path / "runs/tiny/.radio").read_text())["wandb"]
    records_of = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert [record.stem for record in records_of] == [f"run-{identifier}"] * len(records_of)
    content = b"".join(record.read_bytes() for record in records_of)
    assert b"tiny" in content
    assert b"teacher_temperature" in content
    assert b"missing_rationales" in content
    # what the generator in the loop answers and costs
    for name in (b"validation/em", b"validation/base/em", b"generator/validation/prompts"):
        assert name in content
    # the evaluations at the end of each part, once each
    logged = records(records_of[0])["artifact"]
    files = [artifact["manifest"]["contents"] for artifact in logged if artifact["type"] != "model"]
    names = [content["path"] for (content,) in files]
    # what is to be synced lies beside it, and not in the user's home folder
    assert all(
        Path(content["local_path"]).is_relative_to(tmp_path / "wandb") for (content,) in files
    )
    exports = [
        sum(artifact["type"] == "model" for artifact in records(record)["artifact"])
        for record in records_of
    ]
    assert exports == [1, 0]
    assert sorted(names) == sorted(
        f"validation/{name}.table.json" for name in ("table", "questions", "notes")
    )
    document = json.loads((tmp_path / "runs/tiny/metrics.json").read_text())
    table = tables(tmp_path)["validation/table"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["data"]}
    assert rows["nDCG@5"]["tuned"] == document["validation"]["tuned"]["nDCG@5"]


def test_tensorboard_writes_into_the_run_folder_and_goes_on_there(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    arguments = [*tiny_run, "--config", "loggers/tensorboard"]
    for extra in ([], ["--ckpt_path", "last", "--trainer.max_epochs", "2", *FAST]):
        status, _, err = radio("fit", *arguments, *extra)
        assert status == 0, err
    folder = tmp_path / "runs/tiny/tensorboard"
    events = read_back(folder)
    for split in ("validation", "test"):
        for name in ("table", "questions"):
            assert f"{split}/{name}/text_summary" in events.Tags()["tensors"]
    steps = [event.step for event in events.Tensors("validation/table/text_summary")]
    assert steps == [1, 2]
    # the validation of each epoch, by the step before it, and that of the best weights
    assert [event.step for event in events.Scalars("validation/nDCG@5")] == [0, 1, 1, 2]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tiny"]
    status, _, err = radio("fit", *arguments, *FAST, "--overwrite", "true")
    assert status == 0, err
    steps = [event.step for event in read_back(folder).Tensors("validation/table/text_summary")]
    assert steps == [1]


def test_tensorboard_is_named_where_it_is_missing(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    status, _, err = radio("fit", *tiny_run, "--config", "loggers/tensorboard")
    assert status == 2
    assert "TensorBoardLogger needs its package: pip install 'radio-rag[tensorboard]'" in err
    assert not (tmp_path / "runs/tiny").exists()


def test_wandb_without_a_key_is_one_message_before_anything_is_prepared(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    status, _, err = radio("fit", *tiny_run, *WANDB)
    assert status == 2
    assert "W&B: no API key: set WANDB_API_KEY" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / ".radio_cache").exists()
    assert not (tmp_path / "runs/tiny").exists()


def logged(folder: Path, *rows: tuple[int, dict[str, float]]) -> str:
    logger = ResumableCSVLogger(folder)
    for step, metrics in rows:
        logger.log_metrics(metrics, step)
    return (folder / "metrics.csv").read_text()


def test_a_run_that_goes_on_writes_no_row_twice_and_loses_none(tmp_path: Path) -> None:
    rows = [(0, {"train/loss": 1.0}), (1, {"train/loss": 2.0}), (1, {"validation/RR@10": 0.5})]
    text = logged(tmp_path, *rows)
    logger = ResumableCSVLogger(tmp_path)
    logger.keep_until(2)
    assert (tmp_path / "metrics.csv").read_text() == text
    # the checkpoint is older than the validation of its step
    logger.keep_until(2, validates=True)
    assert (tmp_path / "metrics.csv").read_text() == logged(tmp_path / "other", *rows[:2]).replace(
        "train/loss", "train/loss,validation/RR@10"
    ).replace(".0\n", ".0,\n")
    logger.keep_until(1)
    assert "2.0" not in (tmp_path / "metrics.csv").read_text()


def test_a_row_that_a_kill_has_cut_off_is_dropped(tmp_path: Path) -> None:
    text = logged(tmp_path, (0, {"train/loss": 1.0}))
    (tmp_path / "metrics.csv").write_text(f"{text}1")
    ResumableCSVLogger(tmp_path).keep_until(5)
    assert (tmp_path / "metrics.csv").read_text() == text
    (tmp_path / "metrics.csv").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"metrics\.csv: not what radio wrote"):
        ResumableCSVLogger(tmp_path).keep_until(5)


def test_a_new_column_costs_no_row_of_a_run_that_is_killed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = logged(tmp_path, (0, {"train/loss": 1.0}))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(csv.DictWriter, "writerows", killed)
    with pytest.raises(KeyboardInterrupt):
        logged(tmp_path, (1, {"other": 1.0}))
    assert (tmp_path / "metrics.csv").read_text() == text


def test_a_row_that_was_written_ahead_is_not_written_again(tmp_path: Path) -> None:
    logger = ResumableCSVLogger(tmp_path)
    logger.log_ahead({"train/loss": 1.0}, 0)
    once = (tmp_path / "metrics.csv").read_text()
    logger.log_metrics({"train/loss": 1.0}, 0)
    assert (tmp_path / "metrics.csv").read_text() == once
    logger.log_metrics({"train/loss": 1.0}, 1)
    assert (tmp_path / "metrics.csv").read_text() == f"{once}1,1.0\n"


def test_wandb_gets_no_secret_of_the_command_line(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    secret = "http://me:hush-hush@localhost:9"
    writer = ["--data.init_args.rationales", "AnthropicWriter"]
    writer += ["--data.init_args.rationales.init_args.model", "m"]
    writer += ["--data.init_args.rationales.init_args.base_url", secret]
    # nothing is asked of it
    writer += ["--data.init_args.teacher", "AnswerMatch"]
    pairs = list(zip(tiny_run[::2], tiny_run[1::2], strict=True))
    others = [pair for pair in pairs if "rationales" not in pair[0] and "teacher" not in pair[0]]
    arguments = [word for pair in others for word in pair]
    status, _, err = radio("fit", *arguments, *FAST, *WANDB, *writer)
    wandb.finish()
    assert status == 0, err
    (record,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    arguments = next(e["args"] for e in records(record)["environment"] if "args" in e)
    assert "http://(left out)@localhost:9" in arguments
    files = [path for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert [path for path in files if b"hush-hush" in path.read_bytes()] == []
