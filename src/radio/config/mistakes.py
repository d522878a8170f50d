"""Mistakes in keys and values, in the user's own words: where it was written, what was found, what
was expected."""

from __future__ import annotations

import difflib
import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import lightning as L

from radio.config.classes import subclasses
from radio.config.values import Key
from radio.data.module import RationaleDataModule
from radio.engines import Engine
from radio.losses import Loss
from radio.rerankers import Reranker
from radio.retrievers import Retriever
from radio.samplers import GroupSampler
from radio.secrecy import LEFT_OUT, is_secret
from radio.teachers import Confidence, Teacher

OTHER_NAMES = {
    "learning_rate": "lr",
    "num_train_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "epochs": "max_epochs",
    "max_seq_length": "max_length",
    "model_name_or_path": "model",
    "model_name": "model",
    "per_device_train_batch_size": "batch_size",
    "per_device_eval_batch_size": "eval_batch_size",
    "train_batch_size": "batch_size",
    "gradient_accumulation_steps": "accumulate_grad_batches",
    "max_grad_norm": "gradient_clip_val",
    "warmup": "warmup_ratio",
    "warmup_steps": "warmup_ratio",
    "wd": "weight_decay",
    "gpus": "devices",
    "num_gpus": "devices",
    "output_dir": "default_root_dir",
    "loss_fn": "loss",
    "num_negatives": "negatives",
    "bf16": "precision",
    "fp16": "precision",
}
"""How other libraries call what this one calls otherwise."""

FORMER = {
    ("Blend", name): (
        "teachers, a list of any number: teachers: [{class_path: RationaleSimilarity}, "
        "{class_path: RetrievalScore}]"
    )
    for name in ("rationale", "retrieval")
}
"""By class and option: what is written now in the place of an option that is no more."""

PLACES: dict[str, type[Any]] = {
    "trainer": L.Trainer,
    "model.init_args": Reranker,
    "data.init_args": RationaleDataModule,
    "model.init_args.loss.init_args": Loss,
    "data.init_args.sampler.init_args": GroupSampler,
    "data.init_args.teacher.init_args": Teacher,
    "data.init_args.confidence.init_args": Confidence,
    "data.init_args.engine.init_args": Engine,
    "data.init_args.retriever.init_args": Retriever,
}
"""Where arguments stand that are looked for in the wrong place."""


def unknown_key(place: str, name: str, path: Key, known: Iterable[str], owner: str = "") -> str:
    """One message for a key that no argument has, with the names it may be meant for, of the class
    in use first."""
    known = {option for option in known if "." not in option}
    options = known | ({"class_path", "init_args"} if owner else set())
    if (owner, name) in FORMER:
        return f"{place}: unknown option {name!r} of {owner}, expected {FORMER[owner, name]}"
    wanted = OTHER_NAMES.get(name, name)
    near = [wanted] if wanted in options else _near(name, options, 0.6)
    of = f" of {owner}" if owner else ""
    if near:
        return f"{place}: unknown option {name!r}{of}; did you mean {' or '.join(map(repr, near))}?"
    if elsewhere := _elsewhere(wanted, ".".join(path[:-1])):
        return f"{place}: unknown option {name!r}{of}; did you mean --{elsewhere}?"
    near = _near(name, options, 0.5)
    if near:
        return f"{place}: unknown option {name!r}{of}; did you mean {' or '.join(map(repr, near))}?"
    return f"{place}: unknown option {name!r}{of}, expected one of {', '.join(sorted(known))}"


def _near(name: str, options: Iterable[str], likeness: float) -> list[str]:
    return difflib.get_close_matches(name, sorted(options), n=3, cutoff=likeness)


def _elsewhere(name: str, here: str) -> str | None:
    if name in {"seed", "seed_everything", "random_seed"}:
        return "seed_everything"
    for place, base in PLACES.items():
        for kind in (base, *subclasses(base)):
            if place != here and name in inspect.signature(kind).parameters:
                return f"{place}.{name}"
    return None


def which_item(path: Key, numbers: Sequence[str]) -> str:
    """The message for settings of a list, which has items of these numbers."""
    name = ".".join(path)
    there = f"give its number, --{name}.{numbers[0]} to {numbers[-1]}, " if numbers else ""
    return (
        f"{name} is a list; say which item is meant: {there}add one with --{name}+ CLASS before "
        "its arguments, or write the list in a config file"
    )


Place = Callable[[Key], str | None]
"""Where a key was written, in the user's words; None where it was not."""

LONGEST_VALUE, LONGEST_MESSAGE = 200, 600
"""Characters that are shown of a value, and of a message of the parser."""


def explain(message: str, place: Place = lambda path: None, tree: object = None) -> str:
    """An error of jsonargparse in terms of the user's own words: full key, what was found, what was
    expected.

    Args:
        message: of the parser, which names the last part of a key alone, and each member of a
            union.
        place: where a key was written.
        tree: the values that were parsed.
    """
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    required = re.search(r"arguments are required: (.*)", message)
    if required:
        return _required(required[1].split(", "))
    keys = re.findall(r"Parser key \"([^\"]+)\"", message)
    values = re.findall(r"(?:Given value|Got value): (.*)", message)
    value = values[-1].strip() if values else ""
    where = ""
    if keys:
        path = _full_key(tree, keys[-1], value)
        where = (place(path) or f"key {keys[-1]!r}") + ": "
        value = LEFT_OUT if is_secret(".".join(map(str, path))) else value
    expected = _expected(message)
    if values and expected:
        return f"{where}found {value[:LONGEST_VALUE]!r}, expected {expected}"
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    if keys and len(lines) > 1:
        # the first line names the key, which stands before it already
        del lines[0]
    return where + "\n".join(lines)[:LONGEST_MESSAGE]


def _required(options: Sequence[str]) -> str:
    """The message for options without which there is no run: ``--model`` and ``--data``."""
    names = [f"--{option.split('.')[-1]}" for option in sorted(options, reverse=True)]
    return (
        f"{' and '.join(names)} missing: given neither on the command line nor in a --config file"
    )


def _expected(message: str) -> str | None:
    """What the parser expected, without Python's spelling of types; None where it does not say."""
    choices = re.findall(r"Expected a typing\.Literal\[(.*?)\]", message)
    if choices:
        return f"one of {', '.join(choices)}"
    unions = re.findall(r"Subtypes: \[(.*)\]", message)
    classes = re.findall(r"Expected a (<class '[\w.]+'>)", message)
    if not unions and not classes:
        return None
    expected = (unions or classes)[-1]
    expected = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", expected)
    expected = expected.replace("NoneType", "null")
    expected = re.sub(r"\bSequence\b", "a list", expected)
    # commas between the members of a union, not those inside of dict[str, int]
    return re.sub(r", (?![^\[]*\])", " or ", expected)


def _full_key(tree: object, key: str, value: str) -> Key:
    """The path that ends with a key, where several do the one that holds the value."""
    last = key.split(".")[-1]
    ending = [(path, held) for path, held in _paths(tree) if path[-1] == last]
    for path, held in ending:
        if str(held) == value:
            return path
    return ending[0][0] if ending else (key,)


def _paths(tree: object, above: Key = ()) -> Iterator[tuple[Key, Any]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        path = (*above, str(key))
        yield path, value
        yield from _paths(value, path)


def constructor_error(kind: type[Any], error: Exception) -> str:
    """One message for what the constructor of a class raised, other than a mistake that it names
    itself."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = ([frame for frame in frames if frame.name == "__init__"] or list(frames))[-1]
    text = str(error).strip() or "no message"
    return (
        f"{kind.__name__} cannot be made: {type(error).__name__}: {text} "
        f"({frame.filename}:{frame.lineno})"
    )
