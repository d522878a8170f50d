"""What the processor can do at best: ``python -m benchmarks.machine THREADS`` prints FLOP/s by dtype as JSON."""

from __future__ import annotations

import json
import sys
import time


def matmul_peak(dtype: str, size: int = 2048, repeats: int = 12, seconds: float = 10.0) -> float:
    """FLOP/s of the fastest of several products of two square matrices."""
    import torch

    a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(a)
    best, begin = float("inf"), time.perf_counter()
    for done in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
        if done >= 2 and time.perf_counter() - begin > seconds:
            break
    return 2 * size**3 / best


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"fp32": matmul_peak("float32"), "bf16": matmul_peak("bfloat16")}))
