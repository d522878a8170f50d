"""Weights that a model lacks and that are drawn at random: they are trained, or not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from radio.models.messages import say_once
from radio.schema import InputError

if TYPE_CHECKING:
    from radio.rerankers.base import Reranker


def say(module: Reranker, names: Sequence[str]) -> None:
    """Say once which weights start at random, if any do."""
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        kind = type(module).__name__
        say_once(f"{module.model!r} has no head of a {kind}: {shown} start at random")


def refuse(module: Reranker, names: Sequence[str]) -> None:
    """Weights drawn at random, and not trained since, rank at random.

    Raises:
        InputError: names them, if there are any.
    """
    if names:
        raise InputError(
            f"model {module.model!r}: {len(names)} weights ({', '.join(names[:3])}) of a "
            f"{type(module).__name__} are missing and would be random; give a trained model (the "
            "export of a run), or --ckpt_path, or train it with radio fit"
        )
