"""An exported folder that is given as the model brings its class and settings along."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from radio.models.exported import class_name, exported
from radio.models.messages import say
from radio.rerankers import Reranker
from radio.rerankers.opening import class_of, parsed
from radio.schema import InputError


def adopt_export(config: Namespace, arguments: Sequence[str]) -> None:
    """Where ``model.init_args.model`` is an exported folder, take class and settings from it.

    What stands on the command line wins; a class that stands there must be that of the folder.

    Args:
        config: of the command, as jsonargparse parsed it; changed in place.
        arguments: of the command line.

    Raises:
        InputError: the command line names another class, or the class cannot be imported.
    """
    given = config.get("model")
    settings = given.init_args.as_dict() if given is not None and given.get("init_args") else {}
    name = settings.get("model")
    # what is no folder is said when the weights are loaded, which not every command does
    if not isinstance(name, str) or not Path(name).expanduser().is_dir():
        return
    note = exported(name)
    if not note:
        return
    kind, current = class_of(name, note["class"]), class_of(name, given.class_path)
    if not issubclass(current, kind):
        if any(a.partition("=")[0] in ("--model", "--model.class_path") for a in arguments):
            raise InputError(
                f"--model: found {class_name(current)}, but {name!r} is the export of "
                f"{note['class']}; leave --model out, or give another folder"
            )
        current = kind
    accepted: set[str] = set()
    for base in current.__mro__:
        if issubclass(base, Reranker) and "__init__" in vars(base):
            accepted.update(inspect.signature(base).parameters)
    named = {
        a.partition("=")[0].removeprefix("--model.init_args.").partition(".")[0] for a in arguments
    }
    # with their values of a config file, unless the folder says otherwise
    kept = {key: value for key, value in settings.items() if key in accepted}
    taken = {k: v for k, v in note.get("init_args", {}).items() if k in accepted and k not in named}
    config.model = parsed(name, current, {**kept, **taken})
    shown = ", ".join(
        f"{key} {value!r}" for key, value in taken.items() if not isinstance(value, dict)
    )
    say(f"{name} is the export of {note['class']}{': ' if shown else ''}{shown}")
