"""One configuration of several sources, by the signatures of the classes that they name.

jsonargparse merges by key: a class that takes the place of another keeps its settings of the same
name, and a key that is no argument is found late. Here each place of a class is known as one, so
that

* a class that is named anew starts from its own defaults (what all rerankers, or all data modules,
  have in common stays with ``model`` and ``data``),
* a key that no argument has is named with the file or option that it came from.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from jsonargparse._parameter_resolvers import get_signature_parameters

from radio.config.classes import find_class
from radio.config.mistakes import unknown_key
from radio.config.options import (
    Dotted,
    Key,
    Raw,
    Source,
    is_class_like,
    read_config,
    read_text_value,
)
from radio.schema import InputError

Given = list[tuple[Source, Any]]
"""Values of one place, in the order of their sources."""


class Append(list[Any]):
    """Items that ``key+`` adds to a list."""


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


def kind_of(annotation: Any) -> Kind:
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


def _members(annotation: Any) -> tuple[Any, ...]:
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


def _holds_parts(annotation: Any) -> bool:
    kind = kind_of(annotation)
    return bool(kind.classes or kind.record)


def parameters(kind: type[Any]) -> dict[str, Any]:
    """Annotations of the arguments of a class, by name."""
    return {parameter.name: parameter.annotation for parameter in get_signature_parameters(kind)}


class Merge:
    """Merges values place by place.

    Args:
        roles: base classes of the whole parts (rerankers, data modules): what they have in common
            outlives a change of class.

    Attributes:
        notes: one line for each class that took the place of another and left settings behind.
    """

    def __init__(self, roles: Sequence[type[Any]]) -> None:
        self.roles = tuple(roles)
        self.notes: list[str] = []

    def tree(
        self, annotations: Mapping[str, Any], sources: Sequence[Source], path: Key = ()
    ) -> dict[str, Any]:
        """The merged tree of these keys; a key with a dot stands for a group of keys."""
        found: dict[str, Given] = {}
        for source in sources:
            if isinstance(source.tree, dict):
                _collect(found, source, source.tree)
        groups = {name.split(".")[0] for name in annotations if "." in name}
        result: dict[str, Any] = {}
        for name, given in found.items():
            place = (*path, name)
            if name in groups:
                inner = {
                    n.partition(".")[2]: a
                    for n, a in annotations.items()
                    if n.startswith(name + ".")
                }
                for source, value in given:
                    if value is not None and not isinstance(value, dict):
                        raise InputError(
                            f"{source.place(place)}: found {str(value)!r}, expected keys below it"
                        )
                parts = [dataclasses.replace(s, tree=value or {}) for s, value in given]
                result[name] = self.tree(inner, parts, place)
            elif name not in annotations:
                source = given[-1][0]
                raise InputError(
                    unknown_key(source.place(place), name, place, {*annotations, *groups})
                )
            else:
                result[name] = self.value(place, annotations[name], given)
        return result

    def value(self, path: Key, annotation: Any, given: Given) -> Any:
        """The merged value of one place."""
        kind = kind_of(annotation)
        for source, value in given:
            if value == "None" and isinstance(value, Raw) and kind.nothing:
                raise InputError(f"{source.place(path)}: found 'None'; write null for nothing")
        if kind.items and any(isinstance(_loaded(value), list) for _, value in given):
            return self._list(path, kind, given)
        if kind.classes:
            return self._part(path, kind, given)
        if kind.entries:
            return self._entries(path, kind, given)
        if kind.record:
            return self._record(path, kind, given)
        return _leaf(given, text=kind.text)

    def _list(self, path: Key, kind: Kind, given: Given) -> Any:
        items: list[tuple[Source, Any]] | None = []
        for source, value in given:
            loaded = _loaded(value)
            if isinstance(loaded, Append):
                items = [*(items or []), *((source, item) for item in loaded)]
            elif isinstance(loaded, list):
                items = [(source, item) for item in loaded]
            elif loaded is None:
                items = None
            elif isinstance(loaded, Dotted) and "class_path" not in loaded:
                name = ".".join(path)
                raise InputError(
                    f"{source.place(path)}: {name} is a list; say which item is meant: add one "
                    f"with --{name}+ CLASS before its arguments, or write the list in a config file"
                )
            else:
                items = [(source, loaded)]
        if items is None:
            return None
        return [self.value((*path, str(n)), kind.items, [item]) for n, item in enumerate(items)]

    def _entries(self, path: Key, kind: Kind, given: Given) -> Any:
        entries: dict[str, Given] | None = {}
        for source, value in given:
            loaded = _loaded(value)
            if not isinstance(loaded, Mapping):
                if loaded is not None:
                    return _leaf(given)
                entries = None
                continue
            if entries is None or not isinstance(loaded, Dotted):
                entries = {}
            _collect(entries, source, loaded)
        if entries is None:
            return None
        return {
            name: self.value((*path, name), kind.entries, values)
            for name, values in entries.items()
        }

    def _record(self, path: Key, kind: Kind, given: Given) -> Any:
        fields: dict[str, Given] | None = {}
        # the name of one that is written down, where the argument takes that too
        named: str | None = None
        for source, value in given:
            loaded = _loaded(value)
            if isinstance(loaded, str) and kind.text:
                fields, named = None, value
                continue
            if is_class_like(loaded):
                return _leaf(given)
            named = None
            if not isinstance(loaded, Mapping | None):
                assert kind.record is not None
                names = ", ".join(parameters(kind.record))
                raise InputError(
                    f"{source.place(path)}: found {str(value)!r}, expected its settings ({names}) "
                    "or null"
                )
            if loaded is None:
                fields = None
            else:
                fields = fields or {}
                _collect(fields, source, loaded)
        if fields is None:
            return None if named is None else str(named)
        assert kind.record is not None
        return self._arguments(path, kind.record, fields)

    def _part(self, path: Key, kind: Kind, given: Given) -> Any:
        """A class and its arguments; a different class starts from its own defaults."""
        current: type[Any] | None = None
        result: dict[str, Any] = {}
        arguments: dict[str, Given] = {}
        plain: Any = None
        switched: list[tuple[str, str, list[str], list[str]]] = []
        for source, value in given:
            loaded = _loaded(value)
            if isinstance(loaded, str) and Path(loaded).suffix in {".yaml", ".yml", ".json"}:
                loaded = read_config(str(loaded)).tree
            if isinstance(loaded, str) and not kind.text:
                loaded = {"class_path": str(loaded)}
            if not isinstance(loaded, Mapping):
                current, result, arguments, plain = None, {}, {}, loaded
                continue
            if kind.text and not is_class_like(loaded):
                current, result, arguments, plain = None, {}, {}, value
                continue
            name, inner, rest = self._split(path, source, loaded)
            if name is not None:
                try:
                    new = find_class(name, kind.classes)
                except InputError as error:
                    raise InputError(f"{source.place(path)}: {error}") from error.__cause__
                if current not in (None, new):
                    assert current is not None
                    kept = self._shared(path, current, new)
                    stay = [argument for argument in arguments if argument in kept]
                    leave = [argument for argument in arguments if argument not in kept]
                    switched.append((current.__name__, new.__name__, stay, leave))
                    arguments = {argument: arguments[argument] for argument in stay}
                    result = {}
                current, result["class_path"] = new, name
            _collect(arguments, source, inner)
            if rest:
                result["dict_kwargs"] = {**result.get("dict_kwargs", {}), **_leaf([(source, rest)])}
        if not arguments and current is None and not result:
            return str(plain) if isinstance(plain, str) else plain
        if current is None:
            current = self._only_class(path, kind, arguments)
            result["class_path"] = f"{current.__module__}.{current.__qualname__}"
        for old, new_name, stay, leave in switched:
            self._note(
                path, old, new_name, [name for name in stay if len(arguments[name]) == 1], leave
            )
        self._check_complete(
            path, given[-1][0], current, arguments, bool(result.get("dict_kwargs"))
        )
        if arguments:
            result["init_args"] = self._arguments(path, current, arguments)
        return result

    def _check_complete(
        self, path: Key, source: Source, kind: type[Any], arguments: Mapping[str, Given], more: bool
    ) -> None:
        missing = [
            p.name for p in get_signature_parameters(kind) if p.default is inspect.Parameter.empty
        ]
        missing = [name for name in missing if name not in arguments]
        if missing and not more:
            option = ".".join(name for name in path if not name.isdigit())
            names = " and ".join(f"--{option}.init_args.{name}" for name in missing)
            raise InputError(f"{source.place(path)}: {kind.__name__} also needs {names}")

    def _split(
        self, path: Key, source: Source, value: Mapping[str, Any]
    ) -> tuple[str | None, dict[str, Any], dict[str, Any] | None]:
        """Class name, arguments (also those that stand without ``init_args``) and
        ``dict_kwargs``."""
        name = value.get("class_path")
        if name is not None and not isinstance(name, str):
            raise InputError(
                f"{source.place((*path, 'class_path'))}: found {name!r}, expected the name of a "
                "class"
            )
        rest = _loaded(value.get("dict_kwargs"))
        inner = _loaded(value.get("init_args"))
        if inner is not None and not isinstance(inner, Mapping):
            raise InputError(
                f"{source.place((*path, 'init_args'))}: found {inner!r}, expected keys and values"
            )
        short = {
            k: v for k, v in value.items() if k not in {"class_path", "init_args", "dict_kwargs"}
        }
        return None if name is None else str(name), {**short, **(inner or {})}, rest

    def _only_class(self, path: Key, kind: Kind, arguments: Mapping[str, Given]) -> type[Any]:
        """The class of arguments that came without one."""
        from radio.config.classes import choices, left_out

        if len(kind.classes) == 1 and not left_out(kind.classes[0]):
            return kind.classes[0]
        source = next(iter(arguments.values()))[0][0]
        first = source.place((*path, "init_args", next(iter(arguments))))
        raise InputError(
            f"{first}: no class is given that takes it; name one: --{'.'.join(path)} with one of "
            f"{', '.join(choices(kind.classes))}"
        )

    def _arguments(
        self, path: Key, kind: type[Any], arguments: Mapping[str, Given]
    ) -> dict[str, Any]:
        known = parameters(kind)
        defaults = {
            parameter.name: parameter.default for parameter in get_signature_parameters(kind)
        }
        inner = path if dataclasses.is_dataclass(kind) else (*path, "init_args")
        result = {}
        for name, given in arguments.items():
            if name not in known:
                source = given[-1][0]
                place = (*inner, name)
                message = unknown_key(source.place(place), name, place, known, kind.__name__)
                raise InputError(message)
            result[name] = self.value((*inner, name), known[name], given)
            typed = (
                known[name] not in {inspect.Parameter.empty, Any}
                and not kind_of(known[name]).nothing
            )
            # the parser lets null pass everywhere
            if result[name] is None and typed and defaults[name] is not None:
                expected = getattr(known[name], "__name__", known[name])
                raise InputError(
                    f"{given[-1][0].place((*inner, name))}: found null, expected {expected}"
                )
        return result

    def _shared(self, path: Key, old: type[Any], new: type[Any]) -> set[str]:
        """Arguments that outlive a change of class: of a reranker or data module, those of what
        both descend from."""
        if len(path) > 1:
            return set()
        for common in new.__mro__:
            if issubclass(old, common) and issubclass(common, self.roles):
                return set(parameters(common))
        return set()

    def _note(
        self, path: Key, old: str, new: str, stay: Sequence[str], leave: Sequence[str]
    ) -> None:
        if not stay and not leave:
            return
        parts = [f"keeps {', '.join(stay)}"] if stay else []
        parts += [f"drops {', '.join(leave)} of {old}"] if leave else []
        self.notes.append(f"{'.'.join(path)}: {new} takes the place of {old}: {'; '.join(parts)}")


def _collect(found: dict[str, Given], source: Source, tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        name = key.rstrip("+")
        if key.endswith("+"):
            value = Append(value if isinstance(value, list) else [value])
        found.setdefault(name, []).append((source, value))


def _loaded(value: Any) -> Any:
    return read_text_value(value) if isinstance(value, Raw) else value


def _leaf(given: Given, *, text: bool = False) -> Any:
    """The last value; items that are appended and single entries change the one before."""
    result: Any = None
    for _, value in given:
        if isinstance(value, Append):
            before = _loaded(result)
            result = [
                *(before if isinstance(before, list) else [] if before is None else [before]),
                *value,
            ]
        elif isinstance(value, Dotted) and isinstance(_loaded(result), dict):
            result = {**_loaded(result), **value}
        else:
            result = value
    return _plain(result)


def _plain(value: Any, inside: bool = False) -> Any:
    """Without the marks of where it came from; what was typed is read by the parser, which knows
    its type."""
    if isinstance(value, Raw):
        loaded = read_text_value(value)
        return loaded if inside or loaded is None else str(value)
    if isinstance(value, Mapping):
        return {key: _plain(part, inside=True) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part, inside=True) for part in value]
    return value
