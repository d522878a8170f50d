"""Whether a batch is computed in one piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_undivided: ContextVar[bool] = ContextVar("undivided", default=False)


@contextmanager
def undivided() -> Iterator[None]:
    """Compute batches in one piece on a CPU too: where processes hold the weights together, each
    has to call the network as often as the others."""
    before = _undivided.set(True)
    try:
        yield
    finally:
        _undivided.reset(before)


def is_undivided() -> bool:
    """Whether this is inside of :func:`undivided`."""
    return _undivided.get()
