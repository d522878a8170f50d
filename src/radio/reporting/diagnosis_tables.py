"""The tables and plots of a diagnosis, one for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from radio.reporting.plots import COLOURS, Chart, Forest, Value, chart_of, forest
from radio.reporting.story import percent
from radio.reporting.tables import p_value, signed

Document = Mapping[str, Any]

LEVEL = 0.05
"""Of the corrected p-values below which a gain is marked."""

NONE = "-"


class Row(NamedTuple):
    """A line of a table: the first cell is its name."""

    cells: Sequence[str]
    place: tuple[float, float, float] | None = None
    """Of the interval in the picture beside it, where it has one."""
    mark: str = ""
    """``better`` or ``worse`` where a difference is shown."""


class Part(NamedTuple):
    """What one test has found."""

    key: str
    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Row]
    picture: Forest
    """The axis of the picture beside the rows."""
    picture_of: str
    charts: Sequence[Chart]
    notes: Sequence[str]


SOURCES = {
    "training": "training questions",
    "rationales": "rationales",
    "candidates": "their candidates",
    "corpus": "the corpus",
}


def overlap(document: Document) -> Part | None:
    """Runs of words that stand elsewhere too."""
    found = document.get("overlap")
    if not found:
        return None
    shares, cells, short = {}, {}, {}
    for source, numbers in found["sources"].items():
        for size, counts in numbers["sizes"].items():
            name = f"{SOURCES[source]}, {size} tokens"
            share = counts["flagged"] / max(1, counts["questions"])
            shares[name] = (0.0, share, share)
            cells[name] = [
                name,
                f"{numbers['texts']:,}",
                f"{counts['questions']:,}",
                f"{counts['some']:,}",
                f"{counts['flagged']:,}",
                f"{percent(share)} %",
                f"{counts['short']:,}",
                f"{counts['short_flagged']:,}",
            ]
            short[size] = counts["short"]
    picture = forest(shares, sign="")
    rules = ", ".join(
        f"of {size} tokens {'one run' if share == 0 else f'{100 * share:.0f} % of the runs'}"
        for size, share in found["rules"].items()
    )
    notes = [f"A question is suspicious where enough of it stands there: {rules}."]
    if any(short.values()):
        lacking = ", ".join(f"{count:,} than {size}" for size, count in short.items())
        notes.append(f"Questions of fewer tokens are looked for as a whole: {lacking}.")
    return Part(
        "overlap",
        "Runs of words that stand elsewhere",
        "Questions of which runs of words stand in another text, word by word.",
        ["in", "texts", "questions", "some runs", "suspicious", "share", "short", "short found"],
        [Row(line, picture.cells.get(name), _alarm(shares[name])) for name, line in cells.items()],
        picture,
        "suspicious questions, %",
        [],
        notes,
    )


def near(document: Document) -> Part | None:
    """The nearest training question by embedding."""
    found = document.get("near")
    if not found:
        return None
    kinds = {
        "training question": (found["flagged"], found["nearest"], "tuned"),
        "other question": (
            found["reference"]["flagged"],
            found["reference"]["nearest"],
            "retriever",
        ),
    }
    total = found["questions"]
    shares, cells, lines, palette = {}, {}, {}, {}
    for name, (count, numbers, colour) in kinds.items():
        if not numbers["bins"]:
            continue
        share = count / max(1, total)
        shares[name] = (0.0, share, share)
        quantiles = [numbers["quantiles"][key] for key in ("0.05", "0.5", "0.95", "1")]
        cells[name] = [f"nearest {name}", f"{total:,}", f"{count:,}", f"{percent(share)} %"]
        cells[name] += [f"{value:.2f}" for value in quantiles]
        short = name.partition(" ")[0]
        lines[short] = _histogram(numbers, total)
        palette[short] = colour
    picture = forest(shares, sign="")
    ends = [value.x for line in lines.values() for value in line]
    low, high = min([*ends, found["threshold"]]), max([*ends, found["threshold"], 1.0])
    ticks = [number / 10 for number in range(-10, 11) if low - 0.05 <= number / 10 <= high + 0.05]
    chart = chart_of(
        "Cosine of the nearest question",
        "cosine, in steps of 0.05",
        lines,
        palette,
        [(tick, f"{tick:g}") for tick in ticks],
        limit=(found["threshold"], f"threshold {found['threshold']:g}"),
    )
    return Part(
        "near",
        f"Near duplicates, cosine of {found['threshold']:g} or more",
        "The nearest training question of each question by embedding; beside it the nearest other "
        "question of the same split, which is no copy.",
        ["by embedding", "questions", "suspicious", "share", "5 %", "median", "95 %", "largest"],
        [Row(line, picture.cells.get(name), _alarm(shares[name])) for name, line in cells.items()],
        picture,
        "questions at or above the threshold, %",
        [chart],
        [
            f"Encoder: {found['encoder']}; {found['training']:,} training questions. What cosine a "
            "paraphrase has hangs on the encoder: a threshold that many questions of one split "
            "reach among themselves is too low."
        ],
    )


def _alarm(place: tuple[float, float, float]) -> str:
    """How a share of suspicious questions is drawn."""
    return "worse" if place[1] > 0 else ""


def _histogram(numbers: Mapping[str, Any], total: int) -> list[Value]:
    """Shares of the questions at the middle of each bar, with an empty one at either end."""
    edges, counts = numbers["bins"], numbers["counts"]
    width = edges[1] - edges[0]
    middles = [edge + width / 2 for edge in edges[:-1]]
    values = [Value(x, count / total) for x, count in zip(middles, counts, strict=True)]
    return [
        Value(max(-1.0, middles[0] - width), 0.0),
        *values,
        Value(min(1.0, middles[-1] + width), 0.0),
    ]


def memory(document: Document) -> Part | None:
    """Questions that a generator answers without any passage."""
    found = document.get("closed_book")
    if not found:
        return None
    shares, cells = {}, {}
    for note in found:
        name = note["generator"] or note["model"]
        shares[name] = (note["low"], note["mean"], note["high"])
        where = "the results" if note["from"] == "results" else "asked now"
        interval = f"{percent(note['mean'])} [{percent(note['low'])}, {percent(note['high'])}]"
        cells[name] = [name, note["metric"], f"{note['questions']:,}", f"{note['right']:,}"]
        cells[name] += [interval, where]
    picture = forest(shares, sign="")
    return Part(
        "closed_book",
        "Answered without any passage",
        "Questions whose answer the generator knows by itself: no passage can help there.",
        ["generator", "measure", "questions", "right", "mean, %", "from"],
        [Row(line, picture.cells.get(name)) for name, line in cells.items()],
        picture,
        "mean without passages, %",
        [],
        [],
    )


def subsets(document: Document) -> Part | None:
    """The results with and without questions that are suspicious."""
    found = document.get("results")
    if not found:
        return None
    rows: list[tuple[str, int, Mapping[str, Any]]] = []
    for measure in found["measures"]:
        for row in found["subsets"]:
            name = row["name"] if measure == found["measures"][0] else f"{row['name']}, {measure}"
            rows.append((name, row["questions"], row["measures"][measure]))
    return _gains(
        document,
        rows,
        "results",
        f"{found['measures'][0]} with and without the suspicious questions",
        "The same results for parts of the questions.",
        "questions",
    )


def categories(document: Document) -> Part | None:
    """The same by category."""
    found = document.get("results", {}).get("categories")
    if not found:
        return None
    measure = document["measure"]
    rows = []
    for row in found:
        rows.append(
            (f"{row['category']}, {row['name']}", row["questions"], row["measures"][measure])
        )
    return _gains(
        document,
        rows,
        "categories",
        f"{measure} by category",
        "The same for each category of the subjects.",
        "questions",
    )


def _gains(
    document: Document,
    rows: Sequence[tuple[str, int, Mapping[str, Any]]],
    key: str,
    title: str,
    about: str,
    heading: str,
) -> Part:
    pair = document["pair"]
    picture = forest({name: _interval(numbers["gain"]) for name, _, numbers in rows})
    shown = []
    for name, count, numbers in rows:
        cells = [name, f"{count:,}", *(_mean(numbers, system) for system in pair)]
        cells += _gain_cells(numbers["gain"])
        shown.append(Row(cells, picture.cells.get(name), _mark(numbers["gain"])))
    return Part(
        key,
        title,
        about,
        [heading, "n", *pair, f"{pair[1]} - {pair[0]}", "p (Holm)", "won/lost"],
        shown,
        picture,
        f"{pair[1]} - {pair[0]}, points",
        [],
        [
            "In percent, with 95 % intervals by bootstrap; p by a paired sign-flip test, corrected "
            "for the rows of a measure."
        ],
    )


def variants(document: Document, test: str, title: str, heading: str) -> Iterator[Part]:
    """What came of a test of robustness: a table for each generator."""
    for note in document.get(test, ()):
        for measure, rows in note["measures"].items():
            # one table each: further measures of an answer are in the file
            if note["model"] is None or measure == note["metric"]:
                yield _variants(document, test, note, measure, rows, title, heading)


def _variants(
    document: Document,
    test: str,
    note: Mapping[str, Any],
    measure: str,
    rows: Sequence[Mapping[str, Any]],
    title: str,
    heading: str,
) -> Part:
    pair = document["pair"]
    systems = list(dict.fromkeys(name for row in rows for name in row["systems"]))
    picture = forest({row["variant"]: _interval(row["gain"]) for row in rows})
    shown = []
    for row in rows:
        cells = [row["variant"], *(_mean(row, system) for system in systems)]
        cells += _gain_cells(row["gain"])
        cells.append(_points(row["change"]))
        shown.append(Row(cells, picture.cells.get(row["variant"]), _mark(row["gain"])))
    reader = note["generator"] or note["model"]
    counts = {row["gain"]["questions"] for row in rows if row["gain"]}
    many = f"{max(counts):,} questions" if counts else "no question in common"
    of_reader = f", read by {reader}" if reader else ""
    columns = [heading, *systems, f"{pair[1]} - {pair[0]}", "p (Holm)", "won/lost"]
    return Part(
        f"{test}-{measure}",
        f"{title}: {measure}{of_reader}",
        f"{many}. The last column is the change of the gain against {note['reference']}.",
        [*columns, "change of the gain"],
        shown,
        picture,
        f"{pair[1]} - {pair[0]}, points",
        [_curve(measure, heading, rows, systems)] if test != "order" else [],
        list(_notes(test, note)),
    )


def _curve(
    measure: str, heading: str, rows: Sequence[Mapping[str, Any]], systems: Sequence[str]
) -> Chart:
    """Each system over the variants."""
    lines: dict[str, list[Value]] = {}
    for place, row in enumerate(rows):
        for system in systems:
            numbers = row["systems"].get(system)
            if numbers:
                value = Value(place, numbers["mean"], numbers["low"], numbers["high"])
                lines.setdefault(system, []).append(value)
    palette = {system: COLOURS.get(system, f"other{n % 4}") for n, system in enumerate(systems)}
    labels = [(float(place), row["variant"]) for place, row in enumerate(rows)]
    across = "passages that are read" if heading == "k" else "distractors"
    return chart_of(measure, across, lines, palette, labels)


def _notes(test: str, note: Mapping[str, Any]) -> Iterator[str]:
    if "depth" in note:
        yield f"The first {note['depth']:,} passages of each order."
    if note.get("without"):
        yield f"{note['without']:,} questions with too few distractors are left out."
    repeated = note.get("repeated", {"same": 0, "other": 0})
    whole = repeated["same"] + repeated["other"]
    if repeated["other"]:
        yield (
            f"WARNING: {repeated['other']:,} of {whole:,} answers from the run's own passages are "
            "not those of its results: data, corpus or generator have changed since, or it does "
            "not always answer alike."
        )
    elif whole:
        yield f"All {whole:,} answers from the run's own passages are those of its results."
    if note.get("failed"):
        yield (
            f"WARNING: {note['failed']:,} questions are left out, since an answer about them could "
            "not be had; the next run asks again."
        )
    costs = note.get("costs")
    if costs:
        spent = "" if costs["spent"] is None else f", {costs['spent']:.2f} dollars"
        yield f"{costs['prompts']:,} prompts, {costs['cached']:,} of them in the cache{spent}."


def _interval(gain: Mapping[str, Any] | None) -> tuple[float, float, float]:
    if gain is None:
        return float("nan"), float("nan"), float("nan")
    return gain["low"], gain["difference"], gain["high"]


def _mean(numbers: Mapping[str, Any], system: str) -> str:
    found = numbers["systems"].get(system)
    if found is None:
        return NONE
    return f"{percent(found['mean'])} [{percent(found['low'])}, {percent(found['high'])}]"


def _points(gain: Mapping[str, Any] | None) -> str:
    if gain is None:
        return NONE
    return f"{signed(gain['difference'])} [{signed(gain['low'])}, {signed(gain['high'])}]"


def _gain_cells(gain: Mapping[str, Any] | None) -> list[str]:
    if gain is None:
        return [NONE, NONE, NONE]
    return [_points(gain), p_value(gain["p_holm"]), f"{gain['won']:,}/{gain['lost']:,}"]


def _mark(gain: Mapping[str, Any] | None) -> str:
    if gain is None or not gain["p_holm"] < LEVEL or gain["low"] <= 0 <= gain["high"]:
        return ""
    return "better" if gain["difference"] > 0 else "worse"
