"""What the processes of a run do together, so that none waits for one that has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from radio.schema import InputError

Value = TypeVar("Value")


def process_count() -> int:
    """How many processes take part in this run."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def process_number() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if process_count() > 1 else 0


def gathered(value: Value) -> list[Value]:
    """The value of every process, in the order of their ranks. All processes must call it."""
    if process_count() == 1:
        return [value]
    parts: list[Any] = [None] * process_count()
    distributed.all_gather_object(parts, value)
    return parts


def somewhere(found: bool, device: torch.device | str) -> bool:
    """Whether something holds on any process. All processes must call it.

    Args:
        found: whether it holds on this one.
        device: where the processes exchange tensors.
    """
    if process_count() == 1:
        return found
    total = torch.tensor(float(found), device=device)
    distributed.all_reduce(total)
    return bool(total.item())


def rows_of_all(rows: Tensor) -> list[Tensor]:
    """The tensor ``[K, B, G]`` of every process, in the order of their ranks; their B and G may
    differ. All processes must call it.

    Returns:
        Of each process ``[K, B, width]``, with the width of the widest, filled up with 0.
    """
    if process_count() == 1:
        return [rows]
    size = torch.tensor(rows.shape, device=rows.device)
    sizes = [torch.empty_like(size) for _ in range(process_count())]
    distributed.all_gather(sizes, size)
    heights = [int(size[1]) for size in sizes]
    width = max(int(size[2]) for size in sizes)
    own = rows.new_zeros(len(rows), max(heights), width)
    own[:, : rows.shape[1], : rows.shape[2]] = rows
    filled = [torch.empty_like(own) for _ in heights]
    distributed.all_gather(filled, own)
    return [part[:, :height] for part, height in zip(filled, heights, strict=True)]


@contextmanager
def _waiting() -> Iterator[None]:
    """Have all processes leave together, however long one of them takes: where they exchange
    tensors, half an hour is taken for a hang."""
    group = None
    if process_count() > 1:
        group = distributed.new_group(backend="gloo", timeout=timedelta(days=1000))
    try:
        yield
    finally:
        if group is not None:
            distributed.monitored_barrier(group)
            distributed.destroy_process_group(group)


@contextmanager
def stopping_together(device: torch.device | str, *, slow: bool = False) -> Iterator[None]:
    """Turn an InputError inside into one on every process: none stops alone.

    All processes must enter it, and no collective may stand inside.

    Args:
        device: where the processes exchange tensors.
        slow: some of the processes may work for hours while the others wait.

    Raises:
        InputError: of this process, or of the first one that has one.
    """
    problem: InputError | None = None
    with _waiting() if slow else nullcontext():
        try:
            yield
        except InputError as error:
            problem = error
    # one number as long as all is well; the message is only exchanged where there is one
    if somewhere(problem is not None, device) and process_count() > 1:
        messages = gathered(None if problem is None else str(problem))
        problem = InputError(next(message for message in messages if message is not None))
        problem.everywhere = True
    if problem is not None:
        raise problem
