"""Values as they stand in config files and on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from radio.schema import InputError

Key = tuple[str, ...]


class Raw(str):
    """A value as it was typed on the command line; the type of its argument decides how it is
    read."""

    __slots__ = ()


class Dotted(dict[str, Any]):
    """What dotted keys give: it changes single entries, where a dictionary that is written out
    replaces."""


class Loader(yaml.SafeLoader):
    """YAML without dates, with 3e-5 as a number, and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                raise InputError(
                    f"line {line}: key {key.value!r} stands twice; the first would be lost"
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_FLOAT = (
    r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+|[-+]?(?:\d[\d_]*)\.[\d_]*|[-+]?\.\d[\d_]*"
)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"^(?:{_FLOAT}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def read_text_value(text: str) -> Any:
    """A value of the command line as YAML; text that is no YAML stays text."""
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506
    except (yaml.YAMLError, InputError, RecursionError, ValueError):
        return text


def is_class_like(value: object) -> bool:
    """Whether a value of a config names a class or gives arguments to one."""
    return isinstance(value, Mapping) and any(
        str(key).split(".")[0] in {"class_path", "init_args", "dict_kwargs"} for key in value
    )
