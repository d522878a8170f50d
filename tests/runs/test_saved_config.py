"""The config that a run folder keeps."""

from __future__ import annotations

from pathlib import Path

import torch

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


def test_a_secret_of_a_config_is_in_the_saved_config_alone(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    # a writer that is asked nothing, for the teacher needs no rationales
    writer = [
        *("--data.init_args.rationales", "AnthropicWriter"),
        *("--data.init_args.rationales.init_args.model", "m"),
        *("--data.init_args.rationales.init_args.base_url", "http://me:hush-hush@localhost:9"),
        *("--data.init_args.teacher", "AnswerMatch"),
    ]
    pairs = list(zip(tiny_run[::2], tiny_run[1::2], strict=True))
    others = [pair for pair in pairs if "rationales" not in pair[0] and "teacher" not in pair[0]]
    arguments = [*(word for pair in others for word in pair), *FAST, *writer]
    status, out, err = radio("fit", *arguments)
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    assert "hush-hush" not in out + err
    said = "config.yaml holds what may be a secret (data.init_args.rationales.init_args.base_url)"
    assert said in out
    # another command has to take it as it is
    assert [name for name, content in contents(run).items() if b"hush-hush" in content] == [
        "config.yaml"
    ]

    # a checkpoint of an older version
    last = run / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    settings = content["radio"]["config"]["data"]["init_args"]["rationales"]["init_args"]
    assert settings["base_url"] == "http://(left out)@localhost:9"
    settings["base_url"] = "http://me:hush-hush@localhost:9"
    torch.save(content, last)
    status, out, err = radio("validate", *arguments, "--ckpt_path", "last")
    assert status == 0, err
    assert "differs from the checkpoint" not in out
    arguments += ["--data.init_args.rationales.init_args.base_url", "http://other:pw-2@host:9"]
    status, out, err = radio("fit", *arguments, "--ckpt_path", "last")
    assert status == 0, err
    assert "http://(left out)@localhost:9 in the checkpoint, http://(left out)@host:9 in" in out
    assert "hush-hush" not in out + err
    assert "pw-2" not in out + err


def test_a_config_without_secrets_is_not_talked_about(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("fit", *tiny_run, *FAST)
    assert status == 0, err
    assert "secret" not in out + err
