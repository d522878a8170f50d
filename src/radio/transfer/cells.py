"""The cells of a matrix: each is a plain ``radio`` command, done once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from radio import __version__
from radio.evaluation.files import read_predictions
from radio.evaluation.systems import FUSED
from radio.lines import atomic_write
from radio.transfer.matrix import RETRIEVER, Matrix, Tree

TUNED = "tuned"
"""What an evaluation calls the reranker that it is given."""
COMMANDS = {"validation": "validate", "test": "test"}
ERROR = "radio: error: "

Values = dict[str, dict[str, float]]
"""Metric -> question id -> value."""

Say = Callable[[str], None]


@dataclass
class Cells:
    """What became of the cells; a key is dataset, reranker (or the retriever), generator."""

    done: dict[tuple[str, str, str], Values] = field(default_factory=dict)
    failed: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Why there is no figure."""
    folders: dict[tuple[str, str, str], Path] = field(default_factory=dict)
    """The run folder of each that is done."""


def fill(matrix: Matrix, *, again: bool, say: Say = print) -> Cells:
    """Evaluate what has not been evaluated yet.

    The generators read a reranker's order in one command, so that it ranks once. Where that fails,
    each of them reads it in a command of its own: the fault of one loses no other, and what the
    first command was answered is in the cache.

    Args:
        matrix: what is crossed.
        again: also what is there already.
        say: prints a line.
    """
    cells = Cells()
    places = [(d, r) for d in matrix.datasets for r in matrix.rerankers]
    for number, (dataset, reranker) in enumerate(places, 1):
        say(f"[{number}/{len(places)}] {dataset} x {reranker}")
        generators = list(matrix.generators)
        errors = _evaluate(matrix, dataset, reranker, generators, cells, again=again, say=say)
        if errors and len(generators) > 1:
            for generator in generators:
                _evaluate(matrix, dataset, reranker, [generator], cells, again=again, say=say)
    return cells


def _evaluate(
    matrix: Matrix,
    dataset: str,
    reranker: str,
    generators: Sequence[str],
    cells: Cells,
    *,
    again: bool,
    say: Say,
) -> bool:
    """Evaluate one reranker; whether that failed."""
    # alone, in a folder beside that of all
    name = reranker if len(generators) == len(matrix.generators) else f"{reranker}+{generators[0]}"
    root = matrix.folder / dataset
    words = words_of(matrix, dataset, reranker, generators, name)
    mark, origin = root / f"{name}.json", _made_of(words)
    error = ""
    if again or not _is_done(mark, origin):
        mark.unlink(missing_ok=True)
        error = run_command(words, root / f"{name}.log", say)
        if not error:
            with atomic_write(mark) as file:
                json.dump({"made_of": origin, "command": shlex.join(["radio", *words])}, file)
                file.write("\n")
    for generator in generators:
        key = (dataset, reranker, generator)
        if error:
            cells.failed[key] = error
            continue
        cells.failed.pop(key, None)
        cells.folders[key] = root / name
        system = _system(matrix, reranker)
        for place, ranking in ((RETRIEVER, RETRIEVER), (reranker, system)):
            found = _values(root / name, matrix.split, ranking, generator)
            cells.done.setdefault((dataset, place, generator), found)
    return bool(error)


# The command


def _system(matrix: Matrix, reranker: str) -> str:
    """Which ranking of an evaluation is that of a reranker."""
    return TUNED if matrix.rerankers[reranker].fused is None else FUSED


def overlay_of(matrix: Matrix, reranker: str, generators: Sequence[str]) -> Tree:
    """Who reads. No teacher is asked and no rationale is written: nothing is trained."""
    rankings = [RETRIEVER, _system(matrix, reranker)]
    callbacks: list[Tree] = []
    fused = matrix.rerankers[reranker].fused
    if fused is not None:
        callbacks.append(fused)
    callbacks.append({"class_path": "RankEvaluation", "init_args": {"rankings": rankings}})
    for name in generators:
        loop: Tree = {"name": name, "top_k": matrix.top_k, "rankings": rankings}
        loop["generator"] = matrix.generators[name]
        callbacks.append({"class_path": "GeneratorInTheLoop", "init_args": loop})
    return {
        "trainer": {"callbacks": callbacks},
        "data": {"init_args": {"teacher": {"class_path": "RetrievalScore"}, "rationales": None}},
    }


def words_of(
    matrix: Matrix, dataset: str, reranker: str, generators: Sequence[str], name: str
) -> list[str]:
    """The command line of an evaluation; writes the config files that it names.

    Args:
        matrix: what is crossed.
        dataset: whose questions.
        reranker: who ranks.
        generators: who read.
        name: of the run, in the folder of the dataset.
    """
    root = matrix.folder / dataset
    overlay = _write(overlay_of(matrix, reranker, generators), root / f"{name}.yaml")
    words = [COMMANDS[matrix.split]]
    for kind, title, entry in (
        ("dataset", dataset, matrix.datasets[dataset]),
        ("reranker", reranker, matrix.rerankers[reranker]),
    ):
        files = [*entry.configs]
        for number, tree in enumerate(entry.trees, 1):
            files.append(str(_write(tree, matrix.folder / f"{kind}.{title}.{number}.yaml")))
        for file in files:
            words += ["--config", file]
    words += ["--config", str(overlay), "--name", name]
    return [*words, "--trainer.default_root_dir", str(root), "--overwrite", "true"]


def _write(tree: Tree, path: Path) -> Path:
    with atomic_write(path) as file:
        yaml.safe_dump(tree, file, sort_keys=False)
    return path


def _made_of(words: Sequence[str]) -> str:
    """Digest of a command: its words, the files that it names and the models in these."""
    parts: list[Any] = [__version__, *words]
    for word in words:
        path = Path(word)
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
            text = path.read_text(encoding="utf-8")
            parts += [text, *_models(yaml.safe_load(text))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _models(node: object) -> list[Any]:
    """Size and time of the files in the folders that a config names as a model."""
    found: list[Any] = []
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "model" and isinstance(value, str) and Path(value).expanduser().is_dir():
                files = sorted(Path(value).expanduser().rglob("*"))
                stats = [(str(file), file.stat()) for file in files if file.is_file()]
                found += [(name, one.st_size, one.st_mtime_ns) for name, one in stats]
            found += _models(value)
    elif isinstance(node, list):
        for value in node:
            found += _models(value)
    return found


def _is_done(mark: Path, origin: str) -> bool:
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("made_of") == origin


def run_command(words: Sequence[str], log: Path, say: Say) -> str:
    """Run a command; what it says goes to the terminal and into a file. Returns why it failed,
    empty if it did not.

    It is a process of its own: what kills it, such as too little memory, stops no other.
    """
    say(f"$ {shlex.join(['radio', *words])}")
    environment = {name: value for name, value in os.environ.items() if name != "RADIO_RUN"}
    last = said = ""
    with (
        log.open("w", encoding="utf-8") as file,
        # this program, with the words of a config
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "radio", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            if line.startswith(ERROR):
                said = line.removeprefix(ERROR).strip()
            last = line.strip() or last
        status = process.wait()
    if status == 0:
        return ""
    if status < 0:
        return f"killed by signal {-status}; {log} has what it said"
    return said or f"exit status {status}: {last}; {log} has what it said"


# What came of it


def _values(folder: Path, split: str, system: str, generator: str) -> Values:
    """Numbers of the answers that a generator gave when it read a system's passages."""
    found: Values = {}
    prefix = f"{generator}_"
    for row in read_predictions(folder / "predictions.jsonl"):
        if row["split"] != split:
            continue
        for name, value in row.get(system, {}).items():
            if name.startswith(prefix) and isinstance(value, float):
                of_metric = found.setdefault(name.removeprefix(prefix), {})
                of_metric[row["question_id"]] = value
    return found
