"""What the processor can do at best: ``python -m benchmarks.machine THREADS`` prints FLOP/s by
dtype as JSON."""

from __future__ import annotations

import json
import sys
import time


def matmul_peak(dtype: str, repeats: int = 10) -> float:
    """FLOP/s of the fastest product of two square matrices, of several sizes."""
    import torch

    best = 0.0
    for size in (256, 512, 1024, 2048, 4096):
        a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
        out = torch.empty_like(a)
        for _ in range(repeats):
            start = time.perf_counter()
            torch.mm(a, b, out=out)
            seconds = time.perf_counter() - start
            best = max(best, 2 * size**3 / seconds)
            # without instructions for the dtype, larger sizes would take minutes
            if seconds > 2:
                return best
    return best


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"fp32": matmul_peak("float32"), "bf16": matmul_peak("bfloat16")}))
