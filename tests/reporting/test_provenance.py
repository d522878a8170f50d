"""Where the numbers come from."""

from __future__ import annotations

from pathlib import Path

from radio.comparing.reading import read_runs
from radio.reporting.provenance import costs, differing, flat, origins
from tests.reporting.runs import config_of, told_run


def test_a_run_is_named_with_version_command_and_fingerprints(tmp_path: Path) -> None:
    runs = read_runs([told_run(tmp_path / "run", config=config_of(tmp_path / "c.jsonl"))])
    (origin,) = origins(runs, "test")
    assert origin.facts == {
        "command": "radio fit",
        "radio": "0.1.0",
        "results": "version 1",
        "run": "ab12",
        "finished": "yes",
        "seed": "0",
        "precision": "32-true",
        "fingerprint of SpanReader": "0123456789abcdef",
    }
    assert "model.init_args.loss.class_path: radio.losses.KLDivergence" in origin.config


def test_what_is_not_known_is_called_so(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=())
    (folder / ".radio").unlink()
    (folder / "config.yaml").unlink()
    (origin,) = origins(read_runs([folder]), "test")
    assert [origin.facts[key] for key in ("command", "radio", "run", "seed")] == ["unknown"] * 4
    assert origin.config == ""


def test_configs_are_told_apart_key_by_key(tmp_path: Path) -> None:
    one = config_of(tmp_path / "c.jsonl")
    other = config_of(tmp_path / "c.jsonl", seed_everything=1)
    del other["model"]["init_args"]["loss"]
    folders = [
        told_run(tmp_path / "a", config=one),
        told_run(tmp_path / "b", config=other),
    ]
    found = {key: list(values) for key, values in differing(read_runs(folders))}
    assert found == {
        "seed_everything": ["0", "1"],
        "model.init_args.loss.class_path": ["radio.losses.KLDivergence", "-"],
    }


def test_a_page_shows_no_secret_of_a_config(tmp_path: Path) -> None:
    configs = [
        config_of(tmp_path / "c.jsonl", hf_token=f"t0k-{n}", url=f"https://me:pw-{n}@h/v{n}")
        for n in (1, 2)
    ]
    runs = read_runs([told_run(tmp_path / f"r{n}", config=one) for n, one in enumerate(configs)])
    shown = origins(runs, "test")[0].config
    assert "hf_token: (left out)\nurl: https://(left out)@h/v1" in shown
    # nor does it say that they differ in one
    found = {key: list(values) for key, values in differing(runs)}
    assert found == {"url": ["https://(left out)@h/v1", "https://(left out)@h/v2"]}


def test_settings_are_flat() -> None:
    config = {"a": {"b": [1, 2], "c": None}, "d": [{"e": "x"}, "y"], "f": {}}
    assert dict(flat(config)) == {
        "a.b": "[1, 2]",
        "a.c": "null",
        "d.0.e": "x",
        "d.1": "y",
        "f": "{}",
    }


def test_costs_are_those_that_were_noted(tmp_path: Path) -> None:
    (cost,) = costs(read_runs([told_run(tmp_path / "run")]), "test")
    assert (cost.run, cost.generator) == ("run", "SpanReader")
    assert cost.facts == {
        "prompts": "12",
        "from the cache": "3",
        "failed": "0",
        "tokens in": "1,234",
        "tokens out": "0",
        "seconds": "7",
        "dollars": "none",
    }
