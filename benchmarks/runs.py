"""What the benchmarks that train share: a command of ``radio`` in this process, and how a number is
shown."""

from __future__ import annotations

import shlex
import sys

import numpy as np
from numpy.typing import NDArray


def radio(*arguments: str) -> None:
    """Run a command of the command line in this process; the line that is printed repeats it."""
    from radio.__main__ import main

    sys.argv = ["radio", *arguments]
    print(f"\n$ {shlex.join(sys.argv)}", flush=True)
    status = main()
    if status:
        raise SystemExit(f"{shlex.join(sys.argv)}: exit status {status}")


def interval(values: NDArray[np.float64], sign: str = "") -> str:
    """Mean in percent with its 95 % bootstrap interval over the questions."""
    from radio.evaluation.statistics import bootstrap_interval

    low, high = bootstrap_interval(values)
    return f"{100 * values.mean():{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
