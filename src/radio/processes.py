"""What the processes of a run do together, so that none waits for one that has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed

from radio.schema import InputError

Value = TypeVar("Value")


def process_count() -> int:
    """How many processes take part in this run."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def gathered(value: Value) -> list[Value]:
    """The value of every process, in the order of their ranks. All processes must call it."""
    if process_count() == 1:
        return [value]
    parts: list[Any] = [None] * process_count()
    distributed.all_gather_object(parts, value)
    return parts


@contextmanager
def stopping_together(device: torch.device | str) -> Iterator[None]:
    """Turn an InputError inside into one on every process: none stops alone.

    All processes must enter it, and no collective may stand inside.

    Args:
        device: where the processes exchange tensors.

    Raises:
        InputError: of this process, or of the first one that has one.
    """
    problem: InputError | None = None
    try:
        yield
    except InputError as error:
        problem = error
    if process_count() > 1:
        # one number as long as all is well; the message is only exchanged where there is one
        troubled = torch.tensor(float(problem is not None), device=device)
        distributed.all_reduce(troubled)
        if troubled.item():
            messages = gathered(None if problem is None else str(problem))
            problem = InputError(next(message for message in messages if message is not None))
            problem.everywhere = True
    if problem is not None:
        raise problem
