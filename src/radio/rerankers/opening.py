"""A trained reranker from its folder: an exported one says itself which class ranks with it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from radio.models.exported import NOTE, class_name, export_of, exported
from radio.rerankers.base import Reranker
from radio.schema import InputError


def opened(name: str) -> Reranker:
    """The reranker of an exported folder, or of a run folder, with the settings that it was
    exported with; no weights are loaded.

    Args:
        name: the folder. A plain model, of a folder or of the hub, is read as a CrossEncoder.

    Raises:
        InputError: a run folder without an export, or a class that cannot be imported.
    """
    name = export_of(name)
    note = exported(name)
    kind = class_of(name, note.get("class", "CrossEncoder"))
    settings = {**note.get("init_args", {}), "model": name}
    found = _parser().instantiate_classes(_namespace(name, kind, settings))
    reranker: Reranker = found.model
    return reranker


def class_of(name: str, path: str) -> type[Reranker]:
    """The class of a reranker.

    Args:
        name: of the model, for messages.
        path: short name of a class of this package, import path of any other.

    Raises:
        InputError: it cannot be imported, or is no reranker.
    """
    module, _, kind = path.rpartition(".")
    try:
        found = getattr(import_module(module or "radio.rerankers"), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"model {name!r} is the export of {path}, which cannot be imported ({error}); run the "
            "command where its file is, or with the version of this package that made it"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Reranker)):
        raise InputError(f"model {name!r}: {NOTE}: class: found {path}, expected a Reranker")
    return found


def parsed(name: str, kind: type[Any], settings: dict[str, Any]) -> Any:
    """The settings of a reranker as the command line would have parsed them.

    Raises:
        InputError: they do not fit the class.
    """
    return _namespace(name, kind, settings).model


def _namespace(name: str, kind: type[Any], settings: dict[str, Any]) -> Any:
    from jsonargparse import ArgumentError

    path = f"{kind.__module__}.{kind.__qualname__}"
    try:
        return _parser().parse_object({"model": {"class_path": path, "init_args": settings}})
    except ArgumentError as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"model {name!r}: {NOTE} does not fit {class_name(kind)}: {first}"
        ) from None


def _parser() -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Reranker, "model")
    return parser
