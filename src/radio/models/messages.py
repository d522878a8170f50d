"""What is said of models, and what a library says of one that it cannot load."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from radio.models.files import refused, side_file
from radio.schema import InputError


def say(message: str) -> None:
    """One line about a model to the person at the terminal, from the first process."""
    from lightning.pytorch.utilities import rank_zero_only

    rank_zero_only(print)(message, file=sys.stderr)


@lru_cache(maxsize=256)
def say_once(message: str) -> None:
    """As :func:`say`, for what is found each time that a model is loaded."""
    say(message)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Any failure of a library to load a model as one message of ours."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise refused(name, _reason(name, error)) from error


def _reason(name: str, error: Exception) -> str:
    text = str(error).strip()
    first = (text.splitlines() or [type(error).__name__])[0]
    kind = side_file(name, "config.json").get("model_type")
    if "trust_remote_code" in text or "custom code" in text:
        return (
            "its architecture is code of its own (auto_map in config.json), which is not run here; "
            "take a model of an architecture that transformers has"
        )
    if match := re.search(
        r"Unrecognized configuration class .*?(\w+Config)'>.*?AutoModel(\w*)", text, re.DOTALL
    ):
        return f"{match[1]} is no architecture for {match[2] or 'an encoder'}; take another model"
    if "does not recognize this architecture" in text or "Unrecognized model" in text:
        from transformers import __version__

        return (
            f"config.json: model_type: found {kind!r}, which transformers {__version__} does not "
            "know; pip install -U transformers, or take another model"
        )
    if "weights_only" in text or "Weights only load failed" in text or "UnpicklingError" in text:
        return (
            "its pickled weights hold more than tensors, and could run code; convert them where "
            "you trust them: load and save_pretrained (safetensors)"
        )
    if isinstance(error, KeyError):
        return f"{type(error).__name__}: {first}"
    if "connect" in text or "offline" in text or "valid model identifier" in text:
        return f"{first}; give a folder, or the name of a model on a hub that can be reached"
    return first
