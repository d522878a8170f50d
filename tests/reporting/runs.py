"""Run folders with orders, replies and lessons, as evaluations leave them, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from radio.comparing.choosing import Comparison, compare_runs
from radio.evaluation.results import Results
from radio.schema import Question
from tests.conftest import write_jsonl

GENERATOR = {
    "name": None,
    "class": "SpanReader",
    "settings": {"model": "models/reader"},
    "fingerprint": "0123456789abcdef0123",
    "top_k": [1, 3],
    "total": {"prompts": 12, "failed": 0, "cached": 3, "prompt_tokens": 1234, "seconds": 7.0},
}

PASSAGES = 6
"""Candidates of each question."""


def asked(number: int, text: str = "Who lit lamp {number}?") -> Question:
    """A question whose third candidate is annotated."""
    gold = {"gold_ids": [f"p{number}-2"]}
    return Question(f"q{number}", text.format(number=number), (f"keeper {number}",), (), gold)


def told_run(
    folder: Path,
    count: int = 8,
    *,
    questions: Sequence[Question] | None = None,
    won: Sequence[int] = (0, 1, 2),
    lost: Sequence[int] = (3,),
    reply: str = "It was {answer}.",
    rationale: str = "Keeper {number} had the matches.",
    config: Mapping[str, Any] | None = None,
    generators: Sequence[Mapping[str, Any]] = (GENERATOR,),
    breakdown: Mapping[str, Any] | None = None,
    more: Mapping[str, Mapping[str, Sequence[float] | NDArray[np.float64]]] | None = None,
) -> Path:
    """A run folder: the base is wrong where a question is won, the tuned one where it is lost, and
    the order is turned round by the training.

    ``more`` has further measures by system, a value for each question; a system that has nothing
    else keeps the order of the base and is always wrong.
    """
    more = more or {}
    questions = [asked(number) for number in range(count)] if questions is None else questions
    results = Results()
    results.describe("test", questions)
    for number, question in enumerate(questions):
        ids = [f"p{number}-{place}" for place in range(PASSAGES)]
        right = {"base": number not in won, "tuned": number not in lost}
        for system in dict.fromkeys(("base", "tuned", *more)):
            order = ids[::-1] if system == "tuned" else ids
            is_right = right.get(system, False)
            answer = question.golden_answers[0] if is_right else f"nobody {number}"
            numbers: dict[str, float] = {"nDCG@5": 1 / (1 + order.index(ids[2]))}
            for name, column in more.get(system, {}).items():
                numbers[name] = float(column[number])
            facts = {}
            for depth in (1, 3):
                numbers[f"em@{depth}"] = float(is_right)
                numbers[f"answer_in_context@{depth}"] = float(ids[2] in order[:depth])
                facts[f"answer@{depth}"] = answer
                facts[f"reply@{depth}"] = reply.format(answer=answer)
            scores = [float(PASSAGES - place) for place in range(PASSAGES)]
            results.add("test", system, question.id, numbers, passage_ids=order, scores=scores)
            results.add("test", system, question.id, {}, **facts)
    taught = {question.id: {f"p{n}-2": 0.875} for n, question in enumerate(questions)}
    texts = {question.id: rationale.format(number=n) for n, question in enumerate(questions)}
    results.describe_lessons("test", taught, texts)
    results.note("test", generators=list(generators), precision="32-true")
    if breakdown:
        results.note("test", breakdown=dict(breakdown))
    results.write(folder)
    whole = {"seed_everything": 0, "name": folder.name, **(config or {})}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    mark = {"command": "fit", "radio": "0.1.0", "run": "ab12", "finished": True}
    (folder / ".radio").write_text(json.dumps(mark), encoding="utf-8")
    return folder


def corpus(path: Path, count: int = 8, text: str = "Of lamp {n}, part {p}.") -> Path:
    """The passages of such runs; the third one of each question holds its answer."""
    rows = []
    for n in range(count):
        for p in range(PASSAGES):
            held = f" It was lit by keeper {n}. Then it burnt." if p == 2 else ""
            contents = f"Lamp {n}/{p}\n{text.format(n=n, p=p)}{held}"
            rows.append({"id": f"p{n}-{p}", "contents": contents})
    write_jsonl(path, rows)
    return path


def config_of(path: Path, **settings: Any) -> dict[str, Any]:
    """A config as ``radio fit`` keeps it, with its corpus at a path."""
    teacher = {
        "class_path": "radio.teachers.Gated",
        "init_args": {"teacher": {"class_path": "radio.teachers.RationaleSimilarity"}},
    }
    return {
        "trainer": {"max_epochs": 2},
        "model": {
            "class_path": "radio.rerankers.CrossEncoder",
            "init_args": {"model": "tiny", "loss": {"class_path": "radio.losses.KLDivergence"}},
        },
        "data": {
            "class_path": "data_modules.JsonlDataModule",
            "init_args": {"corpus": str(path), "teacher": teacher, "eval_candidates": 6},
        },
        **settings,
    }


def compared(*folders: Path, **options: Any) -> Comparison:
    return compare_runs(folders, draws=200, **options)
