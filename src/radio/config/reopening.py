"""Parts of a run made again from the config in its folder: data and generators, no reranker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from radio.callbacks import GeneratorInTheLoop
from radio.config.classes import find_class
from radio.config.files import read_config
from radio.config.merging import Merge
from radio.config.parsing import RadioParser, argument_types, made_by
from radio.config.sources import Source, given
from radio.data.module import RationaleDataModule
from radio.schema import InputError


def parts_of(path: Path) -> tuple[RationaleDataModule, list[GeneratorInTheLoop]]:
    """Data module and generators in the loop of a config that a run has kept.

    The command has imported the data modules whose short names may stand there. Nothing is loaded
    yet; relative paths start at the working folder, as they did for the run.

    Raises:
        InputError: the config is not there, has no data module, or a part cannot be made.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, expected the config of the run, which says where its data are"
        )
    source = read_config(str(path), "RUN")
    whole = source.tree
    data = whole.get("data")
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: found no data, expected the data module of the run")
    loops = [node for node in _callbacks(whole) if _is_loop(node)]
    source.tree = {"data": data, "loops": loops}
    parser = RadioParser()
    parser.add_argument("--data", type=RationaleDataModule)
    parser.add_argument("--loops", type=list[GeneratorInTheLoop])
    parser.add_instantiator(made_by(), object)
    tree = Merge((RationaleDataModule,)).tree(argument_types(parser), [source])
    # messages are about the file as it is
    places = Source(source.name, whole)
    RadioParser.place, RadioParser.tree = staticmethod(partial(given, [places])), tree
    made = parser.instantiate_classes(parser.parse_object(tree))
    return made.data, list(made.loops)


def _callbacks(tree: Mapping[str, Any]) -> list[Any]:
    trainer = tree.get("trainer")
    found = trainer.get("callbacks") if isinstance(trainer, Mapping) else None
    if isinstance(found, Mapping | str):
        found = [found]
    return list(found or ())


def _is_loop(node: Any) -> bool:
    """Whether an entry of the callbacks is a generator in the loop, or a kind of one."""
    name = node.get("class_path") if isinstance(node, Mapping) else node
    if not isinstance(name, str):
        return False
    return issubclass(find_class(name, [L.Callback]), GeneratorInTheLoop)
