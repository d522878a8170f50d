"""Runs to be diagnosed: real data, orders that are made up, and what a real generator answered to
them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from radio.config.reopening import parts_of
from radio.evaluation.reading import read
from radio.evaluation.results import Results
from radio.evaluation.systems import as_scores
from radio.generators import ask
from radio.schema import Example
from tests.conftest import write_jsonl

COUNT = 12
"""Questions of such a run."""

READER = {"class_path": "GeneratorInTheLoop", "init_args": {"top_k": 2}}

TOWNS = "Ambra Belin Corvo Dalem Estor Fjord Galdo Harun Isola Jorva Kelso Lunde".split()


def question(number: int, answer: str | None = None) -> dict[str, Any]:
    """Of more than 13 tokens, of which no other question has eight in a row."""
    town = TOWNS[number]
    text = (
        f"Who of {town} lit lamp {number} at {town} quay when storm {number} broke the {town} wall "
        f"in year {1800 + number}?"
    )
    return {"id": f"q{number}", "question": text, "golden_answers": [answer or f"Keeper {town}"]}


def questions() -> list[dict[str, Any]]:
    return [question(number) for number in range(COUNT)]


def passages() -> list[dict[str, str]]:
    """Five of each question; the second one holds its answer."""
    rows = []
    for number, town in enumerate(TOWNS):
        for place in range(5):
            told = f"The {town} quay has lamp {place}, which burns oil."
            if place == 1:
                told = f"In the storm lamp {number} was lit by Keeper {town}."
            rows.append({"id": f"p{number}-{place}", "contents": f"{town} {place}\n{told}"})
    return rows


def taught(count: int = 8) -> list[dict[str, Any]]:
    """Training questions that have nothing in common with the others."""
    found = []
    for number in range(count):
        text = f"How many gulls were counted near rock {number} by crew {number} one spring?"
        found.append({"id": f"t{number}", "question": text, "golden_answers": [f"{number} gulls"]})
    return found


def orders() -> dict[str, dict[str, list[str]]]:
    """The training has put the passage with the answer on top."""
    found: dict[str, dict[str, list[str]]] = {"retriever": {}, "base": {}, "tuned": {}}
    for number in range(COUNT):
        ids = [f"p{number}-{place}" for place in range(5)]
        other = f"p{(number + 1) % COUNT}-0"
        found["retriever"][f"q{number}"] = [ids[3], ids[2], other, ids[1], ids[0], ids[4]]
        found["base"][f"q{number}"] = [ids[0], ids[2], ids[1], other, ids[3], ids[4]]
        found["tuned"][f"q{number}"] = [ids[1], ids[0], ids[2], other, ids[3], ids[4]]
    return found


def made_run(
    folder: Path,
    *,
    test: Sequence[Mapping[str, Any]] | None = None,
    train: Sequence[Mapping[str, Any]] | None = None,
    corpus: Sequence[Mapping[str, Any]] | None = None,
    rationales: Sequence[Mapping[str, Any]] | None = None,
    callbacks: Sequence[Mapping[str, Any]] = (READER,),
    evaluated: bool = True,
    **settings: Any,
) -> Path:
    """A run folder with its data beside it.

    Args:
        folder: of the run; the data lie in ``data`` above it.
        test: questions.
        train: questions.
        corpus: passages.
        rationales: of training questions; they are put into the cache.
        callbacks: of the config.
        evaluated: whether the generators have read the orders, as in an evaluation.
        settings: further ones of the data module.
    """
    data = folder.parent / "data"
    data.mkdir(parents=True, exist_ok=True)
    rows = {"test": test or questions(), "train": taught() if train is None else train}
    files = {"corpus": str(write_jsonl(data / "corpus.jsonl", list(corpus or passages())))}
    for name, content in rows.items():
        if content:
            files[name] = str(write_jsonl(data / f"{name}.jsonl", list(content)))
    teacher: dict[str, Any] = {"class_path": "RetrievalScore"}
    if rationales is not None:
        path = write_jsonl(data / "rationales.jsonl", list(rationales))
        settings["rationales"] = {"class_path": "Recorded", "init_args": {"paths": [str(path)]}}
        teacher = {"class_path": "Cited"}
    init = {"retriever": {"class_path": "BM25"}, "teacher": teacher, **files, **settings}
    init.setdefault("cache_dir", str(folder.parent / "cache"))
    config = {
        "seed_everything": 0,
        "trainer": {"callbacks": [{"class_path": "RankEvaluation"}, *callbacks]},
        "data": {"class_path": "JsonlDataModule", "init_args": init},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    mark = {"command": "fit", "radio": "0.1.0", "run": "ab12", "finished": True}
    (folder / ".radio").write_text(json.dumps(mark), encoding="utf-8")
    _evaluate(folder, read_too=evaluated)
    return folder


def _evaluate(folder: Path, *, read_too: bool) -> None:
    """Write the results, and prepare the training questions."""
    datamodule, callbacks = parts_of(folder / "config.yaml")
    if datamodule.rationales is not None:
        datamodule.preparation.find_candidates("train")
        datamodule.preparation.write_rationales(["train"])
    asked = {found.id: found for found in datamodule.split_questions("test")}
    results = Results()
    results.describe("test", asked.values())
    known = {
        system: {name: order for name, order in of_system.items() if name in asked}
        for system, of_system in orders().items()
    }
    for system, of_system in known.items():
        for name, order in of_system.items():
            right = f"p{name[1:]}-1"
            numbers = {"nDCG@5": 1 / (1 + order.index(right)) if right in order else 0.0}
            scores = [float(len(order) - place) for place in range(len(order))]
            results.add("test", system, name, numbers, passage_ids=order, scores=scores)
    notes = []
    for callback in callbacks if read_too else ():
        assert isinstance(callback.top_k, int)
        readings = read(
            {s: {n: as_scores(o) for n, o in found.items()} for s, found in known.items()},
            {name: Example(found, ()) for name, found in asked.items()},
            datamodule.corpus,
            [callback.top_k],
            task=datamodule.task,
            closed_book=callback.closed_book,
            ask=lambda prompts, loop=callback: ask(loop.generator, prompts, datamodule.cache),  # type: ignore[misc]
            judge=partial(callback.judge, datamodule),
        )
        prefix = f"{callback.name}_" if callback.name else ""
        for reading in readings.read:
            results.add(
                "test",
                reading.system,
                reading.prompt.question.id,
                {f"{prefix}{key}": value for key, value in reading.numbers.items()},
                **{f"{prefix}answer": reading.parsed, f"{prefix}reply": reading.answer.text},
            )
        notes.append(callback.identity())
    results.note("test", generators=notes)
    results.write(folder)
