"""The file that says what is crossed with what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from radio.config.files import read_config
from radio.config.shipped import find_config, similar
from radio.models.exported import export_of, exported_class
from radio.ranges import check
from radio.schema import InputError

T = TypeVar("T")

RETRIEVER = "retriever"
"""The order before any reranker; it needs none and is in each dataset's table."""

SPLITS = ("validation", "test")
KEYS = ("name", "folder", "split", "top_k", "baseline", "datasets", "rerankers", "generators")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
"""Of a dataset, reranker or generator: it is part of file names and of metrics' names."""

Tree = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A dataset or a reranker: the config of a ``radio`` command."""

    configs: tuple[str, ...] = ()
    """Files, in the order in which they are merged."""
    trees: tuple[Tree, ...] = ()
    """Keys that stand in no file, merged after them."""
    fused: Tree | None = None
    """Of a reranker: the callback that merges its ranking with the retriever's."""


@dataclass(frozen=True)
class Matrix:
    """What is crossed with what."""

    name: str
    folder: Path
    """Of all its runs."""
    split: str
    top_k: int
    """Passages that the generators read."""
    baseline: str
    """The reranker that the others are compared with, or :data:`RETRIEVER`."""
    datasets: dict[str, Entry]
    rerankers: dict[str, Entry]
    generators: dict[str, Tree]
    """``class_path`` and ``init_args`` of each."""


def read_matrix(path: str) -> Matrix:
    """Read a matrix file; nothing in it is loaded yet.

    Args:
        path: of the file, or the name of one that comes with radio (``matrices/published``).

    Raises:
        InputError: names the key, what was found and what is expected.
    """
    source = read_config(find_config(path))
    tree = source.tree
    for key in tree:
        if key not in KEYS:
            raise InputError(f"{path}: found the key {key!r}, expected some of {', '.join(KEYS)}")
    place = f"{path}: "
    datasets = _named(place, tree, "datasets", _dataset)
    rerankers = _named(place, tree, "rerankers", _reranker)
    generators = _named(place, tree, "generators", _generator)
    name, split = str(tree.get("name") or "transfer"), tree.get("split", "test")
    top_k, baseline = tree.get("top_k", 5), tree.get("baseline", RETRIEVER)
    if not NAME.fullmatch(name):
        raise InputError(f"{place}name: found {name!r}, expected letters, digits, '.' and '-'")
    if split not in SPLITS:
        raise InputError(f"{place}split: found {split!r}, expected {' or '.join(SPLITS)}")
    if RETRIEVER in rerankers:
        raise InputError(
            f"{place}rerankers: found the name {RETRIEVER!r}, which the retriever's own order has; "
            "expected another one"
        )
    if baseline not in (RETRIEVER, *rerankers):
        raise InputError(
            f"{place}baseline: found {baseline!r}, expected one of "
            f"{', '.join([RETRIEVER, *rerankers])}"
        )
    if not isinstance(top_k, int):
        raise InputError(f"{place}top_k: found {top_k!r}, expected one whole number")
    check("radio transfer", {"top_k": top_k})
    return Matrix(
        name,
        Path(str(tree.get("folder") or "runs")) / name,
        split,
        top_k,
        baseline,
        datasets,
        rerankers,
        generators,
    )


def _named(
    place: str, tree: Mapping[str, Any], key: str, read: Callable[[str, Any], T]
) -> dict[str, T]:
    """The entries under a key, by their names."""
    given = tree.get(key)
    if not isinstance(given, dict) or not given:
        raise InputError(
            f"{place}{key}: found {given!r}, expected at least one name with what it stands for"
        )
    found = {}
    for name, value in given.items():
        where = f"{place}{key}: {name}"
        if not NAME.fullmatch(str(name)):
            raise InputError(f"{where}: expected a name of letters, digits, '.' and '-'")
        found[str(name)] = read(where, value)
    return found


def _dataset(where: str, value: Any) -> Entry:
    return _entry(where, value, "data")


def _reranker(where: str, value: Any) -> Entry:
    if isinstance(value, str) and not _is_config(value):
        is_folder = Path(value).expanduser().is_dir()
        if is_folder or ("/" in value and not value.endswith((".yaml", ".yml", ".json"))):
            name = export_of(value)
            # an export brings its class and settings; what says nothing is of the most usual kind
            part = {"class_path": exported_class(name) or "CrossEncoder"}
            return Entry(trees=({"model": {**part, "init_args": {"model": name}}},))
    entry = _entry(where, value, "model")
    trees = (*(read_config(path).tree for path in entry.configs), *entry.trees)
    models = tuple({"model": tree["model"]} for tree in trees if "model" in tree)
    if not models:
        raise InputError(f"{where}: found no key 'model' in {value!r}, expected that of a reranker")
    # another retriever or sampler would be another dataset: the model counts, and with what its
    # ranking is merged
    merges = [one for tree in trees for one in _callbacks(tree) if one.get("class_path") == "Fused"]
    return Entry(trees=models, fused=merges[-1] if merges else None)


def _entry(where: str, value: Any, part: str) -> Entry:
    """Names of configs, or keys of one; ``class_path`` alone is that of the part."""
    if isinstance(value, dict):
        return Entry(trees=({part: value} if "class_path" in value else value,))
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(
            f"{where}: found {value!r}, expected the name of a config, a list of such names, or "
            "the keys of one"
        )
    return Entry(configs=tuple(_config(where, name) for name in names))


def _generator(where: str, value: Any) -> Tree:
    if isinstance(value, dict) and "class_path" in value:
        return value
    if not isinstance(value, str):
        raise InputError(
            f"{where}: found {value!r}, expected the name of a config in generators/, or a "
            "class_path with its init_args"
        )
    tree = read_config(_config(where, value)).tree
    generators = [one.get("init_args", {}).get("generator") for one in _callbacks(tree)]
    found = [generator for generator in generators if isinstance(generator, dict)]
    if len(found) != 1:
        raise InputError(
            f"{where}: found {len(found)} generators in {value}, expected one: a callback "
            "GeneratorInTheLoop with a generator, as in generators/claude"
        )
    return dict(found[0])


def _callbacks(tree: Tree) -> list[Tree]:
    """The callbacks of a config, those that it adds among them."""
    trainer = tree.get("trainer", {})
    return [*(trainer.get("callbacks") or []), *(trainer.get("callbacks+") or [])]


def _config(where: str, name: str) -> str:
    """The file that a name means."""
    path = find_config(name)
    if not Path(path).is_file():
        near = similar(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "radio configs lists them"
        raise InputError(f"{where}: found {name!r}, which is no config; {hint}")
    return path


def _is_config(name: str) -> bool:
    return Path(find_config(name)).is_file()
