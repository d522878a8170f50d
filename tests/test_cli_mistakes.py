"""Mistakes in files and options: one clear message and exit status 2."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import read_jsonl, write_jsonl

Radio = Callable[..., tuple[int, str, str]]


def break_line(name: str, line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        lines = path.read_text().splitlines()
        lines[1] = line
        path.write_text("\n".join(lines) + "\n")

    return change


def same_question(folder: Path) -> None:
    first = read_jsonl(folder / "train.jsonl")[0]
    rows = read_jsonl(folder / "test.jsonl")
    write_jsonl(
        folder / "test.jsonl",
        [*rows, {**first, "id": "copy", "question": first["question"].upper()}],
    )


def strange_candidates(folder: Path) -> None:
    rows = [
        q
        for split in ("train", "validation", "test")
        for q in read_jsonl(folder / f"{split}.jsonl")
    ]
    write_jsonl(
        folder / "run.jsonl",
        [{"id": q["id"], "candidate_ids": ["port0-0", "nowhere"]} for q in rows],
    )


MISTAKES: dict[str, tuple[Callable[[Path], object], list[str], list[str]]] = {
    "missing file": (lambda f: (f / "train.jsonl").unlink(), [], ["train.jsonl", "no such file"]),
    "broken JSON": (
        break_line("train.jsonl", '{"id": "a", '),
        [],
        ["train.jsonl:2", "not valid JSON"],
    ),
    "missing field": (
        break_line("train.jsonl", '{"id": "a", "golden_answers": ["b"]}'),
        [],
        ["train.jsonl:2", "'question' is missing", "'golden_answers'"],
    ),
    "wrong type": (
        break_line("train.jsonl", '{"id": "a", "question": "b?", "golden_answers": "c"}'),
        [],
        ["train.jsonl:2", "'golden_answers'", "found a string", "expected a list"],
    ),
    "empty answers": (
        break_line("validation.jsonl", '{"id": "a", "question": "b?", "golden_answers": []}'),
        [],
        ["validation.jsonl:2", "'golden_answers'", "empty", "'a'"],
    ),
    "duplicate id": (
        break_line("corpus.jsonl", '{"id": "port0-0", "contents": "b"}'),
        [],
        ["corpus.jsonl:2", "'port0-0' is a duplicate", "corpus.jsonl:1"],
    ),
    "empty corpus": (
        lambda f: (f / "corpus.jsonl").write_text(""),
        [],
        ["corpus.jsonl", "corpus is empty"],
    ),
    "absent candidate": (
        strange_candidates,
        [
            "--data.init_args.retriever",
            "Precomputed",
            "--data.init_args.retriever.init_args.paths",
            "world/run.jsonl",
        ],
        ["'nowhere' is not in the corpus", "q-0-0"],
    ),
    "same question in two splits": (same_question, [], ["q-0-0", "copy", "two splits"]),
    "missing rationale": (
        lambda f: write_jsonl(f / "rationales.jsonl", read_jsonl(f / "rationales.jsonl")[1:]),
        ["--data.init_args.missing_rationales", "error"],
        ["rationale missing for 1 of", "q-0-0", "add their rows to", "rationales.jsonl first"],
    ),
    "unknown class": (
        lambda f: None,
        ["--model.init_args.loss", "InfoNCEE"],
        ["'InfoNCEE'", "InfoNCE", "loss"],
    ),
    "unknown model class": (
        lambda f: None,
        ["--model", "CrosEncoder"],
        ["'CrosEncoder'", "CrossEncoder"],
    ),
    "unknown option": (
        lambda f: None,
        ["--model.init_args.lrr", "1"],
        ["--model.init_args.lrr", "'lr'"],
    ),
    "unknown trainer option": (
        lambda f: None,
        ["--trainer.max_epocs", "1"],
        ["--trainer.max_epocs", "max_epochs"],
    ),
    "wrong option type": (lambda f: None, ["--trainer.max_epochs", "many"], ["max_epochs", "many"]),
    "missing config": (lambda f: None, ["--config", "nowhere.yaml"], ["nowhere.yaml"]),
    "missing model": (
        lambda f: None,
        ["--model.init_args.model", "./nowhere"],
        ["./nowhere", "no such folder"],
    ),
    "bad value": (
        lambda f: None,
        ["--model.init_args.loss.init_args.teacher_temperature", "0"],
        ["ListNet", "0.0", "above 0"],
    ),
    "bad metric": (
        lambda f: None,
        [
            "--trainer.callbacks+",
            "RankEvaluation",
            "--trainer.callbacks.init_args.metrics",
            "[ndgc@5]",
        ],
        ["ndgc@5", "did you mean 'nDCG@5'?"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_one_clear_message_and_exit_status_2(
    name: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    change, extra, expected = MISTAKES[name]
    change(tmp_path / "world")
    status, _, err = radio("fit", *tiny_run, *extra)
    message = err[err.rindex("radio: error:") :]
    assert status == 2
    assert "Traceback" not in err
    for part in expected:
        assert part in message, message
    assert len(message.splitlines()) <= 8, message
    assert re.search(r"^radio: error: ", message)


def test_an_unknown_key_in_a_config_file_names_file_and_key(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text("model:\n  init_args:\n    learning_rate: 1\n")
    status, _, err = radio("fit", *tiny_run, "--config", "wrong.yaml")
    assert status == 2
    assert "learning_rate" in err
    assert "Traceback" not in err
