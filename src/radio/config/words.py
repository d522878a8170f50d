"""The words of a command line, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radio.config.files import read_config
from radio.config.keys import put
from radio.config.shipped import find_config
from radio.config.sources import COMMAND_LINE, Source
from radio.config.values import Raw
from radio.schema import InputError

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""What word processors and chat programs make of ``--``."""

CONFIG = "config"
"""Key of a config file that names others."""


@dataclass
class Words:
    """A command line, taken apart."""

    configs: list[str]
    options: Source
    asked: list[str]
    """``--help`` and its kin, as typed."""
    print_config: str | None = None
    """The flags of ``--print_config``."""


def read_words(words: Sequence[str]) -> Words:
    """Take a command line apart.

    A value is the word that follows its option, whatever it begins with, unless it begins with
    ``--``.

    Raises:
        InputError: an option without a value, or a word that belongs to no option.
    """
    found = Words([], Source(COMMAND_LINE, {}), [])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in {"-h", "--help"}:
            found.asked = [word]
            return found
        if not word.startswith("--") and word != "-c":
            hint = (
                f"; did you mean --config {word}?"
                if word.endswith((".yaml", ".yml", ".json"))
                else ""
            )
            if word[0:1] in DASHES:
                meant = f"--{word.lstrip(DASHES + '-')}"
                hint = f"; it begins with a dash of typography: did you mean {meant}?"
            raise InputError(f"found {word!r}, which belongs to no option{hint}")
        option, equals, value = word.partition("=")
        if option == "--print_config":
            found.print_config = value
            continue
        has_value = bool(equals)
        if not has_value and rest and not rest[0].startswith("--"):
            value, has_value = rest.pop(0), True
        if option.endswith(".help"):
            found.asked = [option, *([value] if has_value else [])]
            return found
        if not has_value:
            raise InputError(f"option {option}: found no value, expected one after it")
        if option in {"-c", "--config"}:
            if not value:
                raise InputError(
                    f"option {option}: found an empty name, expected a YAML or JSON file"
                )
            found.configs.append(value)
            continue
        key = option.removeprefix("--")
        path = tuple(key.split("."))
        if "" in path:
            raise InputError(
                f"option {option}: found an empty part between dots, expected --KEY.KEY VALUE"
            )
        found.options.typed[(*path[:-1], path[-1].rstrip("+"))] = option
        put(found.options.tree, path, Raw(value), found.options)
    return found


def sources(words: Words) -> list[Source]:
    """The config files in their order, then the command line, which wins over all of them.

    What a file names under ``config`` comes before it.

    Raises:
        InputError: a file cannot be read, or names itself.
    """
    files = [source for name in words.configs for source in _with_named(name, "--config", ())]
    return [*files, words.options]


def _with_named(name: str, option: str, above: tuple[str, ...]) -> list[Source]:
    """The configs that a config names, each with those that it names itself, then it."""
    path = find_config(name)
    if path in above:
        raise InputError(f"{option} {name}: this config names itself")
    source = read_config(path, option)
    found = []
    for place, further in _named_configs(source):
        found += _with_named(further, place, (*above, path))
    return [*found, source]


def _named_configs(source: Source) -> list[tuple[str, str]]:
    """Place and name of each config under ``config``, which is taken out: one, a list of them, or
    one by a label each; null names none.

    Labelled ones are in the order of their labels: a sweep gives them in any.
    """
    given = source.tree.get(CONFIG)
    if isinstance(given, dict):
        listed = [(source.place((CONFIG, label)), given[label]) for label in sorted(given)]
    else:
        names = given if isinstance(given, list) else [given]
        listed = [(source.place((CONFIG,)), name) for name in names]
    for place, name in listed:
        if name is not None and not isinstance(name, str):
            raise InputError(
                f"{place}: found {name!r}, expected the name of a config, as after --config, a "
                "list of them, or null"
            )
    source.tree = {key: value for key, value in source.tree.items() if key != CONFIG}
    return [(place, name) for place, name in listed if name is not None]
