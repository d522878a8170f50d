"""Settings: contradictory, extreme, misspelt, of the wrong type, in the wrong place; and numbers at
the edge."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from benchmarks.inputs.changes import TUNED, Row
from benchmarks.inputs.place import Input, Place, write_jsonl


def fit(*more: str) -> Callable[[Place], list[str]]:
    return lambda place: place.arguments(*more)


def config(text: str, *more: str) -> Callable[[Place], list[str]]:
    """A second config file with this content."""
    return lambda place: place.arguments("--config", place.write("mine.yaml", text), *more)


def keep(name: str, number: int, *more: str) -> Callable[[Place], list[str]]:
    """Only the first rows of a file of the world."""

    def make(place: Place) -> list[str]:
        write_jsonl(place.folder / f"world/{name}.jsonl", place.rows(name)[:number])
        return place.arguments(*more)

    return make


def all_alike(place: Place) -> list[str]:
    def same(_: int, row: Row) -> Row:
        return {**row, "contents": "About ports\nThe lamp was lit because of the fog by captain0."}

    place.change("corpus", same)
    return place.arguments()


def saved(key: str) -> Callable[[Place], object]:
    """A value of the config that a run has saved, by its path of keys."""

    def value(place: Place) -> object:
        found = yaml.safe_load((place.folder / "runs/tiny/config.yaml").read_text(encoding="utf-8"))
        for part in key.split("."):
            found = found[part]
        return found

    return value


def equal(key: str, expected: object) -> Callable[[Place], bool]:
    return lambda place: saved(key)(place) == expected


def unchanged(place: Place) -> bool:
    """Whether the table has no difference between base and tuned."""
    metrics = place.metrics()
    return bool(metrics["base"]) and metrics["base"] == metrics["tuned"]


HUGGING_FACE = """
output_dir: out
per_device_train_batch_size: 8
learning_rate: 2.0e-5
num_train_epochs: 3
"""

INPUTS = [
    Input("`--trainer.epochs 3`", fit("--trainer.epochs", "3"), 2, r"epochs.*max_epochs"),
    Input("half an epoch", fit("--trainer.max_epochs", "0.5"), 2, r"max_epochs.*0\.5"),
    Input(
        "`--data.batch_size`, without init_args",
        fit("--data.batch_size", "7"),
        0,
        TUNED,
        holds=lambda p: equal("data.init_args.batch_size", 7)(p),
    ),
    Input(
        "batch_size among the model's settings",
        fit("--model.init_args.batch_size", "8"),
        2,
        r"model\.init_args\.batch_size.*data\.init_args\.batch_size",
    ),
    Input(
        "a loss in other letters: infonce",
        fit("--model.init_args.loss", "infonce"),
        2,
        r"infonce.*InfoNCE",
    ),
    Input(
        "a loss with its arguments as in Python",
        fit("--model.init_args.loss", "InfoNCE(temperature=0.5)"),
        2,
        r"InfoNCE\(temperature=0\.5\)",
    ),
    Input(
        "a seed that is a word", fit("--seed_everything", "random"), 2, r"seed_everything.*random"
    ),
    Input(
        "a seed below 0",
        fit("--seed_everything", "-1"),
        2,
        r"the run: seed_everything: found -1, expected",
    ),
    Input(
        "`--overwrite` without a value",
        fit("--overwrite"),
        2,
        r"option --overwrite: found no value",
    ),
    Input(
        "a name with blanks and umlauts",
        fit("--name", "Läufe am Meer"),
        0,
        TUNED,
        holds=lambda p: p.has("runs/Läufe am Meer/export/model.safetensors"),
    ),
    Input(
        "YAML indented with tabs",
        config("model:\n\tinit_args:\n\t\tlr: 1.0e-5\n"),
        2,
        r"mine\.yaml.*(tab|\\t)",
    ),
    Input("an empty config file", config(""), 2, r"mine\.yaml: found an empty file"),
    Input("a config that is a list", config("- lr: 1\n- name: x\n"), 2, r"mine\.yaml.*list"),
    Input(
        "a config of Hugging Face's trainer",
        config(HUGGING_FACE),
        2,
        r"mine\.yaml.*(output_dir|per_device)",
    ),
    Input(
        "two configs that contradict each other",
        lambda p: p.arguments(
            "--config",
            p.write("a.yaml", "model: {init_args: {lr: 0.001}}"),
            "--config",
            p.write("b.yaml", "model: {init_args: {lr: 0.002}}"),
        ),
        0,
        TUNED,
        holds=equal("model.init_args.lr", 0.002),
    ),
    Input(
        "`lr: 1e-5` in YAML, which reads it as text",
        config("model: {init_args: {lr: 1e-5}}"),
        0,
        TUNED,
        holds=equal("model.init_args.lr", 1e-5),
    ),
    Input(
        "one number for max_questions",
        fit("--data.init_args.max_questions", "5"),
        2,
        r"max_questions.*5",
    ),
    Input(
        "a monitor of another project, val_loss",
        fit("--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val_loss"),
        2,
        r"val_loss.*",
    ),
    Input(
        "rationale files as a pattern",
        fit("--data.init_args.rationales.init_args.paths", "world/*.jsonl"),
        2,
        r"world/\*\.jsonl: no such file",
    ),
    Input(
        "a variable of the shell in YAML",
        config(
            "data: {init_args: {corpus: $DATA/corpus.jsonl}}",
            "--data.init_args.corpus",
            "$DATA/corpus.jsonl",
        ),
        2,
        r"\$DATA/corpus\.jsonl: no such file",
    ),
    Input(
        "callbacks as one mapping",
        config("trainer: {callbacks: {class_path: RankEvaluation}}"),
        0,
        TUNED,
    ),
    Input(
        "training questions in two files",
        fit("--data.init_args.train", '["world/train.jsonl", "b.jsonl"]'),
        2,
        r"data\.init_args\.train: found the list",
    ),
    Input(
        "a run that may take one second",
        fit("--trainer.max_epochs", "1000", "--trainer.max_time", "00:00:00:01"),
        0,
        TUNED,
    ),
    Input(
        "WeightedSum of nothing",
        fit(
            "--model.init_args.loss", "WeightedSum", "--model.init_args.loss.init_args.losses", "[]"
        ),
        2,
        r"losses: found '\[\]'",
    ),
    Input("a learning rate of 0", fit("--model.init_args.lr", "0"), 0, TUNED, holds=unchanged),
    Input("one training question", keep("train", 1), 0, TUNED),
    Input("one validation question", keep("validation", 1), 0, TUNED),
    Input(
        "a corpus of one passage", keep("corpus", 1), 2, r"nothing to train on \(found 12 questions"
    ),
    Input(
        "a batch of a million questions", fit("--data.init_args.batch_size", "1000000"), 0, TUNED
    ),
    Input(
        "more candidates than the corpus has",
        fit("--data.init_args.train_candidates", "500", "--data.init_args.eval_candidates", "500"),
        0,
        TUNED,
    ),
    Input(
        "one candidate to rerank",
        fit("--data.init_args.eval_candidates", "1"),
        0,
        TUNED,
        holds=unchanged,
    ),
    Input(
        "all passages alike, so that teacher and retriever see only ties",
        all_alike,
        0,
        r"the teacher scores all candidates alike for 12 of 12 questions",
    ),
    Input(
        "the generator reads more passages than there are",
        config("""
trainer:
  callbacks:
  - class_path: RankEvaluation
  - {class_path: GeneratorInTheLoop, init_args: {top_k: 1000}}
"""),
        0,
        r"top_k 1000 is more than the 6 candidates",
    ),
    Input(
        "the published sampler on eight candidates",
        fit("--data.init_args.sampler", "Shift"),
        0,
        TUNED,
    ),
]
