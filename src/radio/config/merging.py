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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radio.config.classes import find_class
from radio.config.files import read_config
from radio.config.kinds import Kind, arguments_of, kind_of, parameters
from radio.config.mistakes import unknown_key, which_item
from radio.config.sources import Source
from radio.config.values import Dotted, Key, Raw, is_class_like, read_text_value
from radio.schema import InputError

Given = list[tuple[Source, Any]]
"""Values of one place, in the order of their sources."""


class Append(list[Any]):
    """Items that ``key+`` adds to a list."""


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

    def value(self, path: Key, annotation: object, given: Given) -> Any:
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
        items: list[Given] | None = []
        for source, value in given:
            loaded = _loaded(value)
            if isinstance(loaded, Append):
                items = [*(items or []), *([(source, item)] for item in loaded)]
            elif isinstance(loaded, list):
                items = [[(source, item)] for item in loaded]
            elif loaded is None:
                items = None
            elif isinstance(loaded, Dotted) and "class_path" not in loaded:
                numbers = list(map(str, range(len(items or []))))
                if items is None or not set(loaded) <= set(numbers):
                    raise InputError(f"{source.place(path)}: {which_item(path, numbers)}")
                for number, item in loaded.items():
                    items[int(number)].append((source, item))
            else:
                items = [[(source, loaded)]]
        named = enumerate(items or [])
        merged = [self.value((*path, str(n)), kind.items, item) for n, item in named]
        return None if items is None else merged

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
        part = _Part()
        for source, value in given:
            loaded = _as_part(value, text=kind.text)
            if not isinstance(loaded, Mapping):
                part = _Part(plain=loaded, switches=part.switches)
                continue
            if kind.text and not is_class_like(loaded):
                part = _Part(plain=value, switches=part.switches)
                continue
            name, arguments, more = self._split(path, source, loaded)
            if name is not None:
                try:
                    chosen = find_class(name, kind.classes)
                except InputError as error:
                    raise InputError(f"{source.place(path)}: {error}") from error.__cause__
                self._choose(path, part, chosen, name)
            _collect(part.arguments, source, arguments)
            if more:
                part.more |= _leaf([(source, more)])
        if part.chosen is None and not part.arguments and not part.more:
            return str(part.plain) if isinstance(part.plain, str) else part.plain
        if part.chosen is None:
            part.chosen = self._only_class(path, kind, part.arguments)
            part.name = f"{part.chosen.__module__}.{part.chosen.__qualname__}"
        self._note_switches(path, part)
        self._check_complete(path, given[-1][0], part.chosen, part.arguments, bool(part.more))
        result: dict[str, Any] = {"class_path": part.name}
        if part.more:
            result["dict_kwargs"] = part.more
        if part.arguments:
            result["init_args"] = self._arguments(path, part.chosen, part.arguments)
        return result

    def _choose(self, path: Key, part: _Part, chosen: type[Any], name: str) -> None:
        """Name the class of a part; one that was named before leaves what both have in common."""
        if part.chosen not in (None, chosen):
            assert part.chosen is not None
            kept = self._shared(path, part.chosen, chosen)
            stay = [argument for argument in part.arguments if argument in kept]
            leave = [argument for argument in part.arguments if argument not in kept]
            part.switches.append(_Switch(part.chosen.__name__, chosen.__name__, stay, leave))
            part.arguments = {argument: part.arguments[argument] for argument in stay}
            part.more = {}
        part.chosen, part.name = chosen, name

    def _check_complete(
        self, path: Key, source: Source, kind: type[Any], arguments: Mapping[str, Given], more: bool
    ) -> None:
        missing = [
            name
            for name, argument in arguments_of(kind).items()
            if argument.default is inspect.Parameter.empty and name not in arguments
        ]
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
        known, described = parameters(kind), arguments_of(kind)
        inner = path if dataclasses.is_dataclass(kind) else (*path, "init_args")
        result = {}
        for name, given in arguments.items():
            if name not in known:
                source = given[-1][0]
                place = (*inner, name)
                message = unknown_key(source.place(place), name, place, known, kind.__name__)
                raise InputError(message)
            result[name] = self.value((*inner, name), known[name], given)
            if result[name] == "None" and kind_of(known[name]).nothing:
                raise InputError(
                    f"{given[-1][0].place((*inner, name))}: found the text 'None', expected null, "
                    "as YAML and JSON write it, or a value"
                )
            typed = (
                known[name] not in {inspect.Parameter.empty, Any}
                and not kind_of(known[name]).nothing
            )
            # the parser lets null pass everywhere
            if result[name] is None and typed and described[name].default is not None:
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

    def _note_switches(self, path: Key, part: _Part) -> None:
        for switch in part.switches:
            # an argument that was given again after the switch is no longer the old one
            stay = [name for name in switch.stay if len(part.arguments[name]) == 1]
            facts = [f"keeps {', '.join(stay)}"] if stay else []
            if switch.leave:
                facts.append(f"drops {', '.join(switch.leave)} of {switch.old}")
            if facts:
                self.notes.append(
                    f"{'.'.join(path)}: {switch.new} takes the place of {switch.old}: "
                    f"{'; '.join(facts)}"
                )


@dataclass
class _Switch:
    """A class that took the place of another one."""

    old: str
    new: str
    stay: list[str]
    """Arguments that the new one keeps."""
    leave: list[str]


@dataclass
class _Part:
    """A class and its arguments, as far as the sources are read."""

    chosen: type[Any] | None = None
    name: str = ""
    """Of the class, as it was given."""
    arguments: dict[str, Given] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    """``dict_kwargs``: arguments that the class does not name."""
    plain: Any = None
    """The value where no class is given, such as null."""
    switches: list[_Switch] = field(default_factory=list)


def _as_part(value: object, *, text: bool) -> Any:
    """A value in the place of a class: that of a file if it names one, and of a class if it is a
    text where ``text`` itself does not fit."""
    loaded = _loaded(value)
    if isinstance(loaded, str) and Path(loaded).suffix in {".yaml", ".yml", ".json"}:
        loaded = read_config(str(loaded)).tree
    if isinstance(loaded, str) and not text:
        loaded = {"class_path": str(loaded)}
    return loaded


def _collect(found: dict[str, Given], source: Source, tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        name = key.rstrip("+")
        if key.endswith("+"):
            value = Append(value if isinstance(value, list) else [value])
        found.setdefault(name, []).append((source, value))


def _loaded(value: object) -> Any:
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


def _plain(value: object, inside: bool = False) -> Any:
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
