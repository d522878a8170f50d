"""Mistakes in keys and values, in the user's own words: where it was written, what was found, what was expected."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L

from data_modules.base import RationaleDataModule
from radio.classes import subclasses
from radio.losses import Loss
from radio.options import Key
from radio.rerankers import Reranker
from radio.retrieval import Retriever
from radio.sampling import GroupSampler
from radio.teachers import Teacher

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

PLACES: dict[str, type[Any]] = {
    "trainer": L.Trainer,
    "model.init_args": Reranker,
    "data.init_args": RationaleDataModule,
    "model.init_args.loss.init_args": Loss,
    "data.init_args.sampler.init_args": GroupSampler,
    "data.init_args.teacher.init_args": Teacher,
    "data.init_args.retriever.init_args": Retriever,
}
"""Where arguments stand that are looked for in the wrong place."""


def unknown_key(place: str, name: str, path: Key, known: Iterable[str], owner: str = "") -> str:
    """One message for a key that no argument has, with the names it may be meant for, of the class in use first."""
    options = set(known) | ({"class_path", "init_args"} if owner else set())
    wanted = OTHER_NAMES.get(name, name)
    if wanted in options:
        near = [wanted]
    else:
        near = difflib.get_close_matches(name, sorted(options), n=3, cutoff=0.6)
    of = f" of {owner}" if owner else ""
    if near:
        return f"{place}: unknown option {name!r}{of}; did you mean {' or '.join(map(repr, near))}?"
    if elsewhere := _elsewhere(wanted, ".".join(path[:-1])):
        return f"{place}: unknown option {name!r}{of}; did you mean --{elsewhere}?"
    near = difflib.get_close_matches(name, sorted(options), n=3, cutoff=0.4)
    if near:
        return f"{place}: unknown option {name!r}{of}; did you mean {' or '.join(map(repr, near))}?"
    return f"{place}: unknown option {name!r}{of}, expected one of {', '.join(sorted(set(known)))}"


def _elsewhere(name: str, here: str) -> str | None:
    if name in {"seed", "seed_everything", "random_seed"}:
        return "seed_everything"
    for place, base in PLACES.items():
        for kind in (base, *subclasses(base)):
            if place != here and name in inspect.signature(kind).parameters:
                return f"{place}.{name}"
    return None


Place = Callable[[Key], str | None]
"""Where a key was written, in the user's words; None where it was not."""


def explain(message: str, place: Place = lambda path: None) -> str:
    """An error of jsonargparse in terms of the user's own words: full key, what was found, what was expected."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    keys = [key for found in re.findall(r"Parser key \"([^\"]+)\"", message) for key in found.split(".")]
    path = _full_key(keys, message)
    where = (place(path) or f"key '{'.'.join(path)}'") + ": " if path else ""
    if required := re.search(r"Key \"([\w.]+)\" is required", message):
        return f"--{required[1]} is missing: give it, or a --config file that has it"
    if missing := re.search(r"(?:Key|Argument) ['\"]?([\w.]+)['\"]? is required but not", message):
        return f"{where}{missing[1]} is missing"
    # the lines that name a value and a type; the rest repeats them for each member of a union
    types = re.findall(r"Expected an? <class '(\w+)'>|Expected a (typing\.\S+?)\.? |Expected (?:an? )?(\w+) type", message)
    expected = [a or b or c for a, b, c in types]
    choices = re.findall(r"Expected a typing\.Literal\[(.*?)\]", message)
    value = re.search(r"(?:Given value|Got value): (.*)", message)
    if value and choices:
        return f"{where}found {value[1].strip()!r}, expected one of {', '.join(choices)}"
    if expected and value:
        names = ["null" if e == "NoneType" else e for e in dict.fromkeys(expected)]
        return f"{where}found {value[1].strip()!r}, expected {' or '.join(names)}"
    lines = [re.sub(r"Parser key \"([^\"]+)\":", r"key '\1':", line.rstrip()) for line in message.splitlines()]
    return "\n".join([line for line in lines if line][:6])


def _full_key(keys: list[str], message: str) -> Key:
    return tuple(keys)
