"""What a user mistypes: each is one line that names the place, what was found, and what was
expected or meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radio.config.mistakes import explain
from tests.conftest import ROOT

Radio = Callable[..., tuple[int, str, str]]
QUICKSTART = ("--config", str(ROOT / "configs/quickstart.yaml"))

OPTIONS: dict[str, list[str]] = {
    "--model.init_args.lr abc": ["--model.init_args.lr: found 'abc', expected float"],
    "--model.init_args.learning_rate 1": [
        "unknown option 'learning_rate' of BiEncoder",
        "did you mean 'lr'?",
    ],
    "--model.lrr 1": ["--model.lrr: unknown option 'lrr'", "did you mean 'lr'?"],
    "--model.init_args.batch_size 8": ["did you mean --data.init_args.batch_size?"],
    "--trainer.lr 8": ["--trainer.lr: unknown option", "did you mean --model.init_args.lr?"],
    "--trainer.epochs 8": ["did you mean 'max_epochs'?"],
    "--data.init_args.temperature 8": [
        "did you mean --model.init_args.loss.init_args.temperature?"
    ],
    "--trainer.seed 8": ["did you mean --seed_everything?"],
    "--data.init_args.batchsize 8": ["of QuickstartDataModule", "did you mean 'batch_size'"],
    "--model.init_args.loss.init_args.temprature 8": ["of ListNet", "did you mean 'temperature'"],
    "--model.init_args.lora.q 8": [
        "unknown option 'q' of LoRA, expected one of alpha, dropout, r, targets"
    ],
    "--model.init_args.lora 8": [
        "found '8', expected its settings (r, alpha, dropout, targets) or null"
    ],
    "--model.init_args.lora.r x": ["--model.init_args.lora.r: found 'x', expected int"],
    "--model.init_args.train_side left": ["found 'left', expected one of 'both', 'question'"],
    "--model.init_args.loss.init_args.temperature null": ["found null, expected float"],
    "--model.init_args.query_prefix None": ["found 'None'; write null for nothing"],
    "--model.init_args.loss InfoNCEE": [
        "found 'InfoNCEE', expected a Loss",
        "did you mean 'InfoNCE'?",
    ],
    "--model CrosEncoder": [
        "--model: found 'CrosEncoder', expected a Reranker",
        "did you mean 'CrossEncoder'?",
    ],
    "--trainer.max_epochs many": ["--trainer.max_epochs: found 'many', expected int or null"],
    "--trainer.max_epochs 1.5": ["--trainer.max_epochs: found '1.5', expected int or null"],
    "--trainer.precision fp8": [
        "--trainer.precision: found 'fp8', expected one of",
        "'bf16-mixed'",
    ],
    "--trainer.callbacks+ CollapseGuard --trainer.callbacks.patiense 1": [
        "--trainer.callbacks.patiense: unknown option 'patiense' of CollapseGuard",
        "did you mean 'patience'?",
    ],
    "--trainer.callbacks+ EarlyStopping": [
        "EarlyStopping also needs --trainer.callbacks.init_args.monitor"
    ],
    "--trainer.logger Wandb": ["expected a Logger", "WandbLogger"],
    "--trainer foo": ["--trainer: found 'foo', expected keys below it"],
    "--data.init_args.rationales Recorded": [
        "Recorded also needs --data.init_args.rationales.init_args.paths"
    ],
    "--data.init_args.max_questions 5": ["found '5', expected dict[str, int] or null"],
    "--data.init_args.rationale_splits train": ["found 'train', expected a list"],
    "--data.init_args.missing_rationales perhaps": [
        "found 'perhaps', expected one of 'error', 'drop'"
    ],
    "--data.init_args.teacher.init_args.encoder.init_args.model x": [
        "unknown option 'encoder' of Blend"
    ],
    "--data.init_args.teacher.init_args.retrieval AnswerMatch": [
        "unknown option 'retrieval' of Blend, expected teachers, a list of any number: teachers: ["
    ],
    "--data.init_args.teacher.init_args.weight 0.5": [
        "unknown option 'weight' of Blend; did you mean 'weights'?"
    ],
    "--overwrite maybe": ["--overwrite: found 'maybe', expected bool"],
    "--seed_everything abc": ["--seed_everything: found 'abc', expected bool or int"],
    "--name": ["option --name: found no value"],
    "--print_config=everything": [
        "--print_config: found everything, expected skip_default or skip_null"
    ],
    "more.yaml": ["did you mean --config more.yaml?"],
}


def one_message(err: str) -> str:
    assert "Traceback" not in err
    message = err[err.index("radio: error:") :]
    assert len(message.splitlines()) == 1, message
    return message


@pytest.mark.parametrize("options", OPTIONS)
def test_a_mistyped_option_is_one_line(options: str, radio: Radio) -> None:
    status, _, err = radio("fit", *QUICKSTART, "--print_config", *options.split())
    assert status == 2
    for part in OPTIONS[options]:
        assert part in one_message(err)


KEYS: dict[str, tuple[str, list[str]]] = {
    "top": ("modle:\n  init_args:\n    lr: 1\n", ["key 'modle'", "did you mean 'model'?"]),
    "init_args": (
        "model:\n  init_arg:\n    lr: 1\n",
        ["key 'model.init_arg'", "did you mean 'init_args'?"],
    ),
    "class": (
        "model:\n  class_pth: BiEncoder\n",
        ["key 'model.class_pth'", "did you mean 'class_path'?"],
    ),
    "argument": (
        "model:\n  init_args:\n    learning_rate: 1\n",
        ["key 'model.init_args.learning_rate'", "'lr'"],
    ),
    "trainer": ("trainer:\n  max_epoch: 1\n", ["key 'trainer.max_epoch'", "'max_epochs'"]),
    "nested": (
        "model:\n  init_args:\n    loss:\n      class_path: InfoNCE\n      init_args: {temprature: "
        "1}\n",
        [
            "key 'model.init_args.loss.init_args.temprature'",
            "of InfoNCE",
            "did you mean 'temperature'?",
        ],
    ),
    "dotted": (
        '{"model.init_args.los": "InfoNCE"}',
        ["key 'model.init_args.los'", "did you mean 'loss'"],
    ),
    "list": (
        "trainer:\n  callbacks:\n    - class_path: RankEvaluation\n      init_args: {metric: "
        "[RR@10]}\n",
        ["key 'trainer.callbacks.0.init_args.metric'", "of RankEvaluation", "'metrics'"],
    ),
    "value": (
        "model:\n  init_args:\n    lr: fast\n",
        ["key 'model.init_args.lr'", "found 'fast', expected float"],
    ),
    "unknown class": (
        "data:\n  class_path: Jsonl\n",
        ["key 'data'", "found 'Jsonl'", "JsonlDataModule"],
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_mistyped_key_of_a_config_file_names_file_and_key(
    name: str, radio: Radio, tmp_path: Path
) -> None:
    text, parts = KEYS[name]
    (tmp_path / "wrong.yaml").write_text(text)
    status, _, err = radio("fit", *QUICKSTART, "--print_config", "--config", "wrong.yaml")
    assert status == 2
    for part in ["wrong.yaml", *parts]:
        assert part in one_message(err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "--model and --data missing"),
        (["fit", "--model", "BiEncoder"], "--data missing"),
        (
            ["rationales", "report", *QUICKSTART, "--split", "tset"],
            "--split: found 'tset', expected one of 'train'",
        ),
        (["predict", *QUICKSTART, "--verbose", "true"], "unknown option 'verbose'"),
    ],
)
def test_commands_say_what_they_lack(arguments: list[str], message: str, radio: Radio) -> None:
    status, _, err = radio(*arguments)
    assert status == 2
    assert message in one_message(err)


def test_debug_shows_the_traceback_of_a_mistake(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RADIO_DEBUG", raising=False)
    monkeypatch.setattr("os.environ", dict(__import__("os").environ))
    status, _, err = radio("fit", *QUICKSTART, "--trainer.lr", "1", "--debug")
    assert status == 2
    assert "Traceback" in err
    assert err.rstrip().splitlines()[-1].startswith("radio: error: --trainer.lr")


def test_ctrl_c_while_training_ends_with_130_and_the_way_on(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stopping.py").write_text(
        "from lightning import Callback\n\n\nclass CtrlC(Callback):\n"
        "    def on_train_batch_start(self, *arguments):\n        raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, err = radio("fit", *tiny_run, "--trainer.callbacks+", "stopping.CtrlC")
    assert status == 130
    assert "Traceback" not in err
    assert err.rstrip().splitlines()[-1].startswith("radio: interrupted; ")


def test_a_crash_in_a_users_loss_is_shown_with_its_line(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "buggy.py").write_text(
        "from radio.losses import Loss\n\n\nclass Bug(Loss):\n"
        "    def __call__(self, scores, targets, mask):\n        return {}['absent']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, err = radio("fit", *tiny_run, "--model.init_args.loss", "buggy.Bug")
    assert status == 1
    assert "Traceback" in err
    last = err.rstrip().splitlines()[-1]
    assert last.startswith("radio: crashed")
    assert "KeyError: 'absent' (in __call__, " in last
    assert "buggy.py:6" in last


def test_the_value_of_a_secret_is_not_told() -> None:
    message = "Parser key \"api_key\":\n  Expected a <class 'int'>. Got value: hush-hush"
    for tree in (None, {"data": {"api_key": "hush-hush"}}):
        told = explain(message, tree=tree)
        assert "hush-hush" not in told
        assert "found '(left out)', expected int" in told
