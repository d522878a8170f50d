"""W&B and metrics.csv: the name and id of a run, no secrets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from radio.runs.loggers import ResumableCSVLogger
from radio.schema import InputError
from tests.test_cli_runs import FAST, Radio

WANDB = ["--trainer.logger", "WandbLogger", "--trainer.logger.init_args.project", "p"]


def test_a_wandb_run_has_the_config_the_name_and_goes_on(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    import wandb

    for extra in ([], ["--ckpt_path", "last", "--trainer.max_epochs", "2"]):
        status, _, err = radio("fit", *tiny_run, *FAST, *WANDB, *extra)
        wandb.finish()
        assert status == 0, err
    identifier = json.loads((tmp_path / "runs/tiny/.radio").read_text())["wandb"]
    records = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert [record.stem for record in records] == [f"run-{identifier}"] * len(records)
    content = b"".join(record.read_bytes() for record in records)
    assert b"tiny" in content
    assert b"teacher_temperature" in content
    assert b"missing_rationales" in content
    # what the generator in the loop answers and costs
    for name in (b"validation/em", b"validation/base/em", b"generator/validation/prompts"):
        assert name in content


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


def test_secrets_are_not_logged() -> None:
    from radio.runs.loggers import plain

    config = {
        "api_key": "k",
        "max_tokens": 5,
        "urls": ["https://me:pw@host/x"],
        "hf_token": "t",
        "token": None,
    }
    found = plain(config)
    assert found["api_key"] == found["hf_token"] == "(left out)"
    assert (found["max_tokens"], found["token"]) == (5, None)
    assert found["urls"] == ["https://(left out)@host/x"]


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
