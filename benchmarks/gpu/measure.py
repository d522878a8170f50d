"""Seconds to spend, what they are spent on, and the rows that come of it."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

Step = Callable[[], int]
"""Does some work to its end, and says how many items (pairs, candidates) it was."""

Setting = Callable[[], AbstractContextManager[Step]]
"""Loads what the steps of one setting need, and lets go of it."""

MOST_STEPS = 30
"""Timed of one setting: more would say nothing new."""


class OutOfTime(Exception):  # noqa: N818 -- no error
    """Nothing was measured, because the seconds of a part were over."""


@dataclass
class Work:
    """Where measurements run, and how long they may take.

    Args:
        device: ``cuda`` or ``cpu``.
        tiny: shapes and counts for a test that the script works; its figures mean nothing.
        folder: for models and caches.
        seconds: for all parts together.
        now: a clock, in seconds.
    """

    device: str
    tiny: bool
    folder: Path
    seconds: float
    now: Callable[[], float] = time.monotonic
    peak: float = 0.0
    """FLOP/s of the fastest matrix product, once it is measured."""
    started: float = field(init=False)
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()
        self._ends = self.started + self.seconds

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def left(self) -> float:
        """Seconds until all must be over."""
        return self.started + self.seconds - self.now()

    @property
    def left_of_part(self) -> float:
        """Seconds until the part at hand must be over."""
        return min(self._ends - self.now(), self.left)

    def begin(self, seconds: float) -> None:
        """A part begins that is to take so many seconds."""
        self._ends = self.now() + seconds

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 on a GPU; a processor that runs the test may have no instructions for it."""
        return torch.autocast("cuda", dtype=torch.bfloat16) if self.on_gpu else nullcontext()

    def finish(self) -> None:
        """Wait for the GPU."""
        if self.on_gpu:
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Rate:
    """Items a second in the best setting of one side."""

    setting: str
    value: float
    peak_mib: float = 0.0
    """Most memory of the GPU that was in use; 0 on a processor."""


@dataclass
class Row:
    """One line of the table.

    Args:
        what: was measured.
        unit: of both sides.
        ours: RADIO's side, as text.
        peer: the other side, as text.
        value: what is compared with the aim; None if there is nothing to compare.
        aim: in words, with its number.
        met: whether it was; None if it could not be said.
        notes: settings that failed or were left out, and why.
    """

    what: str
    unit: str
    ours: str = "-"
    peer: str = "-"
    value: str = "-"
    aim: str = "-"
    met: bool | None = None
    notes: list[str] = field(default_factory=list)


def release() -> None:
    """Give back the memory of what was measured before."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def rate(work: Work, step: Step, seconds: float) -> float:
    """Items a second of steps that follow those that warm up: two on a GPU, one elsewhere.

    At least one is timed, and no more are begun after ``seconds``.
    """
    for _ in range(2 if work.on_gpu else 1):
        step()
    work.finish()
    items, steps, start = 0, 0, work.now()
    most = 1 if work.tiny else MOST_STEPS
    while steps == 0 or (steps < most and work.now() - start < seconds):
        items += step()
        work.finish()
        steps += 1
    return items / max(work.now() - start, 1e-9)


def best(work: Work, settings: Mapping[str, Setting], notes: list[str]) -> Rate | None:
    """The fastest of several settings; those that did not run are noted, with the reason.

    Args:
        work: its part's seconds are divided among the settings.
        settings: by name.
        notes: where to write what did not run.
    """
    found: list[Rate] = []
    until = work.left_of_part
    for number, (name, setting) in enumerate(settings.items()):
        # most of the share is timed; loading and the first step take the rest
        share = work.left_of_part / (len(settings) - number)
        if work.left_of_part <= 0.1 * until or work.left <= 0:
            notes.append(f"{name}: left out, its time was up")
            continue
        release()
        try:
            with setting() as step:
                value = rate(work, step, 0.5 * share)
        except torch.OutOfMemoryError:
            notes.append(f"{name}: out of memory")
            continue
        except (ImportError, RuntimeError, ValueError) as error:
            notes.append(f"{name}: failed, {first_line(error)}")
            continue
        memory = torch.cuda.max_memory_allocated() / 2**20 if work.on_gpu else 0.0
        found.append(Rate(name, value, memory))
        print(f"  {name}: {value:.1f}/s", file=sys.stderr, flush=True)
    release()
    return max(found, key=lambda one: one.value, default=None)


def compared(
    work: Work, ours: Mapping[str, Setting], peers: Mapping[str, Setting], row: Row, least: float
) -> list[Row]:
    """A row filled in: this project's best setting against the peer's, half of the time each."""
    seconds = work.left_of_part
    work.begin(seconds / 2)
    mine = best(work, ours, row.notes)
    work.begin(seconds / 2)
    theirs = best(work, peers, row.notes)
    return [judge(work, row, mine, theirs, least)]


def judge(work: Work, row: Row, ours: Rate | None, peer: Rate | None, least: float) -> Row:
    """Fill in both sides, and whether their ratio reaches its aim; of a test it says nothing."""
    row.ours, row.peer, row.aim = shown(ours), shown(peer), f">= {least:g} times"
    if ours and peer:
        ratio = ours.value / peer.value
        row.value = f"{ratio:.2f} times"
        row.met = None if work.tiny else ratio >= least
    return row


def shown(one: Rate | None) -> str:
    """A rate with its setting, for the table."""
    if one is None:
        return "-"
    memory = f", {one.peak_mib:.0f} MiB" if one.peak_mib else ""
    return f"{one.value:.1f} ({one.setting}{memory})"


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a table."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
