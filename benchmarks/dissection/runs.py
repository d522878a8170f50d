"""The runs: one report on all teachers, one training for each of them and each seed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.dissection.settings import (
    BASELINES,
    DEV_QUESTIONS,
    DISTRIBUTIONS,
    EXTRACTIVE,
    LOSSES,
    MORE_QUESTIONS,
    PUBLISHED,
    QWEN,
    TEACHERS,
    TEXTS,
    TRAIN_CANDIDATES,
    WEIGHTINGS,
    WORK,
    Spec,
    by_asking,
    generator,
    of_training,
    part,
)
from benchmarks.results.fits import MADE_OF, made_of
from benchmarks.results.settings import DATA
from benchmarks.runs import radio
from radio.lines import atomic_write, read_rows, write_jsonl


def place(count: int) -> Path:
    """Where the runs on so many questions lie; all of them share a cache."""
    return WORK / str(count)


def prepare_data(count: int) -> Path:
    """A folder with the first training questions that have a rationale, and the first dev
    questions; there are no test questions in it."""
    folder = place(count) / "data"
    have = {row["id"] for _, row in read_rows(DATA / "rationales/nq/train.jsonl")}
    train = [row for _, row in read_rows(DATA / "dataset/nq/train.jsonl") if row["id"] in have]
    dev = [row for _, row in read_rows(DATA / "dataset/nq/dev.jsonl")]
    write_jsonl(folder / "dataset/nq/train.jsonl", train[:count])
    write_jsonl(folder / "dataset/nq/dev.jsonl", dev[:DEV_QUESTIONS])
    for name in ("candidates/nq", "rationales/nq", "corpus"):
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to((DATA / name).resolve())
    return folder


def swapped(count: int, share: int) -> Path:
    """A file of the rationales in which a share of the questions, in percent, have that of
    another one: each of them the next one's."""
    ids = [row["id"] for _, row in read_rows(prepare_data(count) / "dataset/nq/train.jsonl")]
    rows = {row["id"]: row for _, row in read_rows(DATA / "rationales/nq/train.jsonl")}
    moved = ids[: round(share / 100 * len(ids))]
    texts = {question: rows[question]["rationale"] for question in ids}
    for number, question in enumerate(moved):
        texts[question] = rows[moved[(number + 1) % len(moved)]]["rationale"]
    path = place(count) / "swapped" / f"{share}.jsonl"
    write_jsonl(path, [{**rows[question], "rationale": text} for question, text in texts.items()])
    return path


def overlay(folder: Path, name: str, tree: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    with atomic_write(path) as file:
        yaml.safe_dump(tree, file, sort_keys=False)
    return path


def overlays(count: int) -> dict[str, Path]:
    """A config file for each teacher, by name."""
    return _overlays(place(count) / "teachers", TEACHERS)


def _overlays(folder: Path, teachers: Mapping[str, Spec]) -> dict[str, Path]:
    found = {}
    for name, spec in teachers.items():
        tree: dict[str, Any] = {"data": {"init_args": {"teacher": spec}}}
        if name in DISTRIBUTIONS:
            tree["model"] = {"init_args": {"loss": part("ListNet", teacher_temperature=None)}}
        found[name] = overlay(folder, name, tree)
    return found


def judges(top_k: dict[str, list[int]]) -> dict[str, Any]:
    """Callbacks: the rankings' figures, and the generators that read so many passages of them."""
    callbacks: list[Spec] = [part("RankEvaluation")]
    for name, depths in top_k.items():
        loop = part("GeneratorInTheLoop", name=name, generator=generator(name), top_k=depths)
        callbacks.append(loop)
    return {"trainer": {"callbacks": callbacks}}


def common(count: int, name: str) -> list[str]:
    """Arguments of all runs. One epoch of a few questions is a few steps: there are ten, of the
    question side alone, which embeds no passage twice; of more questions three. No rationale is
    filtered out: all teachers have the same questions, and swapped rationales, most of which lack
    the answer, are what the losses are to bear."""
    root = place(count)
    epochs = "10" if count < MORE_QUESTIONS else "3"
    return [
        *("--config", "recipes/cpu_question_side"),
        *("--data", "NaturalQuestionsDataModule", "--data.init_args.path", str(root / "data")),
        *("--data.init_args.cache_dir", str(WORK / "cache"), "--name", name),
        *("--data.init_args.rationale_filters", "[]"),
        *("--data.init_args.train_candidates", str(TRAIN_CANDIDATES)),
        *("--trainer.default_root_dir", str(root), "--trainer.accelerator", "cpu"),
        *("--trainer.max_epochs", epochs, "--trainer.check_val_every_n_epoch", epochs),
        *("--trainer.num_sanity_val_steps", "0", "--trainer.enable_progress_bar", "false"),
        *("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "5"),
    ]


def report(count: int) -> None:
    """How each teacher orders the candidates of the questions that it teaches, and what the
    generators make of its order. Nothing has been trained yet: no teacher has seen them before."""
    # the report has these by itself, under the same names
    names = [name for name in TEACHERS if name not in BASELINES]
    _report(count, names, (EXTRACTIVE, QWEN), "q_a_r,likelihood")


def report_on_texts(count: int) -> None:
    """The same of the teachers that cost little, on more questions, read by the extractive
    reader."""
    _report(count, TEXTS, (EXTRACTIVE,), "q_a_r,q_a")


def _report(count: int, names: Sequence[str], readers: Sequence[str], curve: str) -> None:
    prepare_data(count)
    files = overlays(count)
    read = overlay(place(count), "report", judges({name: [1] for name in readers}))
    radio(
        "teachers",
        "report",
        *common(count, "report"),
        *("--config", str(read), "--config", str(files[PUBLISHED]), "--split", "train"),
        *("--teachers", json.dumps([str(files[name]) for name in names])),
        *("--curve", curve, "--top_k", "1", "--output", str(place(count) / "report")),
    )


def student(count: int, teacher: str, seed: int) -> Path:
    """The folder of a run that a teacher has taught; trained if it is not there."""
    read = overlay(place(count), "judges", judges({EXTRACTIVE: [1, 3], QWEN: [1]}))
    file = overlays(count)[teacher]
    if teacher in by_asking():
        spec = of_training(TEACHERS[teacher])
        file = _overlays(place(count) / "taught", {teacher: spec})[teacher]
    more = ["--config", str(read), "--config", str(file)]
    return _fit(count, f"{teacher}-{seed}", seed, more)


def misled(count: int, loss: str, weighting: str, share: int, seed: int) -> Path:
    """The folder of a run whose rationales are partly swapped. Nobody reads its ranking: what is
    lost is told by the ranking itself."""
    read = overlay(place(count), "judge", judges({}))
    data: dict[str, Any] = {"teacher": TEACHERS[PUBLISHED]}
    data["rationales"] = part("Recorded", paths=str(swapped(count, share)))
    if WEIGHTINGS[weighting] is not None:
        data["confidence"] = WEIGHTINGS[weighting]
    name = f"swapped-{loss}-{weighting}-{share}"
    tree = {"model": {"init_args": {"loss": LOSSES[loss]}}, "data": {"init_args": data}}
    path = overlay(place(count) / "swapped", name, tree)
    more = ["--config", str(read), "--config", str(path)]
    return _fit(count, f"{name}-{seed}", seed, more)


def _fit(count: int, name: str, seed: int, more: list[str]) -> Path:
    prepare_data(count)
    folder = place(count) / name
    arguments = [*common(count, name), *more]
    arguments += ["--seed_everything", str(seed), "--data.init_args.seed", str(seed)]
    origin = made_of(arguments)
    mark = folder / MADE_OF
    if mark.is_file() and mark.read_text(encoding="utf-8") == origin:
        return folder
    radio("fit", *arguments, "--test_after_fit", "false", "--overwrite", "true")
    with atomic_write(mark) as file:
        file.write(origin)
    # of a student only its figures are needed
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    shutil.rmtree(folder / "export", ignore_errors=True)
    return folder
