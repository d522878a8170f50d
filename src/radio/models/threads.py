"""Work on a CPU side by side: a thread computes a part from end to end, on a core of its own.

torch's own threads share each single operation and wait for each other after it; where there are
enough parts, it costs less to share the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Made = TypeVar("Made")


def threads_for(device: torch.device) -> int:
    """How many parts may be computed at a time; 1 where gradients are wanted, or on a GPU."""
    if device.type != "cpu" or torch.is_grad_enabled():
        return 1
    return torch.get_num_threads()


def side_by_side(
    work: Callable[[Part], Made], parts: Sequence[Part], threads: int
) -> Iterator[Made]:
    """Yield the results in the order of the parts.

    Each part is computed under the modes of the caller: inference, autocast.
    """
    inference = torch.is_inference_mode_enabled()
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu")

    def alone(part: Part) -> Made:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(False),
            torch.autocast("cpu", dtype=dtype, enabled=autocast),
        ):
            return work(part)

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            min(threads, len(parts)), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield from pool.map(alone, parts)
    finally:
        # a thread that is begun later takes the number that was set last, in whichever thread
        torch.set_num_threads(before)
