"""What the machine can do at best: ``python -m benchmarks.machine THREADS`` prints FLOP/s by
dtype as JSON."""

from __future__ import annotations

import json
import sys
import time

SIZES = (256, 512, 1024, 2048, 4096)


def matmul_peak(dtype: str, repeats: int = 10, device: str = "cpu", *, tiny: bool = False) -> float:
    """FLOP/s of the fastest product of two square matrices, of several sizes."""
    import torch

    best = 0.0
    sizes = SIZES if device == "cpu" else (*SIZES, 8192)
    for size in sizes[:1] if tiny else sizes:
        a, b = (torch.randn(size, size).to(device, getattr(torch, dtype)) for _ in range(2))
        out = torch.empty_like(a)
        for _ in range(repeats):
            _wait(device)
            start = time.perf_counter()
            torch.mm(a, b, out=out)
            _wait(device)
            seconds = time.perf_counter() - start
            best = max(best, 2 * size**3 / seconds)
            # without instructions for the dtype, larger sizes would take minutes
            if seconds > 2:
                return best
    return best


def _wait(device: str) -> None:
    """A GPU's work is only queued when a call returns."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"fp32": matmul_peak("float32"), "bf16": matmul_peak("bfloat16")}))
