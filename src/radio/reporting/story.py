"""What was done, in three sentences, and what came of it, in one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from radio.comparing.choosing import Comparison
from radio.comparing.comparison import Difference
from radio.comparing.matching import Matched
from radio.comparing.reading import RunResults
from radio.comparing.rows import Row

Part = Mapping[str, Any]


def sentences(runs: Sequence[RunResults], found: Matched) -> list[str]:
    """Which questions, which training, which reader."""
    return [
        _questions(runs, found),
        _training(runs),
        _reading(runs[0], found.split),
    ]


def verdict(comparison: Comparison, after: Row, difference: Difference | None) -> str:
    """What the primary measure says of the two systems."""
    measure = comparison.measures[0]
    if difference is None:
        return f"{after.name} and {comparison.baseline} have no question with {measure} in common"
    means = comparison.figures.means[measure]
    before, now = means[comparison.baseline].mean, means[after.name].mean
    moved = f"{measure} goes from {percent(before)} to {percent(now)} %"
    if difference.shown:
        return f"{moved}, which is shown to be more than chance"
    return f"{moved}, which is not shown to be more than chance"


def _questions(runs: Sequence[RunResults], found: Matched) -> str:
    config = runs[0].config
    data, settings = _class(config.get("data")), _settings(config.get("data"))
    # of one's own files, the class is no name
    own = data == "JsonlDataModule"
    name = settings.get("dataset") or ("" if own else data.removesuffix("DataModule"))
    dataset = f" of {_words(name)}" if name else ""
    several = f", in {len(runs)} runs" if len(runs) > 1 else ""
    left = sum(found.left_out.values())
    without = f" ({left:,} that the runs do not share are left out)" if left else ""
    candidates = settings.get("eval_candidates")
    many = f"up to {candidates} passages" if candidates else "the passages"
    retriever = _class(settings.get("retriever"))
    by = f" that {retriever} had found" if retriever else " that the retriever had found"
    count = len(found.questions)
    return (
        f"{count:,} {found.split} question{'s' * (count != 1)}{dataset} were asked{several}"
        f"{without}, and a reranker put {many}{by} into order."
    )


def _training(runs: Sequence[RunResults]) -> str:
    config = runs[0].config
    model, settings = _class(config.get("model")), _settings(config.get("model"))
    if not model:
        return "The run folder has no config: what was trained, and how, is not known."
    weights = settings.get("model")
    of = f" from {weights}" if isinstance(weights, str) else ""
    if runs[0].mark.get("command") not in (None, "fit"):
        return f"The reranker, a {model}{of}, was evaluated and not trained."
    loss = _class(settings.get("loss")) or "its own loss"
    teacher = " of ".join(_parts(_settings(config.get("data")).get("teacher")))
    taught = f", on the scores of the teacher {teacher}" if teacher else ""
    epochs = _settings({"init_args": config.get("trainer")}).get("max_epochs")
    epoch = f" for {epochs} epoch{'s' * (epochs != 1)}" if isinstance(epochs, int) else ""
    seeds = list(dict.fromkeys(run.seed for run in runs if run.seed is not None))
    named = ", ".join(map(str, seeds))
    seed = f" (seed{'s' * (len(seeds) > 1)} {named})" if seeds else ""
    return f"The reranker, a {model}{of}, was fine-tuned by {loss}{taught}{epoch}{seed}."


def _reading(run: RunResults, split: str) -> str:
    readers = run.generators(split)
    if not readers:
        return "No generator read the passages: what is measured is their order alone."
    told = []
    for reader in readers:
        model = (reader.get("settings") or {}).get("model")
        name = str(reader.get("class"))
        whole = f"{name} ({str(model).rstrip('/').rpartition('/')[2]})" if model else name
        depths = _listed([str(depth) for depth in depths_of(reader)])
        told.append(f"{whole} read the first {depths} of each order" if depths else whole)
    return f"{' and '.join(told)}, and its answers were set against the golden ones."


def depths_of(reader: Part) -> list[int]:
    """How many passages a generator has read: one number, or several."""
    given = reader.get("top_k") or []
    return [given] if isinstance(given, int) else list(given)


def _class(part: Any) -> str:
    """The bare name of a part's class; empty where the config has none."""
    path = part.get("class_path") if isinstance(part, Mapping) else None
    return str(path).rpartition(".")[2] if path else ""


def _settings(part: Any) -> Part:
    settings = part.get("init_args") if isinstance(part, Mapping) else None
    return settings if isinstance(settings, Mapping) else {}


def _parts(teacher: Any) -> Iterator[str]:
    """A teacher and those that it is made of: Gated, RationaleSimilarity."""
    name = _class(teacher)
    if name:
        yield name
        yield from _parts(_settings(teacher).get("teacher"))


def _words(name: str) -> str:
    """``NaturalQuestions`` as Natural Questions."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def percent(value: float) -> str:
    """In percent with one digit."""
    return f"{100 * value:.1f}"
