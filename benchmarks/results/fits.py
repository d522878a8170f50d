"""The runs of the headline results: each a plain command of ``radio``, done once and kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recipes import configs
from benchmarks.results.settings import (
    DATA,
    HARDWARE,
    MODULES,
    ROOT,
    TRANSFER,
    WORK,
    recipe,
    seeds_of,
)
from benchmarks.runs import radio
from radio.lines import atomic_write

MADE_OF = "made_of.txt"
"""In a run's folder: digest of what it was made of."""


def common(name: str) -> list[str]:
    return [
        *("--name", name, "--trainer.default_root_dir", str(WORK)),
        *("--data.init_args.path", str(DATA), "--data.init_args.cache_dir", str(WORK / "cache")),
        *HARDWARE,
    ]


def made_of(arguments: Sequence[str]) -> str:
    """Digest of a command's arguments, of the files and earlier runs that they name, and of the
    data."""
    named = [Path(a) if a.endswith(".yaml") else Path(a).parent / MADE_OF for a in arguments]
    parts = [
        manifest(),
        *arguments,
        *(file.read_text(encoding="utf-8") for file in named if file.is_file()),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def manifest() -> str:
    return hashlib.sha256((DATA / "MANIFEST.json").read_bytes()).hexdigest()[:12]


def run(
    command: str, folder: Path, split: str, arguments: Sequence[str], evaluation: Sequence[str] = ()
) -> Path:
    """Run what is not there yet, or was made of something else. ``evaluation`` does not change what
    is learnt."""
    mark, metrics = folder / MADE_OF, folder / "metrics.json"
    origin = made_of(arguments)
    there = metrics.is_file() and split in json.loads(metrics.read_text(encoding="utf-8"))
    if not (there and mark.is_file() and mark.read_text(encoding="utf-8") == origin):
        radio(command, *arguments, *evaluation, "--overwrite", "true")
        with atomic_write(mark) as file:
            file.write(origin)
    return folder


def base(reranker: str) -> list[str]:
    """Arguments that name the base reranker; a cross-encoder is warmed up once."""
    if reranker != "cross_encoder":
        return []
    arguments = ["--config", str(ROOT / "configs/warm_up.yaml"), *common("warm_up")]
    folder = run("fit", WORK / "warm_up", "validation", arguments, ["--test_after_fit", "false"])
    return ["--model.init_args.model", str(folder / "export")]


def fit(
    dataset: str,
    reranker: str,
    system: str,
    seed: int,
    split: str,
    trial: str = "",
    more: Sequence[str] = (),
) -> Path:
    """One run; returns its folder."""
    folder = WORK / "-".join([dataset, reranker, system, *([trial] if trial else []), str(seed)])
    unread = ["no_reader"] if dataset in ("mmlu", "fever") else []
    arguments = [
        *configs("base", *unread, *recipe(reranker, system)),
        *(*common(folder.name), "--data", MODULES[dataset], *base(reranker)),
        *("--seed_everything", str(seed), "--data.init_args.seed", str(seed), *more),
    ]
    evaluation = [
        *("--test_after_fit", "true" if split == "test" else "false"),
        *([] if seed in seeds_of(reranker, "validation") else ["--trainer.limit_val_batches", "0"]),
    ]
    return run("fit", folder, split, arguments, evaluation)


def tried(dataset: str, seed: int, name: str, more: Sequence[str]) -> Path:
    """The best recipe with a change, on the dev questions; without one it is the headline's run."""
    trial = re.sub(r"\W+", "_", name) if more else ""
    return fit(dataset, "bi_encoder", "radio", seed, "validation", trial, more)


def transfer(dataset: str, reranker: str, name: str, model: list[str]) -> Path:
    """Evaluate a reranker on a dataset that it was not trained on."""
    folder = WORK / f"{dataset}-{reranker}-from-{name}"
    data = ["--data", TRANSFER[dataset], "--data.init_args.teacher", "RetrievalScore"]
    return run(
        "test", folder, "test", [*configs("base", reranker), *common(folder.name), *data, *model]
    )
