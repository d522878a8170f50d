"""The configuration reference: every class that a config can name, from the classes themselves."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docstring_parser
import lightning as L
import yaml
from jsonargparse._parameter_resolvers import get_signature_parameters
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy

from data_modules import RationaleDataModule
from handbook.navigation import ROOT
from handbook.rewriting import without_roles
from radio.config.classes import left_out, subclasses
from radio.config.kinds import arguments_of, kind_of
from radio.engines import Engine
from radio.generators import Generator
from radio.llm.base import LanguageModel
from radio.losses import Loss
from radio.ranges import RANGES
from radio.rationales import RationaleWriter
from radio.rerankers import Reranker
from radio.retrievers import Retriever
from radio.samplers import GroupSampler
from radio.teachers import Confidence, Teacher
from radio.trainer import RadioTrainer

KINDS: dict[str, tuple[str, str, type[Any]]] = {
    "rerankers": ("Rerankers", "model", Reranker),
    "data": ("Data", "data", RationaleDataModule),
    "retrievers": ("Retrievers", "data.init_args.retriever", Retriever),
    "rationales": ("Rationales", "data.init_args.rationales", RationaleWriter),
    "teachers": ("Teachers", "data.init_args.teacher", Teacher),
    "confidence": ("Confidence", "data.init_args.confidence", Confidence),
    "engines": ("Engines", "data.init_args.engine", Engine),
    "samplers": ("Samplers", "data.init_args.sampler", GroupSampler),
    "losses": ("Losses", "model.init_args.loss", Loss),
    "callbacks": ("Callbacks", "trainer.callbacks", L.Callback),
    "generators": ("Generators", "generator of a GeneratorInTheLoop", Generator),
    "language-models": ("Language models", "model of a teacher that asks one", LanguageModel),
    "loggers": ("Loggers", "trainer.logger", Logger),
    "strategies": ("Strategies", "trainer.strategy", Strategy),
}
"""Pages: title, the key that the class stands under, and what all of them have in common."""

OWN = ("radio.", "data_modules.")

INDEX = """# Configuration

Every class that a config can name, with its arguments as the class itself declares them. A config
names a class by `class_path`, by its name alone where it is one of these, and gives arguments under
`init_args`; on the command line they are joined by dots:

```yaml
model:
  class_path: BiEncoder
  init_args:
    lr: 5.0e-5
    loss: {class_path: ListNet, init_args: {teacher_temperature: 0.1}}
```

```text
radio fit --config quickstart --model.init_args.loss.init_args.teacher_temperature 0.2
```

`radio fit --print_config` shows the whole config of a run, `radio configs` the overlays. What has a
range is refused outside of it, with the name of the setting; where `None` is a default or stands
among the types it is `null` in YAML.

| what | key | classes |
|---|---|---|
"""


def pages() -> dict[str, str]:
    """A page for each kind of class, one for what is part of others, one for the trainer."""
    overlays = overlays_by_class()
    rows, found, shown = [], {}, set()
    for name, (title, key, base) in KINDS.items():
        classes = classes_of(base, overlays)
        shown.update(classes)
        rows.append(_row(name, title, f"`{key}`", classes))
        about = f"Key: `{key}`. Base class: `{_path(base)}`."
        found[f"configuration/{name}.md"] = _page(title, about, classes, overlays)
    parts = sorted(parts_of(shown), key=lambda kind: kind.__name__)
    rows.append(_row("parts", "Parts of these", "named by the class that has it", parts))
    about = "Classes that are arguments of others: encoders, LoRA, checks of rationales."
    found["configuration/parts.md"] = _page("Parts", about, parts, overlays)
    rows.append("| [Trainer](trainer.md) | `trainer` | Lightning's, with this project's defaults |")
    about = "Key: `trainer`, without `class_path`; the texts are Lightning's own."
    found["configuration/trainer.md"] = _page("Trainer", about, [RadioTrainer], {})
    return {"configuration/index.md": INDEX + "\n".join(rows) + "\n", **found}


def _row(name: str, title: str, key: str, classes: list[type[Any]]) -> str:
    links = [f"[{kind.__name__}]({name}.md#{kind.__name__.lower()})" for kind in classes]
    return f"| [{title}]({name}.md) | {key} | {', '.join(links)} |"


def _page(
    title: str, about: str, classes: list[type[Any]], overlays: Mapping[str, list[str]]
) -> str:
    return "\n\n".join([f"# {title}", about, *(section(c, overlays) for c in classes)]) + "\n"


def overlays_by_class() -> dict[str, list[str]]:
    """Names of the shipped configs in which a class is named, by the last part of its name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        name = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        for named in set(named_in(path)):
            found.setdefault(named, []).append(name)
    return found


def named_in(path: Path) -> Iterator[str]:
    """Classes that a config file names."""
    waiting = [yaml.safe_load(path.read_text(encoding="utf-8"))]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_path"), str):
                yield value["class_path"].rpartition(".")[2]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def classes_of(base: type[Any], overlays: Mapping[str, list[str]]) -> list[type[Any]]:
    """Classes that can be taken: those of this project, and others' that an overlay names."""
    found = {}
    for kind in (base, *subclasses(base)):
        name = kind.__name__
        own = kind.__module__.startswith(OWN)
        if name.startswith("_") or left_out(kind) or (not own and name not in overlays):
            continue
        if kind.__module__.startswith(("tests.", "lightning.fabric", "pytorch_lightning")):
            continue
        # callbacks that the program itself adds, and needs no config to name
        if kind.__module__.startswith(("radio.runs", "radio.commands")):
            continue
        found[name] = kind
    return [found[name] for name in sorted(found)]


def parts_of(shown: set[type[Any]]) -> set[type[Any]]:
    """Classes of this project that are arguments of others, and that no page shows yet."""
    found: set[type[Any]] = set()
    waiting = list(shown)
    while waiting:
        for argument in arguments_of(waiting.pop()).values():
            for part in _named_by(argument.annotation):
                for kind in (part, *subclasses(part)):
                    plain = kind.__module__.startswith(OWN) and not kind.__name__.startswith("_")
                    if plain and kind not in shown | found and not left_out(kind):
                        found.add(kind)
                        waiting.append(kind)
    return found


def _named_by(annotation: object) -> Iterator[type[Any]]:
    kind = kind_of(annotation)
    yield from kind.classes
    if kind.record is not None:
        yield kind.record
    for below in (kind.items, kind.entries):
        if below is not None:
            yield from _named_by(below)


def section(kind: type[Any], overlays: Mapping[str, list[str]]) -> str:
    """What a class says of itself, and a table of its arguments."""
    parsed = docstring_parser.parse(kind.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    parts = [f"## {kind.__name__}", f"`{_path(kind)}`"]
    parts.append(_text(parsed))
    if names := overlays.get(kind.__name__):
        parts.append("Overlays: " + ", ".join(f"`{name}`" for name in names) + ".")
    arguments = arguments_of(kind)
    if not arguments:
        parts.append("No arguments.")
        return "\n\n".join(map(without_roles, parts))
    about = descriptions(kind)
    rows = ["| argument | type | default | what |", "|---|---|---|---|"]
    for name, argument in arguments.items():
        default = argument.default
        shown = "required" if default is inspect.Parameter.empty else f"`{_value(default)}`"
        text = " ".join(about.get(name, "").split())
        if allowed := range_of(kind, name):
            text = f"{text} *Range: {allowed}.*".strip()
        cells = (f"`{name}`", f"`{type_text(argument.annotation)}`", shown, text)
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n\n".join(map(without_roles, [*parts, "\n".join(rows)]))


def _cell(text: str) -> str:
    """Text within a table: a bar would end its cell, but not one within code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("|", "\\|") for p in parts)


def _text(parsed: docstring_parser.Docstring) -> str:
    """What a docstring says before its arguments; the first sentence may go on over lines."""
    between = "\n\n" if parsed.blank_after_short_description else "\n"
    texts = (parsed.short_description, parsed.long_description)
    return between.join(text for text in texts if text)


def _path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What docstrings say of the arguments of a class: its own, else those of its base classes,
    else those of what it passes them on to."""
    found = {p.name: p.doc or "" for p in get_signature_parameters(kind)}
    for base in reversed(kind.__mro__):
        if base is object:
            continue
        for text in (base.__doc__, vars(base).get("__init__", None) and base.__init__.__doc__):
            if not text:
                continue
            parsed = docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE)
            found.update({p.arg_name: p.description or "" for p in parsed.params})
    return found


def range_of(kind: type[Any], name: str) -> str:
    """Which values the class, or one that it is derived from, lets pass; empty where it is all."""
    for base in kind.__mro__:
        # the table knows Lightning's trainer by its own name
        allowed = RANGES.get(base.__name__, {}).get(name)
        if allowed is not None:
            return str(allowed)
    return ""


def type_text(annotation: Any) -> str:
    """An annotation as one writes it: unions with a bar, names without their modules."""
    if annotation is inspect.Parameter.empty:
        return "any"
    if annotation is type(None):
        return "None"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(type_text, arguments))
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if arguments:
        inner = ", ".join("..." if one is Ellipsis else type_text(one) for one in arguments)
        return f"{type_text(origin)}[{inner}]"
    return str(getattr(annotation, "__name__", re.sub(r"\b\w+\.", "", str(annotation))))


def _value(default: object) -> str:
    """A default on one line, without the address of an object."""
    text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(default).split()))
    return text if len(text) <= 80 else f"{text[:77]}..."
