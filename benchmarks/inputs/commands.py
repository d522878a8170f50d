"""Commands: in another order, under other names, of other projects."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.inputs.changes import TUNED
from benchmarks.inputs.place import Input, Place
from benchmarks.inputs.settings import unchanged


def said(*arguments: str) -> Callable[[Place], list[str]]:
    return lambda place: list(arguments)


def command(name: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: place.arguments(*more, command=name)


def _again_with_its_config(place: Place) -> list[str]:
    return ["fit", "--config", "runs/tiny/config.yaml", "--name", "again"]


def _ask(place: Place, *lines: str) -> tuple[str, str]:
    return ("--data.init_args.predict", place.write("ask.jsonl", "".join(lines)))


QUESTION = '{"id": "new-1", "question": "Who lit the lamp at port1?"}\n'
NO_ANSWER = '{"id": "new-2", "question": "Who lit the rope at port2?", "golden_answers": []}\n'


INPUTS = [
    Input("`radio train`", said("train", "--config", "x.yaml"), 2, r"unknown command 'train'.*fit"),
    Input("`radio help fit`", said("help", "fit"), 0, r"usage: radio"),
    Input(
        "`radio fit --model.help CrossEncoder`",
        said("fit", "--model.help", "CrossEncoder"),
        0,
        r"max_length",
    ),
    Input(
        "help of a class that is none",
        said("fit", "--model.help", "CrossEncodr"),
        2,
        r"--model\.help: found 'CrossEncodr', .*did you mean 'CrossEncoder'",
    ),
    Input("`radio fit` and nothing else", said("fit"), 2, r"--config"),
    Input(
        "a dash of a word processor: `—name x`",
        command("fit", "—name", "x"),
        2,
        r"'—name', which belongs to no option; .*did you mean --name",
    ),
    Input(
        "two config files after one --config",
        lambda p: ["fit", "--config", p.write("a.yaml", "name: a"), p.write("b.yaml", "name: b")],
        2,
        r"b\.yaml",
    ),
    Input(
        "test before anything was trained",
        command("test"),
        0,
        r"weights: of that model as it is",
        holds=unchanged,
    ),
    Input(
        "predict without questions to predict",
        command("predict", "--data.init_args.test", "null"),
        2,
        r"found no questions of the split predict",
    ),
    Input(
        "predict with questions without answers",
        lambda p: p.arguments(*_ask(p, QUESTION, NO_ANSWER), command="predict"),
        0,
        r"reranked 2 questions",
        trained=True,
        holds=lambda p: p.has("runs/tiny/predict.trec"),
    ),
    Input(
        "predict with an export that is not there",
        command("predict", "--model.init_args.model", "runs/mine/export"),
        2,
        r"model 'runs/mine/export': no such folder",
    ),
    Input(
        "a finished run resumed, with nothing left to do",
        command("fit", "--ckpt_path", "last"),
        0,
        r"nothing was left to train",
        trained=True,
    ),
    Input("the same fit twice", command("fit"), 2, r"runs/tiny already holds a run", trained=True),
    Input(
        "a saved config run again under another name",
        _again_with_its_config,
        0,
        TUNED,
        trained=True,
        holds=lambda p: p.has("runs/again/export", "runs/tiny/export"),
    ),
    Input(
        "an exported model as checkpoint",
        command("test", "--ckpt_path", "runs/tiny/export/model.safetensors"),
        2,
        r"model\.safetensors.*checkpoint",
        trained=True,
    ),
    Input(
        "fit without validation questions",
        command("fit", "--data.init_args.validation", "null"),
        0,
        r"monitor 'validation/nDCG@5' is never computed: found no validation questions",
    ),
    Input(
        "fit without training questions",
        command("fit", "--data.init_args.train", "null"),
        2,
        r"there are no training questions",
    ),
    Input(
        "test without test questions",
        command("test", "--data.init_args.test", "null"),
        2,
        r"found no questions of the split test",
    ),
    Input(
        "fit without test questions",
        command("fit", "--data.init_args.test", "null"),
        0,
        r"run folder|reranker:",
    ),
    Input(
        "rationales report of a split that is none",
        lambda p: ["rationales", "report", *p.arguments("--split", "dev")[1:]],
        2,
        r"split.*dev",
    ),
    Input("`radio cache info` where nothing is cached", said("cache", "info"), None, r"(?i)cache"),
    Input(
        "`radio cache import` of a file that is no cache",
        lambda p: ["cache", "import", p.write("x.jsonl", "hello\n")],
        2,
        r"x\.jsonl",
    ),
]
