"""``radio rationales report``: what the rationales of a dataset are worth, in numbers, in a file
and on one page."""

from __future__ import annotations

import base64
import copy
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from radio.encoders import Encoder
from radio.lines import atomic_write, write_jsonl
from radio.rationales.checks import CHECKS, QualityChecks, Support, best_passages
from radio.rationales.wording import words
from radio.schema import InputError, Question, Rationale
from radio.teachers import Teacher
from radio.text import has_answer

EXAMPLES = 5
"""Rationales that the page shows for each check, and of those that pass all."""


def rationale_report(datamodule: Any, split: str, folder: Path) -> Path:
    """Report on one split; returns the path of the page."""
    report(datamodule, [split], folder)
    return Path(folder) / "rationales.html"


def report(datamodule: Any, splits: Sequence[str], folder: str | Path) -> dict[str, Any]:
    """Print a table, and write ``rationales.json``, ``rationales.jsonl`` (a row a question) and
    ``rationales.html``.

    Rationales that the data module's filters drop are counted like the others. Nothing is asked of
    a writer; an encoder or a judge computes what the cache lacks. Without an encoder of its own,
    the checks take the teacher's.

    Args:
        datamodule: a :class:`radio.data.module.RationaleDataModule` whose candidates are in the
            cache.
        splits: of ``train``, ``validation``, ``test``.
        folder: where the files go.

    Returns:
        The numbers of each split, as in ``rationales.json``; a share of nothing is None.

    Raises:
        InputError: a split without questions, candidates that are not in the cache, or no use for
            rationales.
    """
    numbers: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for split in splits:
        numbers[split], found = _measure(datamodule, split)
        rows += found
    folder = Path(folder)
    with atomic_write(folder / "rationales.json") as file:
        json.dump(numbers, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_jsonl(folder / "rationales.jsonl", rows)
    with atomic_write(folder / "rationales.html") as file:
        file.write(page(numbers, rows))
    show_table(numbers)
    return numbers


def _measure(datamodule: Any, split: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Numbers of a split, and a row for each of its questions."""
    if datamodule.rationales is None or not datamodule.teacher.needs_rationale:
        raise InputError(
            "rationales report: found no use for rationales in this configuration, expected "
            "data.init_args.rationales and a teacher that needs them"
        )
    questions: list[Question] = datamodule.split_questions(split)
    if not questions:
        raise InputError(f"split: found {split!r}, expected one of the splits that have questions")
    found = datamodule.preparation.written(split)
    items = datamodule.preparation.to_check(split, found)

    checks: QualityChecks = copy.copy(datamodule.rationale_checks)
    origin = "rationale_checks"
    if checks.encoder is None:
        checks.encoder, origin = _teacher_encoder(datamodule.teacher), "teacher"
    filters = datamodule.rationale_filters
    names = [name for name in CHECKS if name in checks.available or name in filters]
    failed = checks.run(items, datamodule.cache, names)
    best = best_passages(items, checks.encoder, datamodule.cache) if checks.encoder else {}
    answered = {
        q.id
        for q, _, shown in items
        if any(has_answer(p.contents, q.golden_answers) for p in shown)
    }
    rows = [
        _row(split, q, found.get(q.id), failed.get(q.id, []), best.get(q.id)) for q in questions
    ]

    similar = {
        question
        for question, support in best.items()
        if support.similarity >= checks.min_similarity
    }
    usage: Counter[str] = Counter()
    for rationale in found.values():
        usage.update(
            {name: tokens for name, tokens in rationale.usage.items() if isinstance(tokens, int)}
        )
    numbers: dict[str, Any] = {
        "questions": len(questions),
        "rationales": len(found),
        "missing": len(questions) - len(found),
        "outcomes": dict(Counter(r.outcome for r in found.values()).most_common()),
        "models": dict(Counter(r.model for r in found.values()).most_common()),
        "tokens": dict(usage),
        "filters": list(filters),
        "pass_filters": _count(
            sum(not set(failed[q.id]) & set(filters) for q, _, _ in items), len(items)
        ),
        "checks": {
            name: _count(sum(name in f for f in failed.values()), len(items)) for name in names
        },
        "limits": {
            key: getattr(checks, key) for key in ("max_words", "min_new_words", "min_similarity")
        },
        "words": _spread([row["words"] for row in rows if row["rationale"] is not None]),
        "similarity": None,
        "support": {"answer": _count(len(answered), len(items))},
    }
    if checks.encoder:
        spread = _spread([support.similarity for support in best.values()])
        numbers["similarity"] = {"encoder": checks.encoder.model, "encoder_of": origin, **spread}
        numbers["support"] |= {
            "similar": _count(len(similar), len(items)),
            "similar_and_answer": _count(len(similar & answered), len(items)),
        }
    return numbers, rows


def _teacher_encoder(teacher: Teacher) -> Encoder | None:
    """The encoder of a teacher, or of a part of it, as in a blend."""
    encoder = getattr(teacher, "encoder", None)
    if isinstance(encoder, Encoder):
        return encoder
    parts = (_teacher_encoder(part) for part in vars(teacher).values() if isinstance(part, Teacher))
    return next((found for found in parts if found), None)


def _row(
    split: str,
    question: Question,
    rationale: Rationale | None,
    failed: list[str],
    best: Support | None,
) -> dict[str, Any]:
    return {
        "split": split,
        "id": question.id,
        "question": question.question,
        "golden_answers": list(question.golden_answers),
        **({"choices": list(question.choices)} if question.choices else {}),
        "rationale": rationale.text if rationale else None,
        "model": rationale.model if rationale else None,
        "outcome": rationale.outcome if rationale else None,
        "failed": failed,
        "words": len(words(rationale.text)) if rationale else None,
        "best_similarity": best.similarity if best else None,
        "best_passage": best.passage_id if best else None,
    }


def _count(number: int, total: int) -> dict[str, Any]:
    return {"count": number, "share": number / total if total else None}


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and quantiles; nothing of no values."""
    if not values:
        return {}
    p05, p25, median, p75, p95 = (
        float(q) for q in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    return {
        "mean": float(np.mean(values)),
        "p05": p05,
        "p25": p25,
        "median": median,
        "p75": p75,
        "p95": p95,
    }


# The table


def table(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Label -> value, of one split, for people."""
    shown = {
        "questions": f"{numbers['questions']:,}",
        "rationales": f"{numbers['rationales']:,}",
        "missing": f"{numbers['missing']:,}",
        **{f"outcome: {name}": f"{count:,}" for name, count in numbers["outcomes"].items()},
        "pass the filters": _share(numbers["pass_filters"]),
    }
    for name in CHECKS:
        label = f"check: {name}" + (" (filter)" if name in numbers["filters"] else "")
        needs = "a judge" if name == "contradicts" else "an encoder"
        shown[label] = (
            _share(numbers["checks"][name])
            if name in numbers["checks"]
            else f"not made: needs {needs}"
        )
    length, near, support = numbers["words"], numbers["similarity"], numbers["support"]
    if length:
        shown["words: mean, median, 95 %"] = (
            f"{length['mean']:.1f}, {length['median']:.0f}, {length['p95']:.0f}"
        )
    if near and "mean" in near:
        shown["best candidate's similarity: mean"] = f"{near['mean']:.3f}"
        quantiles = ", ".join(f"{near[q]:.3f}" for q in ("p05", "p25", "median", "p75", "p95"))
        shown["best candidate's similarity: 5, 25, 50, 75, 95 %"] = quantiles
    if near:
        shown["similarity measured by"] = near["encoder"] + (
            " (the teacher's)" if near["encoder_of"] == "teacher" else ""
        )
        limit = numbers["limits"]["min_similarity"]
        shown[f"a candidate has similarity >= {limit:g}"] = _share(support["similar"])
    shown["a candidate contains an answer"] = _share(support["answer"])
    shown["tokens"] = (
        ", ".join(f"{name} {count:,}" for name, count in numbers["tokens"].items())
        or "not recorded"
    )
    shown["models"] = (
        ", ".join(f"{name} ({count:,})" for name, count in numbers["models"].items()) or "-"
    )
    return shown


def _share(part: Mapping[str, Any]) -> str:
    return "-" if part["share"] is None else f"{part['count']:,} ({100 * part['share']:.1f} %)"


def show_table(numbers: Mapping[str, Any]) -> None:
    """Print the numbers, a column a split."""
    from rich.console import Console
    from rich.markup import escape as plain
    from rich.table import Table

    columns = {split: table(found) for split, found in numbers.items()}
    printed = Table(title="rationales; shares are of the questions that have one")
    printed.add_column("")
    for split in columns:
        printed.add_column(split, justify="right")
    for label in dict.fromkeys(label for column in columns.values() for label in column):
        printed.add_row(
            plain(label), *(plain(column.get(label, "-")) for column in columns.values())
        )
    console = Console()
    # a pipe or a log has no width
    Console(width=max(console.width, 110)).print(printed)


# The page

_BLUE, _ORANGE, _GREY = "#2f6db3", "#c8651b", "#8a94a0"

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f6f8; color: #1d2530; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 1rem; } h3 { margin: 2rem 0 .75rem; }
.lead { color: #4c5866; margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 1rem; }
.tiles div, figure, table, details { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; }
.tiles div { padding: .9rem 1.1rem; } .tiles b { display: block; font-size: 1.6rem; line-height: 1.3; }
.tiles span { color: #4c5866; font-size: .9rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .75rem; } figure img { width: 100%; height: auto; display: block; }
table { width: 100%; border-collapse: separate; border-spacing: 0; overflow: hidden; font-size: .95rem; }
th, td { padding: .4rem 1rem; border-top: 1px solid #edf0f3; overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; }
th { font-weight: 400; text-align: left; } td { text-align: right; font-variant-numeric: tabular-nums; }
details { margin: .6rem 0; padding: .6rem 1.1rem; } summary { cursor: pointer; font-weight: 600; }
article { border-top: 1px solid #edf0f3; margin-top: .8rem; padding-top: .8rem; overflow-wrap: anywhere; }
article p { margin: .15rem 0; white-space: pre-wrap; } .about { color: #4c5866; font-size: .9rem; }
.tag { background: #fbe9dc; color: #8a3d06; border-radius: 4px; padding: 0 .4em; font-size: .85rem; }
"""


def page(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """One HTML document without scripts and without anything to load; whatever others wrote is
    escaped."""
    sections = "".join(
        _section(split, found, [r for r in rows if r["split"] == split])
        for split, found in numbers.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>Rationales</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Rationales</h1>\n"
        '<p class="lead">What they are worth as a teacher. Shares are of the questions that have '
        "a rationale.</p>\n"
        f"{sections}</main>\n</body>\n</html>\n"
    )


def _section(split: str, numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    support = numbers["support"]
    tiles = {
        "questions": f"{numbers['questions']:,}",
        f"rationales ({numbers['missing']:,} missing)": f"{numbers['rationales']:,}",
        f"pass the filters ({', '.join(numbers['filters']) or 'none'})": _percent(
            numbers["pass_filters"]
        ),
        "have a supporting candidate"
        if "similar" in support
        else "have a candidate that contains an answer": _percent(
            support.get("similar", support["answer"])
        ),
    }
    head = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"
        for label, value in tiles.items()
    )
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>\n'
        for label, value in table(numbers).items()
    )
    return (
        f'<h2>{escape(split)}</h2>\n<div class="tiles">{head}</div>\n'
        + (
            f'<h3>Plots</h3>\n<div class="plots">\n{_plots(numbers, rows)}</div>\n'
            if numbers["rationales"]
            else ""
        )
        + f"<h3>Numbers</h3>\n<table>\n{body}</table>\n"
        + (f"<h3>Examples</h3>\n{_examples(numbers, rows)}" if numbers["rationales"] else "")
    )


def _percent(part: Mapping[str, Any]) -> str:
    return "-" if part["share"] is None else f"{100 * part['share']:.1f} %"


def _examples(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """For each check the first rationales that fail it, and some that pass all, spread over the
    split."""
    written = [row for row in rows if row["rationale"] is not None]
    groups = {
        f"fails {name}": [row for row in written if name in row["failed"]]
        for name in numbers["checks"]
    }
    groups["passes every check"] = [row for row in written if not row["failed"]]
    parts = []
    for title, found in groups.items():
        step = max(1, len(found) // EXAMPLES) if title.startswith("passes") else 1
        shown = "".join(_example(row) for row in found[::step][:EXAMPLES])
        if found:
            count = f"{min(EXAMPLES, len(found))} of {len(found):,}"
            parts.append(
                f"<details><summary>{escape(title)} ({count})</summary>{shown}</details>\n"
            )
    return "".join(parts)


def _example(row: Mapping[str, Any]) -> str:
    answers = " | ".join(dict.fromkeys(row["golden_answers"]))
    about = [row["id"], row["model"], f"{row['words']} words"]
    if row["best_passage"] is not None:
        about.append(
            f"nearest candidate {row['best_passage']}, similarity {row['best_similarity']:.3f}"
        )
    tags = "".join(f' <span class="tag">{escape(name)}</span>' for name in row["failed"])
    return (
        f"<article><p><b>{escape(row['question'])}</b></p><p>Answer: {escape(answers)}</p>"
        f"<p>{escape(row['rationale']) or '<i>no text</i>'}</p>"
        f'<p class="about">{escape("; ".join(about))}{tags}</p></article>'
    )


def _plots(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Figures of a split, each an image of its own with its message as the alternative text."""
    made, filters, limits = numbers["checks"], numbers["filters"], numbers["limits"]
    length, near, support = numbers["words"], numbers["similarity"], numbers["support"]

    def lengths(axes: Any) -> None:
        _histogram(
            axes,
            [row["words"] for row in rows if row["words"] is not None],
            limits["max_words"],
            "max_words",
        )
        axes.set(title="Length", xlabel="words", ylabel="rationales")

    def failures(axes: Any) -> None:
        _bars(axes, made, [_ORANGE if name in filters else _GREY for name in made])
        axes.set(title="Failed checks (orange: dropped by the filters)", xlabel="% of rationales")

    def similarities(axes: Any) -> None:
        values = [row["best_similarity"] for row in rows if row["best_similarity"] is not None]
        _histogram(axes, values, limits["min_similarity"], "min_similarity")
        axes.set(
            title="Similarity of the best candidate",
            xlabel="cosine to the rationale",
            ylabel="rationales",
        )

    def supported(axes: Any) -> None:
        labels = {
            "similar": "similar to the rationale",
            "answer": "contains an answer",
            "similar_and_answer": "both exist",
        }
        _bars(
            axes,
            {label: support[key] for key, label in labels.items() if key in support},
            [_BLUE] * 3,
        )
        axes.set(
            title="Questions with a candidate that ...",
            xlabel="% of questions with a rationale",
            xlim=(0, 119),
        )
        axes.set_xticks(range(0, 101, 20))

    said = ", ".join(f"{name} {_share(part)}" for name, part in made.items())
    figures: dict[str, Callable[[Any], None]] = {
        f"Histogram of the length in words: median {length['median']:.0f}, 95 % quantile {length['p95']:.0f}.": lengths,
        f"Bars of the rationales that fail each check: {said}.": failures,
    }
    if near and "mean" in near:
        said = f"median {near['median']:.3f}, 5 % quantile {near['p05']:.3f}"
        figures[f"Histogram of the cosine between rationale and nearest candidate: {said}."] = (
            similarities
        )
    said = ", ".join(f"{name.replace('_', ' ')} {_share(part)}" for name, part in support.items())
    figures[f"Bars of the questions with a candidate that supports the rationale: {said}."] = (
        supported
    )
    return "".join(_figure(alt, draw) for alt, draw in figures.items())


def _histogram(axes: Any, values: Sequence[float], limit: float, name: str) -> None:
    axes.hist(
        values,
        bins=min(30, max(5, len(set(values)))),
        color=_BLUE,
        edgecolor="white",
        linewidth=0.5,
    )
    low, high = axes.get_xlim()
    # a limit far away would squeeze the bars into a corner
    if low - 0.5 * (high - low) <= limit <= high + 0.5 * (high - low):
        axes.axvline(limit, color=_ORANGE, linestyle="--", label=f"{name} {limit:g}")
        axes.legend(frameon=False)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _bars(axes: Any, parts: Mapping[str, Mapping[str, Any]], colors: Sequence[str]) -> None:
    shares = [100 * part["share"] for part in parts.values()]
    bars = axes.barh(list(parts), shares, color=colors[: len(parts)], height=0.6)
    axes.bar_label(
        bars,
        [f"{part['count']:,} ({100 * part['share']:.1f} %)" for part in parts.values()],
        padding=4,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, max(shares, default=0)) * 1.4)


def _figure(alt: str, draw: Callable[[Any], None]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "svg.hashsalt": "radio",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titleweight": "bold",
    }
    with rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(6.2, 3.4), layout="constrained")
        draw(figure.add_subplot())
        data = io.BytesIO()
        figure.savefig(data, format="svg", metadata={"Date": None})
    # an image, not inline: the names inside two SVGs would clash, and no script in it could run
    code = base64.b64encode(data.getvalue()).decode()
    return f'<figure><img alt="{escape(alt)}" src="data:image/svg+xml;base64,{code}"></figure>\n'
