"""The config that a run folder keeps."""

from __future__ import annotations

from pathlib import Path

from tests.test_cli_runs import FAST, Radio, contents


def test_a_saved_config_makes_another_run_and_leaves_the_first_alone(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    assert radio("fit", *tiny_run, *FAST)[0] == 0
    one = tmp_path / "runs/tiny"
    before = contents(one)
    config = str(one / "config.yaml")
    status, _, err = radio("fit", "--config", config, "--name", "two")
    assert status == 0, err
    assert contents(one) == before
    two = contents(tmp_path / "runs/two")
    assert two.keys() == before.keys()
    assert two["config.yaml"] == before["config.yaml"].replace(b"name: tiny", b"name: two")
    # what resumes or replaces a run does not become a habit
    arguments = ["--name", "two", "--ckpt_path", "last", "--trainer.max_epochs", "2"]
    status, _, err = radio("fit", "--config", config, *arguments)
    assert status == 0, err
    text = (tmp_path / "runs/two/config.yaml").read_text()
    assert "ckpt_path: null" in text
    assert radio("fit", "--config", config, "--name", "two", "--overwrite", "true")[0] == 0
    assert "overwrite: false" in (tmp_path / "runs/two/config.yaml").read_text()
