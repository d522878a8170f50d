"""Which runs are the same training with other seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import chain, count
from os.path import commonprefix
from typing import Any

from radio.comparing.reading import RunResults
from radio.schema import InputError

OF_THE_RUN = (
    "seed_everything",
    "name",
    "overwrite",
    "test_after_fit",
    "collapse_guard",
    "ckpt_path",
    "weights_only",
    "verbose",
    "return_predictions",
)
"""Keys of a config that say which run it is, and how its command ends."""

OF_THE_TRAINER = (
    "default_root_dir",
    "logger",
    "enable_progress_bar",
    "enable_model_summary",
    "log_every_n_steps",
    "profiler",
)
"""Keys of its trainer that say where a run is kept and how it is watched."""

SEEDS = ("seed", "seed_everything")
PLACES = ("cache_dir", "dirpath")


@dataclass(frozen=True)
class Group:
    """Runs of one configuration with different seeds; or what the user says are some.

    Args:
        name: shown.
        runs: at least one.
        twin_of: the run that has config and seed of this one, and is in another group for that.
    """

    name: str
    runs: tuple[RunResults, ...]
    twin_of: str = ""


def named_groups(options: Sequence[str]) -> dict[str, list[str]]:
    """Folders by the name of their group, as ``--group NAME=RUN,RUN`` names them: folders, or
    patterns of some.

    Raises:
        InputError: an option has another form, or a name is given twice.
    """
    groups: dict[str, list[str]] = {}
    for option in options:
        name, equals, places = option.partition("=")
        folders = [place.strip() for place in places.split(",") if place.strip()]
        if not (name and equals and folders):
            raise InputError(f"--group: found {option!r}, expected NAME=RUN,RUN,...")
        if name in groups:
            raise InputError(f"--group: found {name!r} twice, expected all runs of it in one")
        groups[name] = [path for folder in folders for path in sorted(glob(folder)) or [folder]]
    return groups


def grouped(
    runs: Sequence[RunResults], named: Mapping[str, Sequence[RunResults]] | None = None
) -> list[Group]:
    """Each run in one group: of the named ones first, the others by their configs, in their order.

    Two runs with the same config and the same seed are no two seeds of it (they may be of other
    checkpoints, or copies) and stay apart; so does one that has no config.

    Args:
        runs: to be grouped.
        named: groups that the user has put together, whatever their configs say.

    Raises:
        InputError: a run is in two of the named groups.
    """
    named = named or {}
    found = [Group(name, tuple(members)) for name, members in named.items()]
    placed: dict[str, str] = {}
    for group in found:
        for run in group.runs:
            if run.name in placed:
                raise InputError(
                    f"--group: found {run.name} in {placed[run.name]} and in {group.name}, "
                    "expected each run in one group"
                )
            placed[run.name] = group.name
    alike: dict[str, dict[str, RunResults]] = {}
    apart: dict[str, str] = {}
    for run in runs:
        if run.name not in placed:
            config, seeds = _without_seeds(run)
            first = alike.setdefault(config, {}).setdefault(seeds, run)
            if first is not run:
                apart[run.name] = first.name
                alike[run.name] = {seeds: run}
    for members in alike.values():
        names = [run.name for run in members.values()]
        taken = {group.name for group in found}
        # the name of another run is no name for these, whichever of them comes first
        taken |= {run.name for run in runs if run.name not in names}
        twin = apart.get(names[0], "")
        found.append(Group(_name(names, taken), tuple(members.values()), twin))
    return found


def _without_seeds(run: RunResults) -> tuple[str, str]:
    """What a run is the result of but for its seeds, and these, as texts to be compared."""
    if not run.config:
        return run.name, ""
    config = {key: value for key, value in run.config.items() if key not in OF_THE_RUN}
    if isinstance(config.get("trainer"), Mapping):
        trainer = config["trainer"].items()
        config["trainer"] = {key: value for key, value in trainer if key not in OF_THE_TRAINER}
    seeds: dict[str, Any] = {"": run.seed}
    return _text(_plain(config, "", seeds)), _text(seeds)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _plain(value: Any, place: str, seeds: dict[str, Any]) -> Any:
    """A value of a config without the places and seeds in it; the seeds are noted."""
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            if key in SEEDS:
                seeds[f"{place}.{key}"] = item
            elif key not in PLACES:
                kept[key] = _plain(item, f"{place}.{key}", seeds)
        return kept
    if isinstance(value, list):
        return [_plain(item, f"{place}.{number}", seeds) for number, item in enumerate(value)]
    return value


def _name(names: Sequence[str], taken: set[str]) -> str:
    """What the names of a group's runs begin with, without the number of a seed; where that says
    nothing or is taken, the first name that is not; where all are, the first one with a number."""
    possible = list(names)
    if len(names) > 1:
        beginning = commonprefix(possible)  # noqa: RUF071 -- letters are meant, no folders
        shared = re.sub(r"[-_.=/ ]*(?:seeds?)?[-_.=/ ]*\d*$", "", beginning)
        possible = [shared, *names] if shared else possible
    numbered = (f"{names[0]} ({number})" for number in count(2))
    return next(name for name in chain(possible, numbered) if name not in taken)
