"""Exported folders: the note of who made them, and the weights of classes outside this package."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio import __version__
from radio.lines import atomic_write
from radio.models.exported import NOTE, class_name, exported_class
from radio.models.files import resolve_model
from radio.schema import InputError
from radio.secrecy import is_secret, plain

if TYPE_CHECKING:
    from torch import Tensor, nn

    from radio.rerankers import Reranker

OWN_WEIGHTS = "radio.safetensors"
"""Weights of a user's class that its own files do not hold, under their names in the network."""


def ranking_settings(module: Reranker) -> dict[str, Any]:
    """``max_length`` and what a reranker's class adds to its arguments, without what is None."""
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


def _is_json(value: object) -> bool:
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
        "init_args": _public(ranking_settings(module)),
    }
    with atomic_write(folder / NOTE) as file:
        json.dump(note, file, indent=2)


def _public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without secrets: an export is made to be published."""
    return {key: plain(value) for key, value in settings.items() if not is_secret(key)}


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
    """Write the weights of a user's network that its folder does not hold under their names."""
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
        # the same memory under another name; empty tensors have none
        shared = place in seen and value.numel() > 0
        seen.add(place)
        if not same and not shared:
            lacking[name] = value.cpu().contiguous()
    if lacking:
        save_file(lacking, folder / OWN_WEIGHTS)


def restore(name: str, network: nn.Module) -> None:
    """Give a user's network all weights of its export, also those that ``build`` draws anew.

    Raises:
        InputError: names weights that are missing, left over or of another size.
    """
    folder = Path(resolve_model(name))
    held = _weights(folder)
    own = _weights(folder, OWN_WEIGHTS)
    state = network.state_dict()
    # weights that are shared are held under one of their names
    shared = {value.data_ptr() for key, value in state.items() if key in held}
    missing: list[str] = []
    other_size: list[str] = []
    for key, value in state.items():
        if key not in held:
            if value.data_ptr() not in shared:
                missing.append(key)
        elif held[key].shape != value.shape:
            other_size.append(key)
    left_over = sorted(set(own or held) - set(state))
    for names, fault in (
        (missing, "are missing"),
        (left_over, "have no place"),
        (other_size, "have another size"),
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

    weights: dict[str, Tensor] = {}
    # the file of this project comes last, and has the last word
    for path in sorted(folder.glob(pattern), key=lambda path: path.name == OWN_WEIGHTS):
        weights.update(load_file(path))
    return weights


def drawn_weights(module: Reranker) -> list[str]:
    """Weights that a user's ``build`` draws at random: those that differ between two calls."""
    import torch
    from lightning.pytorch.utilities.seed import isolate_rng

    states = []
    with isolate_rng():
        for seed in (1, 2):
            torch.manual_seed(seed)
            states.append(module.build().state_dict())
    first, second = states
    return [key for key in first if not torch.equal(first[key], second[key])]
