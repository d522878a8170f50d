"""Run folders as evaluations leave them, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from radio.evaluation.results import Results
from radio.schema import Question

Numbers = Mapping[str, Mapping[str, Sequence[float | None] | NDArray[np.float64]]]
"""System -> measure -> value of each question, None where it has none."""


def questions(count: int, first: int = 0) -> list[Question]:
    return [
        Question(f"q{number}", f"Who lit lamp {number}?", (f"keeper {number}",))
        for number in range(first, first + count)
    ]


def write_run(
    folder: Path,
    numbers: Numbers,
    *,
    split: str = "test",
    asked: Sequence[Question] | None = None,
    config: Mapping[str, Any] | None = None,
    generators: Sequence[Mapping[str, Any]] = (),
    left_out: Mapping[str, int] | None = None,
) -> Path:
    """A run folder with these numbers; ``config`` is merged into one with a seed of 0."""
    columns = [column for measures in numbers.values() for column in measures.values()]
    asked = questions(len(columns[0])) if asked is None else asked
    results = Results()
    results.describe(split, asked)
    for system, measures in numbers.items():
        for place, question in enumerate(asked):
            values = {}
            for measure, column in measures.items():
                if (value := column[place]) is not None:
                    values[measure] = float(value)
            if values:
                results.add(split, system, question.id, values, passage_ids=["p1", "p0"])
    results.note(split, generators=list(generators), left_out=dict(left_out or {}))
    results.write(folder)
    whole = {"seed_everything": 0, "name": folder.name, **(config or {})}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    mark = {"command": "fit", "radio": "0.1.0", "finished": True}
    (folder / ".radio").write_text(json.dumps(mark), encoding="utf-8")
    return folder


def reader(fingerprint: str = "one", name: str | None = None) -> dict[str, Any]:
    """What ``metrics.json`` notes of a generator."""
    return {"name": name, "class": "SpanReader", "settings": {}, "fingerprint": fingerprint}


def as_version_0(folder: Path, *, with_generator: bool = True) -> None:
    """Make a run folder one from before versions were written: question and answers stood beside
    what a generator had read."""
    document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    del document["version"]
    (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    lines = []
    for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        facts = {key: row.pop(key) for key in ("question", "golden_answers")}
        for part in row.values():
            if isinstance(part, dict) and with_generator:
                part.update(facts)
        lines.append(json.dumps(row) + "\n")
    (folder / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")


def seeded(
    folder: Path, *, questions: int = 40, name: str = "ours", gain: float = 0.3
) -> list[Path]:
    """Three runs of one config with other seeds, and the same retriever and base."""
    rng = np.random.default_rng(0)
    before = (rng.random(questions) < 0.4).astype(float)
    order = rng.random(questions)
    folders = []
    for seed in (1, 2, 3):
        better = np.maximum(before, rng.random(questions) < gain)
        folders.append(
            write_run(
                folder / f"{name}-{seed}",
                {
                    "retriever": {"em@1": (order * before).round(), "nDCG@5": order / 2},
                    "base": {"em@1": before, "nDCG@5": order},
                    "tuned": {"em@1": better, "nDCG@5": np.minimum(1, order + gain / 3)},
                },
                config={"seed_everything": seed, "model": name},
                generators=[reader()],
            )
        )
    return folders
