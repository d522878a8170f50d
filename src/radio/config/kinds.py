"""What an annotation allows, as far as merging must know it."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from jsonargparse._parameter_resolvers import get_signature_parameters


@dataclass(frozen=True)
class Kind:
    """What an annotation allows, as far as merging must know it."""

    classes: tuple[type[Any], ...] = ()
    """Base classes of the parts that fit."""
    record: type[Any] | None = None
    """A dataclass, whose fields are given by key."""
    items: Any = None
    """Annotation of the items, where a list of parts fits."""
    entries: Any = None
    """Annotation of the values, where a dictionary of parts fits."""
    text: bool = False
    nothing: bool = False


def kind_of(annotation: object) -> Kind:
    """Take an annotation apart."""
    members = _members(annotation)
    classes, record, items, entries = [], None, None, None
    for member in members:
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if inspect.isclass(member) and dataclasses.is_dataclass(member):
            record = member
        elif inspect.isclass(origin) and issubclass(origin, Mapping) and len(arguments) == 2:
            entries = arguments[1] if _holds_parts(arguments[1]) else None
        elif inspect.isclass(origin) and issubclass(origin, Iterable) and arguments:
            items = arguments[0] if _holds_parts(arguments[0]) else None
        elif inspect.isclass(member) and _is_part(member):
            classes.append(member)
    text = any(member is str or typing.get_origin(member) is typing.Literal for member in members)
    return Kind(tuple(classes), record, items, entries, text, type(None) in members)


def _members(annotation: object) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return tuple(m for part in typing.get_args(annotation) for m in _members(part))
    return (annotation,)


def _is_part(kind: type[Any]) -> bool:
    plain = issubclass(kind, Enum | Path | dict | list | tuple) or kind.__module__ in {
        "builtins",
        "datetime",
        "inspect",
    }
    return not plain and kind is not Any


def _holds_parts(annotation: object) -> bool:
    kind = kind_of(annotation)
    return bool(kind.classes or kind.record)


@dataclass(frozen=True)
class Argument:
    """What a class says of one of its arguments."""

    annotation: Any
    default: Any
    """``inspect.Parameter.empty`` where there is none."""


_read: dict[type[Any], Mapping[str, Argument]] = {}


def arguments_of(kind: type[Any]) -> Mapping[str, Argument]:
    """The arguments of a class, by name.

    Read once: it takes the source of the class and of all that it passes ``**kwargs`` on to.
    """
    if kind not in _read:
        found = get_signature_parameters(kind)
        _read[kind] = {p.name: Argument(p.annotation, p.default) for p in found}
    return _read[kind]


def parameters(kind: type[Any]) -> dict[str, Any]:
    """Annotations of the arguments of a class, by name."""
    return {name: argument.annotation for name, argument in arguments_of(kind).items()}
