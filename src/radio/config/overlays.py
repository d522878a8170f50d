"""A single part out of a config file, made without the rest of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from radio.config.files import read_config
from radio.config.merging import Merge
from radio.config.parsing import RadioParser, argument_types, made_by
from radio.config.shipped import ENDING, find_config
from radio.config.sources import Source, given
from radio.schema import InputError
from radio.teachers import Teacher

TEACHER = "data.init_args.teacher"
FOLDER = "teachers"
"""Of the shipped overlays, which may be left out of a name."""


def teacher_of(overlay: str) -> tuple[str, Teacher]:
    """Name and teacher of a config file that has ``data.init_args.teacher``.

    Whatever else the file sets is left alone: it says how to train, not how to score.

    Args:
        overlay: as after ``--config``: the name of a shipped overlay, ``teachers/gated`` or
            ``gated`` for short, or a path.

    Returns:
        The file's name without its ending, and the teacher.

    Raises:
        InputError: the file cannot be read, names no teacher, or one that cannot be made.
    """
    path = _file(overlay)
    source = read_config(path, "--teachers")
    value = _teacher(source.tree)
    if value is None:
        raise InputError(
            f"{path}: found no {TEACHER}, expected one: an overlay of a teacher, such as "
            "teachers/gated"
        )
    whole = source.tree
    source.tree = {"data": {"init_args": {"teacher": value}}}
    parser = RadioParser()
    parser.add_argument(f"--{TEACHER}", type=Teacher)
    parser.add_instantiator(made_by(), object)
    tree = Merge(()).tree(argument_types(parser), [source])
    # messages are about the file as it is
    places = Source(source.name, whole)
    RadioParser.place, RadioParser.tree = staticmethod(partial(given, [places])), tree
    made = parser.instantiate_classes(parser.parse_object(tree))
    teacher: Teacher = made.data.init_args.teacher
    return Path(path).stem, teacher


def _file(overlay: str) -> str:
    """The file that is meant; one of the user goes first, as after ``--config``."""
    path = find_config(overlay)
    if Path(path).is_file():
        return path
    for other in (f"{overlay}{ENDING}", find_config(f"{FOLDER}/{overlay}")):
        if Path(other).is_file():
            return other
    # a message about a name that is none speaks of what was typed
    return path


def _teacher(tree: dict[str, Any]) -> Any:
    """The value of the key, where ``init_args`` may be left out; None without one."""
    data = tree.get("data")
    if not isinstance(data, dict):
        return None
    arguments = data.get("init_args")
    if isinstance(arguments, dict) and arguments.get("teacher") is not None:
        return arguments["teacher"]
    return data.get("teacher")
