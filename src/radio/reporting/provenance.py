"""Where the numbers come from: versions, commands, seeds, settings that differ, costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from radio.comparing.reading import RunResults
from radio.reporting.texts import as_text
from radio.secrecy import plain

NOT_OF_INTEREST = ("name", "overwrite", "ckpt_path")
"""Keys that tell runs apart and do not say how."""

ABSENT = "-"
"""What a run has for a key that its config lacks."""


class Origin(NamedTuple):
    """A run, as the page names it."""

    name: str
    facts: Mapping[str, str]
    config: str
    """The whole of it but for secrets, as JSON-like lines."""


class Setting(NamedTuple):
    """A key of the config that is not the same in all runs."""

    key: str
    values: Sequence[str]


class Cost(NamedTuple):
    """What a generator was asked and what it took."""

    run: str
    generator: str
    facts: Mapping[str, str]


def origins(runs: Sequence[RunResults], split: str) -> list[Origin]:
    """Each run with what is known of where it comes from."""
    return [Origin(run.name, _facts(run, split), _lines(run)) for run in runs]


def _facts(run: RunResults, split: str) -> dict[str, str]:
    """Label -> what is known; nothing is left out that is not known."""
    mark = run.mark
    finished = "no: training has not ended" if run.unfinished else "yes"
    facts = {
        "command": f"radio {mark['command']}" if mark.get("command") else "unknown",
        "radio": str(mark.get("radio", "unknown")),
        "results": f"version {run.version}",
        "run": str(mark.get("run", "unknown")),
        "finished": finished,
        "seed": "unknown" if run.seed is None else str(run.seed),
        "precision": str(run.note("precision", split) or "unknown"),
    }
    for generator in run.generators(split):
        name = generator.get("name") or generator.get("class")
        facts[f"fingerprint of {name}"] = str(generator.get("fingerprint"))[:16]
    return facts


def _lines(run: RunResults) -> str:
    return "\n".join(f"{key}: {value}" for key, value in flat(plain(run.config)) if key)


def flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each setting of a config with the keys that lead to it."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flat(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for number, item in enumerate(value):
            yield from flat(item, f"{place}.{number}")
    else:
        yield place, as_text(value)


def differing(runs: Sequence[RunResults]) -> list[Setting]:
    """What of the configs is not the same in all runs."""
    settings = [dict(flat(plain(run.config))) for run in runs]
    found = []
    for key in dict.fromkeys(key for one in settings for key in one):
        values = [one.get(key, ABSENT) for one in settings]
        if len(set(values)) > 1 and key not in NOT_OF_INTEREST:
            found.append(Setting(key, values))
    return found


def costs(runs: Sequence[RunResults], split: str) -> list[Cost]:
    """What the generators of each run took, as the run has noted it."""
    found = []
    for run in runs:
        for generator in run.generators(split):
            total = generator.get("total") or {}
            if total:
                name = generator.get("name") or generator.get("class")
                found.append(Cost(run.name, str(name), _cost(total)))
    return found


def _cost(total: Mapping[str, Any]) -> dict[str, str]:
    seconds, dollars = total.get("seconds"), total.get("dollars")
    counts = {
        label: f"{total.get(key) or 0:,}"
        for label, key in (
            ("prompts", "prompts"),
            ("from the cache", "cached"),
            ("failed", "failed"),
            ("tokens in", "prompt_tokens"),
            ("tokens out", "completion_tokens"),
        )
    }
    return {
        **counts,
        "seconds": f"{seconds:,.0f}" if seconds else "not measured",
        "dollars": "none" if dollars is None else f"{dollars:,.2f}",
    }
