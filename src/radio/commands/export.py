"""``radio export RUN --onnx``: an exported reranker as ONNX files, with what they cost in agreement
and give in speed."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any

from radio.models.exported import NOTE as EXPORT_NOTE
from radio.models.exported import exported
from radio.ranges import check
from radio.schema import Group, InputError, Passage, Question

BLOCK = 16
"""Questions that are ranked together, as ``radio predict`` has it."""

NOTE = "onnx.json"
"""What is said beside the files."""

TORCH = "torch"
"""The row of the reranker itself."""

TOLERANCE = 1e-3
"""By how much a score of the fp32 file may differ, beside the largest score or 1."""

Scores = list[list[float]]
"""Of the candidates of each question."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    check("radio export", {"max_questions": options.max_questions})
    if not options.onnx:
        raise InputError(
            "radio export: found no format, expected --onnx (a run writes export/, the folder of "
            "its libraries, by itself)"
        )
    # with torch, and what is built on it
    from radio.rerankers import onnx
    from radio.rerankers.opening import opened
    from radio.rerankers.saving import replaced
    from radio.runs.story import quiet

    quiet()
    onnx.check_installed()
    reranker = opened(options.folder)
    if not exported(reranker.model):
        raise InputError(
            f"radio export: found {options.folder!r}, which says no class ({EXPORT_NOTE}), "
            "expected a run folder or an exported folder"
        )
    export = Path(reranker.model)
    about = onnx.describe(reranker)
    folder = _target(options.output, export)
    source, groups = find_groups(options, export)
    with replaced(folder) as work:
        files = [onnx.write_fp32(reranker, about, work)]
        if options.int8:
            files.append(onnx.write_int8(files[0]))
        measured = measure(reranker, about, files, groups)
        _check_fp32(measured)
        note = {**onnx.as_json(about), **_origin(export), **_compared(source, groups, measured)}
        (work / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    _show(note)
    print(f"written to {folder}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="radio export",
        description="An exported reranker in another format, compared with the original on "
        "questions.",
    )
    parser.add_argument("folder", metavar="RUN", help="run folder, or an exported folder")
    parser.add_argument(
        "--onnx", action="store_true", help="write model.onnx, for ONNX Runtime without torch"
    )
    parser.add_argument(
        "--int8", action="store_true", help="write model_int8.onnx too (dynamic quantisation)"
    )
    parser.add_argument(
        "--questions",
        metavar="FILE",
        help="JSONL of questions with their candidates, as radio predict writes it (default: those "
        "that the run was evaluated on, validation first)",
    )
    parser.add_argument(
        "--max_questions", type=int, default=50, help="take so many at most (default: 50)"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", help="where to (default: onnx/ in the run folder)"
    )
    return parser


def _target(given: str | None, export: Path) -> Path:
    """The folder to write; beside the export, whose content is the identity of the model."""
    beside = "onnx" if export.name == "export" else f"{export.name}-onnx"
    folder = Path(given) if given else export.parent / beside
    if folder.exists() and not (folder / NOTE).is_file():
        raise InputError(
            f"{folder}: found a {'folder' if folder.is_dir() else 'file'} that radio export has "
            f"not made (no {NOTE}), expected a new one; give another --output"
        )
    return folder


# -- questions ------------------------------------------------------------------------------------


def find_groups(options: argparse.Namespace, export: Path) -> tuple[str, list[Group]]:
    """Where questions to compare on come from, and they with their candidates.

    Raises:
        InputError: there are none.
    """
    if options.questions:
        groups = _of_file(options.questions, options.max_questions)
        source = str(options.questions)
    else:
        source, groups = _of_run(export.parent, options.max_questions)
    if not any(group.passages for group in groups):
        raise InputError(
            f"{source}: found no question with candidates and their texts, expected some to "
            "compare scores on; give --questions FILE, as radio predict writes it (predict.jsonl)"
        )
    return source, groups


def _of_file(name: str, limit: int) -> list[Group]:
    from itertools import islice

    from radio.commands.predict_filter import lines_of

    groups = []
    for line in islice(lines_of(name), limit):
        ids = line.ids or ()
        lacking = [identifier for identifier in ids if identifier not in line.carried]
        if lacking:
            raise InputError(
                f"{line.place}: candidate {lacking[0]!r} has no 'contents', expected its text"
            )
        groups.append(_group(line.question, [line.carried[identifier] for identifier in ids]))
    return groups


def _of_run(folder: Path, limit: int) -> tuple[str, list[Group]]:
    """Questions of an evaluation of the run, with the candidates whose texts its config leads
    to."""
    from radio.comparing.reading import read_runs
    from radio.reporting.texts import find_texts

    if not (folder / "metrics.json").is_file():
        return str(folder), []
    (run,) = read_runs([folder])
    split = "validation" if "validation" in run.splits else run.splits[0]
    asked: list[tuple[Question, list[str]]] = []
    for row in run.rows(split):
        parts = [part for part in row.values() if isinstance(part, dict)]
        ids = next((part["passage_ids"] for part in parts if "passage_ids" in part), None)
        if ids and len(asked) < limit:
            question = Question(row["question_id"], row["question"])
            asked.append((question, ids))
    wanted = {identifier for _, ids in asked for identifier in ids}
    passages = find_texts(run, wanted, {}).passages
    groups = []
    for question, ids in asked:
        groups.append(_group(question, [passages[name] for name in ids if name in passages]))
    return f"{split} of {folder}", groups


def _group(question: Question, passages: Sequence[Passage]) -> Group:
    return Group(question, tuple(passages), (nan,) * len(passages))


# -- agreement and speed --------------------------------------------------------------------------


@dataclass
class Measured:
    """What one way to rank has given."""

    megabytes: float | None
    scores: Scores = field(default_factory=list)
    seconds: float = 0.0


def measure(
    reranker: Any, about: Any, files: Sequence[Path], groups: Sequence[Group]
) -> dict[str, Measured]:
    """Scores and time of the reranker itself and of each file, on the CPU, tokenising included.

    They take turns, some questions each, so that what slows the machine down meets all of them.
    """
    import torch

    from radio.rerankers.onnx import OnnxScorer
    from radio.rerankers.scoring import load, scores_of

    load(reranker, "cpu")
    collate = reranker.collator()
    ways: dict[str, Callable[[Sequence[Group]], Scores]] = {
        TORCH: lambda some: scores_of(reranker, collate, some)
    }
    measured = {TORCH: Measured(None)}
    for file in files:
        ways[file.name] = OnnxScorer(file, about, reranker.tokenizer, torch.get_num_threads())
        size = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
        measured[file.name] = Measured(round(size / 1e6, 1))
    for rank in ways.values():
        # what is set up by the first call is not counted
        rank(groups[:2])
    for start in range(0, len(groups), BLOCK):
        some = groups[start : start + BLOCK]
        for name, rank in ways.items():
            begin = time.perf_counter()
            measured[name].scores += rank(some)
            measured[name].seconds += time.perf_counter() - begin
    return measured


def agreement(reference: Scores, found: Scores) -> dict[str, float | None]:
    """How near scores are, and how like the orders.

    Returns:
        ``largest_difference`` of a score; ``tau_b``, Kendall's, mean over the questions that define
        it (None if none does); the shares of questions with the ``same_first`` candidate and the
        ``same_order`` of all.
    """
    import numpy as np

    from radio.evaluation.teachers.agreement import tau_b

    asked = [pair for pair in zip(reference, found, strict=True) if pair[0]]
    differences = [abs(a - b) for one, other in asked for a, b in zip(one, other, strict=True)]
    taus = [float(tau_b(np.array(pair))[0, 1]) for pair in asked]
    taus = [tau for tau in taus if not isnan(tau)]
    orders = [(_order(one), _order(other)) for one, other in asked]
    return {
        "largest_difference": max(differences),
        "tau_b": sum(taus) / len(taus) if taus else None,
        "same_first": sum(one[0] == other[0] for one, other in orders) / len(orders),
        "same_order": sum(one == other for one, other in orders) / len(orders),
    }


def _order(scores: Sequence[float]) -> list[int]:
    """Places of the candidates, best first; equal ones as they stand."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])


def _check_fp32(measured: dict[str, Measured]) -> None:
    """Refuse a file that is another model.

    Raises:
        InputError: says by how much its scores differ.
    """
    from radio.rerankers.onnx import FP32

    reference = measured[TORCH].scores
    largest = max((abs(score) for scores in reference for score in scores), default=0.0)
    difference = agreement(reference, measured[FP32].scores)["largest_difference"]
    if not (difference is not None and difference <= TOLERANCE * max(1.0, largest)):
        raise InputError(
            f"ONNX: scores of {FP32} differ from the reranker's by up to {difference}, expected "
            "rounding alone; nothing is written"
        )


def _origin(export: Path) -> dict[str, Any]:
    from radio import __version__
    from radio.models.files import model_fingerprint

    return {"export": str(export), "fingerprint": model_fingerprint(str(export))} | {
        "radio": __version__
    }


def _compared(
    source: str, groups: Sequence[Group], measured: dict[str, Measured]
) -> dict[str, Any]:
    """The part of the note that is measured."""
    import onnxruntime
    import torch

    pairs = sum(len(group.passages) for group in groups)
    rows: dict[str, Any] = {}
    for name, one in measured.items():
        row: dict[str, Any] = {} if one.megabytes is None else {"megabytes": one.megabytes}
        row["pairs_per_second"] = round(pairs / one.seconds, 1)
        if name != TORCH:
            row |= agreement(measured[TORCH].scores, one.scores)
        rows[name] = row
    machine = {"processor": _processor(), "threads": torch.get_num_threads()}
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    return {
        "compared_on": {"source": source, "questions": len(groups), "pairs": pairs},
        "machine": {**machine, **versions},
        "results": rows,
    }


def _processor() -> str:
    """Its name, as Linux tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line for line in text.splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor()


def _show(note: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    on, machine = note["compared_on"], note["machine"]
    table = Table(
        *("", "MB", "pairs/s", "largest difference", "tau-b", "same first", "same order"),
        title=f"{on['questions']} questions, {on['pairs']} pairs ({on['source']})",
        title_justify="left",
    )
    for name, row in note["results"].items():
        agreed = ["", "", "", ""]
        if name != TORCH:
            tau = "-" if row["tau_b"] is None else f"{row['tau_b']:.4f}"
            shares = [f"{row[key]:.1%}" for key in ("same_first", "same_order")]
            agreed = [f"{row['largest_difference']:.2g}", tau, *shares]
        size = f"{row['megabytes']:,.1f}" if "megabytes" in row else ""
        table.add_row(name, size, f"{row['pairs_per_second']:,.1f}", *agreed)
    console = Console()
    Console(width=max(console.width, 100)).print(table)
    print(f"on {machine['threads']} threads of {machine['processor']}")
