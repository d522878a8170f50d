"""What an exported folder says of itself: the class that ranks with it, and the settings that its
ranking needs."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio import __version__
from radio.formats import atomic_write
from radio.model_files import resolve_model, side_file
from radio.models import say
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from radio.rerankers import Reranker

NOTE = "radio.json"
"""In an exported folder: ``class``, ``radio`` (the version) and ``init_args``."""

OWN_WEIGHTS = "radio.safetensors"
"""Weights of a user's class that its own files do not hold, under their names in the network."""


def class_name(kind: type[Any]) -> str:
    """The short name of a class of this package, the import path of any other."""
    own = kind.__module__.split(".")[0] == "radio"
    return kind.__name__ if own else f"{kind.__module__}.{kind.__qualname__}"


def exported(name: str) -> dict[str, Any]:
    """The note of an exported folder; empty if it is none.

    Raises:
        InputError: the note is damaged.
    """
    note = side_file(name, NOTE)
    settings = note.get("init_args", {})
    if note and not (isinstance(note.get("class"), str) and isinstance(settings, Mapping)):
        raise InputError(
            f"model {name!r}: {NOTE}: found {str(note)[:80]}, expected the keys 'class' (a name) "
            "and 'init_args' (an object); export the model again"
        )
    return note


def exported_class(name: str) -> str | None:
    """Name or import path of the class that made an exported folder; None if it is none."""
    return exported(name).get("class")


def ranking_settings(module: Reranker) -> dict[str, Any]:
    """``max_length`` and what the class of a reranker adds to its arguments; what is None is left
    out."""
    from radio.rerankers import Reranker

    names = ["max_length"]
    for kind in type(module).__mro__:
        if kind is Reranker:
            break
        if "__init__" in vars(kind):
            names += list(inspect.signature(kind).parameters)
    settings = {}
    for name in dict.fromkeys(names):
        value = getattr(module, name, None)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        if name != "model" and value is not None and _is_json(value):
            settings[name] = value
    return settings


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def write_note(folder: Path, module: Reranker) -> None:
    """Write into an exported folder which class ranks with it, and how."""
    note = {
        "class": class_name(type(module)),
        "radio": __version__,
        "init_args": ranking_settings(module),
    }
    with atomic_write(folder / NOTE) as file:
        json.dump(note, file, indent=2)


def check_class(module: Reranker) -> None:
    """Refuse the export of another class, whose weights would rank at random.

    Raises:
        InputError: names both classes.
    """
    made_by = exported_class(module.model)
    if made_by is None or made_by in [class_name(kind) for kind in type(module).__mro__]:
        return
    raise InputError(
        f"model {module.model!r} is the export of {made_by}, found {class_name(type(module))}; "
        "take its own class, or another model"
    )


# -- weights of classes outside this package ------------------------------------------------------


def is_own(module: Reranker) -> bool:
    """Whether the class is a user's, which loads its network by itself."""
    return type(module).__module__.split(".")[0] != "radio"


def complete(folder: Path, network: nn.Module) -> None:
    """Write the weights of a user's network that its folder does not hold, or not under their
    names."""
    from safetensors.torch import save_file

    held = _weights(folder)
    seen = set()
    lacking = {}
    for name, value in network.state_dict().items():
        place = value.data_ptr(), value.shape
        same = (
            name in held
            and held[name].shape == value.shape
            and bool((held[name] == value.cpu()).all())
        )
        if same or (place in seen and value.numel()):
            seen.add(place)
            continue
        seen.add(place)
        lacking[name] = value.cpu().contiguous()
    if lacking:
        save_file(lacking, folder / OWN_WEIGHTS)


def restore(name: str, network: nn.Module) -> None:
    """Give a user's network all the weights of its export, also those of parts that its ``build``
    draws anew.

    Raises:
        InputError: names weights that are missing, left over or of another size.
    """
    folder = Path(resolve_model(name))
    held = _weights(folder)
    own = _weights(folder, OWN_WEIGHTS)
    state = network.state_dict()
    found = {value.data_ptr() for key, value in state.items() if key in held}
    missing = [
        key for key, value in state.items() if key not in held and value.data_ptr() not in found
    ]
    over = sorted(set(own or held) - set(state))
    wrong = [key for key in state if key in held and held[key].shape != state[key].shape]
    for names, fault in (
        (missing, "are missing"),
        (over, "have no place"),
        (wrong, "have another size"),
    ):
        if names:
            shown = ", ".join(names[:3])
            raise InputError(
                f"model {name!r} cannot be loaded: {len(names)} weights ({shown}) {fault} in the "
                "network that build() makes; export it again with the class as it is now"
            )
    network.load_state_dict({key: held[key] for key in state if key in held}, strict=False)


def _weights(folder: Path, pattern: str = "*.safetensors") -> dict[str, Tensor]:
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    # the file of this project comes last, and has the last word
    for path in sorted(folder.glob(pattern), key=lambda path: path.name == OWN_WEIGHTS):
        found.update(load_file(path))
    return found


def drawn_weights(module: Reranker) -> list[str]:
    """Weights that a user's ``build`` draws at random: those that differ from one call to the
    next."""
    import torch
    from lightning.pytorch.utilities.seed import isolate_rng

    states = []
    with isolate_rng():
        for seed in (1, 2):
            torch.manual_seed(seed)
            states.append(module.build().state_dict())
    first, second = states
    return [key for key in first if not torch.equal(first[key], second[key])]


# -- the command line -----------------------------------------------------------------------------


def adopt_export(config: Any, arguments: Sequence[str]) -> None:
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
    from radio.rerankers import Reranker

    kind, current = _import(name, note["class"]), _import(name, given.class_path)
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
    config.model = _parsed(name, current, {**kept, **taken})
    shown = ", ".join(
        f"{key} {value!r}" for key, value in taken.items() if not isinstance(value, dict)
    )
    say(f"{name} is the export of {note['class']}{': ' if shown else ''}{shown}")


def _import(name: str, path: str) -> type[Any]:
    from radio import rerankers

    module, _, kind = path.rpartition(".")
    try:
        found = getattr(import_module(module) if module else rerankers, kind)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"model {name!r} is the export of {path}, which cannot be imported ({error}); run the "
            "command where its file is, or with the version of this package that made it"
        ) from None
    if not (isinstance(found, type) and issubclass(found, rerankers.Reranker)):
        raise InputError(f"model {name!r}: {NOTE}: class: found {path}, expected a Reranker")
    return found


def _parsed(name: str, kind: type[Any], settings: dict[str, Any]) -> Any:
    """The settings of a reranker as the command line would have parsed them."""
    from jsonargparse import ArgumentError, ArgumentParser

    from radio.rerankers import Reranker

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Reranker, "model")
    path = f"{kind.__module__}.{kind.__qualname__}"
    try:
        parsed = parser.parse_object({"model": {"class_path": path, "init_args": settings}})
    except ArgumentError as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"model {name!r}: {NOTE} does not fit {class_name(kind)}: {first}"
        ) from None
    return parsed.model
