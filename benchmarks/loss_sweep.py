"""All losses on the Natural Questions subset of ``../shared/data``: ``python -m
benchmarks.loss_sweep``.

Each loss, with the settings of its file in ``configs/losses/``, trains the question side of MiniLM
for one epoch. Its learning rate is chosen on training questions that are held out (nDCG@5, seed 0);
then it is trained with three seeds and evaluated on the dev questions, which nothing was chosen on.
The test split is not touched. Finished runs are kept in ``runs/loss_sweep/`` and not repeated.
Writes the comparison in ``docs/losses.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs import interval, radio

HEAD = """## Losses compared

Made by `python -m benchmarks.loss_sweep --questions 800` (needs `../shared/data`; an hour on two
CPU cores; it resumes, and `--losses` does a part, so that two processes can share the work with
`OMP_NUM_THREADS=1`). Natural Questions, 20 BM25 candidates a question without injected gold
passages; the teacher is the rationale similarity alone (MiniLM); the student is the question side
of the same MiniLM against fixed passage embeddings, one epoch, batches of 8 questions with all
their candidates. Each loss has the settings of its overlay in `configs/losses/`; its learning rate
was chosen among 1e-5, 3e-5 and 1e-4 on 150 held-out training questions; then it was trained with
three seeds and evaluated on the dev questions. `published` is InfoNCE on the published shift
groups. Relevant is a passage that holds an answer; EM and F1 are those of `SpanReader`, a heuristic
without weights, on the top 3. In %, with 95 % bootstrap intervals over the questions, of the mean
over the seeds; "- base" is the paired difference to the untrained model; spread is the range over
the seeds.
"""

READING = """\
Read from the run of November 2026 with 800 questions: the losses that compare passages with one
another lie within each other's intervals, and each is clear of zero; nothing here ranks them. The
three pointwise losses lose: they ask for a score near the teacher's 0 to 1 itself, while 20 times a
cosine lies around 10, and an epoch goes into moving all scores instead of their order. EM moves for
none of them.
"""

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
WORK = ROOT / "runs" / "loss_sweep"
RATES = (1e-5, 3e-5, 1e-4)
SEEDS = (1, 2, 3)
HELD_OUT = 150


def split_training(questions: int) -> dict[str, Path]:
    """The training questions that have a rationale, the last of them held out."""
    with (DATA / "rationales/nq/train.jsonl").open(encoding="utf-8") as file:
        known = {json.loads(line)["id"] for line in file}
    rows = [
        line
        for line in (DATA / "dataset/nq/train.jsonl").open(encoding="utf-8")
        if json.loads(line)["id"] in known
    ][:questions]
    files = {"train": WORK / "train.jsonl", "held_out": WORK / "held_out.jsonl"}
    WORK.mkdir(parents=True, exist_ok=True)
    files["train"].write_text("".join(rows[:-HELD_OUT]), encoding="utf-8")
    files["held_out"].write_text("".join(rows[-HELD_OUT:]), encoding="utf-8")
    return {**files, "dev": DATA / "dataset/nq/dev.jsonl"}


def fit(loss: str, files: dict[str, Path], evaluated: str, rate: float, seed: int) -> Path:
    """One run through the command line's own entry; returns its folder."""
    name = f"{loss}-{evaluated}-{rate:g}-{seed}"
    folder = WORK / name
    if (folder / "metrics.json").is_file():
        return folder
    candidates = [str(DATA / f"candidates/nq/{part}.jsonl.gz") for part in ("train", "dev")]
    overlay = [] if loss == "published" else ["--config", str(ROOT / f"configs/losses/{loss}.yaml")]
    sampler = "shift" if loss == "published" else "full_list"
    radio(
        *("fit", "--config", str(ROOT / "benchmarks/loss_sweep.yaml"), *overlay),
        *("--config", str(ROOT / f"configs/samplers/{sampler}.yaml")),
        *("--name", name, "--seed_everything", str(seed), "--data.init_args.seed", str(seed)),
        *(
            "--trainer.default_root_dir",
            str(WORK),
            "--data.init_args.cache_dir",
            str(WORK / "cache"),
        ),
        *("--model.init_args.lr", str(rate)),
        *("--data.init_args.retriever.init_args.paths", json.dumps(candidates)),
        *("--data.init_args.rationales.init_args.paths", str(DATA / "rationales/nq/train.jsonl")),
        *("--data.init_args.train", str(files["train"])),
        *("--data.init_args.validation", str(files[evaluated])),
    )
    return folder


def per_question(folder: Path, system: str, metric: str) -> dict[str, float]:
    rows = map(
        json.loads,
        (folder / "predictions.jsonl").read_text(encoding="utf-8").strip("\n").split("\n"),
    )
    return {row["question_id"]: row[system][metric] for row in rows}


def summary(folders: list[Path], system: str, metric: str) -> tuple[np.ndarray, list[float]]:
    """Per-question values averaged over the seeds, and the mean of each seed."""
    runs = [per_question(folder, system, metric) for folder in folders]
    values = np.array([[run[question] for run in runs] for question in runs[0]])
    return values.mean(1), [float(x) for x in values.mean(0)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--questions", type=int, default=1000, help="training questions with a rationale"
    )
    parser.add_argument(
        "--losses", nargs="*", help="names of files in configs/losses; default: all"
    )
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(
            f"{DATA} is not there: the sweep needs the shared Natural Questions subset"
        )
    files = split_training(options.questions)
    losses = options.losses or [
        "published",
        *sorted(path.stem for path in (ROOT / "configs/losses").glob("*.yaml")),
    ]
    rows: list[dict[str, Any]] = []
    folders: list[Path] = []
    for loss in losses:
        tried = {
            rate: summary([fit(loss, files, "held_out", rate, 0)], "tuned", "nDCG@5")[0].mean()
            for rate in RATES
        }
        rate = max(tried, key=lambda r: tried[r])
        folders = [fit(loss, files, "dev", rate, seed) for seed in SEEDS]
        row: dict[str, Any] = {"loss": loss, "rate": rate}
        for metric in ("nDCG@5", "P@1", "em", "f1"):
            tuned, seeds = summary(folders, "tuned", metric)
            row[metric] = tuned
            row[f"{metric}/difference"] = tuned - summary(folders, "base", metric)[0]
            row[f"{metric}/spread"] = max(seeds) - min(seeds)
        rows.append(row)
        print(loss, rate, interval(row["nDCG@5"]), interval(row["nDCG@5/difference"]), flush=True)
    write(rows, folders, options.questions)


def write(rows: list[dict[str, Any]], folders: list[Path], questions: int) -> None:
    """The page, best difference first."""
    rows.sort(key=lambda row: -row["nDCG@5/difference"].mean())
    lines = [
        "| loss | lr | nDCG@5 | - base | spread | EM | - base | F1 - base |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("retriever", "base"):
        ndcg, em = (summary(folders[:1], name, metric)[0] for metric in ("nDCG@5", "em"))
        lines.append(f"| *{name}* | | {interval(ndcg)} | | | {interval(em)} | | |")
    for row in rows:
        lines.append(
            f"| {row['loss']} | {row['rate']:g} | {interval(row['nDCG@5'])} | "
            f"{interval(row['nDCG@5/difference'])} | {100 * row['nDCG@5/spread']:.1f} | "
            f"{interval(row['em'])} | {interval(row['em/difference'])} | "
            f"{interval(row['f1/difference'])} |"
        )
    count = len(rows[0]["em"])
    page = ROOT / "docs" / "losses.md"
    seeds = ", ".join(map(str, SEEDS))
    trained = questions - HELD_OUT
    facts = f"{trained} training questions, {count} dev questions, seeds {seeds}."
    # what a loss is stands before it
    before, _, _ = page.read_text(encoding="utf-8").partition(HEAD.splitlines()[0])
    table = "\n".join(lines)
    page.write_text(f"{before}{HEAD}\n{facts}\n\n{table}\n\n{READING}", encoding="utf-8")
    print(f"written: {page}")


if __name__ == "__main__":
    main()
