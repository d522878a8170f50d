"""The comparison of teachers as a table for people, and what is said under it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from radio.evaluation.teachers.measure import SHARE

LEVEL = 0.05
"""Of the corrected p-values below which a difference is marked."""


def headings(document: Mapping[str, Any]) -> list[str]:
    """The columns of :func:`cells`."""
    return [*document["metrics"], "tau-b", "entropy", "all tied", "seconds"]


def cells(document: Mapping[str, Any], name: str) -> list[str]:
    """A teacher in the columns of :func:`headings`, in percent; ``+`` and ``-`` mark what is better
    or worse than the reference."""
    numbers = document["teachers"][name]
    shown = []
    for metric in document["metrics"]:
        value = numbers["means"].get(metric)
        # without a mark a blank, so that the digits stand below each other
        ending = mark(document, name, metric) or " "
        shown.append("- " if value is None else f"{100 * value:.1f}{ending}")
    tau = document["agreement"]["tau_b"][name][document["reference"]]
    shown.append(coefficient(tau))
    entropy = numbers["means"].get(SHARE)
    shown.append("-" if entropy is None else f"{100 * entropy:.0f} %")
    shown.append(f"{numbers['all_tied']:,}")
    shown.append(seconds(numbers))
    return shown


def mark(document: Mapping[str, Any], name: str, metric: str) -> str:
    """``+`` or ``-`` where a difference to the reference is shown, else nothing."""
    tested = document["teachers"][name]["differences"].get(metric)
    if tested is None or not tested["p_holm"] < LEVEL:
        return ""
    return "+" if tested["difference"] > 0 else "-"


def coefficient(value: float | None) -> str:
    """A correlation; what is next to nothing has no sign."""
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"


def seconds(numbers: Mapping[str, Any]) -> str:
    """``cached`` where nothing was left to score."""
    if numbers["cached"] == numbers["scored"]:
        return "cached"
    return f"{numbers['seconds']:.1f}"


def show_table(document: Mapping[str, Any]) -> None:
    """Print a row for each teacher, and below what is to be known of them."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    names = list(document["teachers"])
    printed = Table(title=escape(title(document)))
    printed.add_column("teacher", no_wrap=True)
    columns = [[escape(name) for name in names]]
    values = [cells(document, name) for name in names]
    for heading, *column in zip(headings(document), *values, strict=True):
        lines = heading.replace("gold_", "gold_\n").split("\n")
        width = max(map(len, [*lines, *column]))
        # by hand: the blank in the place of a mark would be taken away
        printed.add_column("\n".join(line.rjust(width) for line in lines), no_wrap=True)
        columns.append([cell.rjust(width) for cell in column])
    for row in zip(*columns, strict=True):
        printed.add_row(*row)
    needed = 1 + sum(3 + max(map(len, column)) for column in columns)
    # a pipe or a log has no width, and cells cut off would be of no use
    Console(width=max(Console().width, needed)).print(printed)
    for line in remarks(document):
        print(line)


def title(document: Mapping[str, Any]) -> str:
    """What stands above the table: split, questions, candidates."""
    questions, whole = document["questions"], document["of_questions"]
    of_all = "" if questions == whole else f" of {whole:,}"
    return (
        f"teachers on {document['split']}: {questions:,}{of_all} questions, "
        f"{document['candidates']:.0f} candidates each, in %"
    )


def remarks(document: Mapping[str, Any]) -> Iterator[str]:
    """What stands under the table: how to read it, what was left out, and what each teacher is."""
    reference, teachers = document["reference"], document["teachers"]
    yield (
        f"+ and - are better and worse than {reference}, the retriever's order: paired "
        f"randomisation test, p < {LEVEL:g} after Holm's correction for {len(teachers) - 1} "
        f"teachers; tau-b is Kendall's, to {reference}"
    )
    temperature = document["temperature"]
    yield (
        f"entropy is that of {targets(document)}, as a share of the largest there is "
        f"({temperature['of']})"
    )
    yield from left_out(document)
    for name, numbers in teachers.items():
        yield f"{name}: {described(numbers)}"
    if document["curve"]:
        yield best_weight(document)
    yield from generators(document)
    yield from document["remarks"]


def targets(document: Mapping[str, Any]) -> str:
    """The distribution that a loss makes of the scores."""
    temperature = document["temperature"]["value"]
    if temperature is None:
        return "scores / their sum"
    return f"softmax(scores / {temperature:g})"


def left_out(document: Mapping[str, Any]) -> Iterator[str]:
    """How many questions are not compared, and why."""
    missing = document["of_questions"] - document["questions"]
    if not missing:
        return
    reasons = []
    for name, numbers in document["teachers"].items():
        for reason, count in numbers["left_out"].items():
            reasons.append(f"{name} {count:,} ({reason})")
    yield (
        f"left out: {missing:,} of {document['of_questions']:,} questions, which not all teachers "
        f"can score: {', '.join(reasons)}"
    )


def described(numbers: Mapping[str, Any]) -> str:
    """What a teacher is, what it needs, and what its scores cost."""
    needs = f"; needs {', '.join(numbers['needs'])}" if numbers["needs"] else ""
    cached = f"; {numbers['cached']:,} of {numbers['scored']:,} questions were in the cache"
    return f"{numbers['class']}, {numbers['origin']}{needs}{cached}{_costs(numbers['costs'])}"


def _costs(costs: Mapping[str, Any] | None) -> str:
    known = {name: value for name, value in (costs or {}).items() if value is not None}
    if not known:
        return ""
    return "; " + ", ".join(f"{value:,} {name}" for name, value in known.items())


def best_weight(document: Mapping[str, Any]) -> str:
    """At which point of the curve the order is best on these questions."""
    curve = document["curve"]
    points = curve["points"]
    metric = next((m for m in ("nDCG@5", "gold_nDCG@5") if m in points[0]["means"]), None)
    if metric is None:
        return f"curve from {curve['second']} to {curve['first']}: no question can judge it"
    best = max(points, key=lambda point: point["means"][metric])
    ends = [f"{100 * points[place]['means'][metric]:.1f}" for place in (0, -1)]
    configured = curve["configured"]
    as_it_is = "" if configured is None else f"; the configuration has {configured:g}"
    return (
        f"curve from {curve['second']} ({ends[0]}) to {curve['first']} ({ends[1]}): {metric} is "
        f"best on these questions at weight {best['weight']:.1f} of {curve['first']}, "
        f"{100 * best['means'][metric]:.1f}{as_it_is}"
    )


def generators(document: Mapping[str, Any]) -> Iterator[str]:
    """What each generator was asked, what it did not answer, and whether it reads at all."""
    for found in document["generators"]:
        name, total = found["name"] or found["class"], found["total"]
        spent = "" if total["spent"] is None else f", {total['spent']:.2f} dollars"
        yield (
            f"{name}: read the top {' and '.join(map(str, document['top_k']))} of each order; "
            f"{total['prompts']:,} prompts, {total['cached']:,} of them in the cache{spent}"
        )
        if found["failed_questions"]:
            yield (
                f"WARNING: {name}: {found['failed_questions']:,} of {found['questions']:,} "
                "questions are left out of its figures, since an answer about them could not be "
                "had; the next run asks again"
            )
        if found["constant"]:
            yield (
                f"WARNING: {name} answers {found['constant'][0]}, whatever it reads: its figures "
                "say nothing of the teachers"
            )
