"""The ``radio prepare`` that obtains what another command lacks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from radio.secrecy import plain_words

OPTIONS = ("--config", "-c", "--name", "--seed_everything", "--trainer", "--model", "--data")
"""What all commands take."""


def prepare_command(arguments: Sequence[str]) -> str:
    """``radio prepare`` with those arguments of another command that it has too; no secrets.

    Args:
        arguments: those after the name of the other command.
    """
    kept: list[str] = []
    known = False
    for argument in arguments:
        if argument.startswith("-"):
            known = argument.split("=")[0].split(".")[0].rstrip("+") in OPTIONS
        # a value belongs to the option before it
        if known:
            kept.append(argument)
    return shlex.join(["radio", "prepare", *plain_words(kept)])
