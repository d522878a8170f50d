"""How fast requests start."""

from __future__ import annotations

import asyncio


class Pace:
    """Spaces requests so that a minute holds no more requests and tokens than allowed.

    All wait when the server says that there were too many. (A leaky bucket, as aiolimiter's, starts
    with a burst of all that a minute may hold, so that the first minute holds twice as much; it
    knows no such pause, and takes no request of more tokens than its bucket holds.)

    Args:
        requests_per_minute: None is no limit.
        tokens_per_minute: of input and output together; None is no limit.
    """

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        self._per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._ready = 0.0

    async def wait(self, tokens: float) -> None:
        """Wait until a request of so many tokens may start."""
        clock = asyncio.get_running_loop().time
        start = max(clock(), self._ready)
        self._ready = start + max(self._per_request, tokens * self._per_token)
        while (left := start - clock()) > 0:
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """Let nothing start before that time is over: the server said that there were too many."""
        self._ready = max(self._ready, asyncio.get_running_loop().time() + seconds)
