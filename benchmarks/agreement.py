"""How far scores are from those of the padded fp32 pass of transformers, the reference.

``python -m benchmarks.agreement MODEL GROUPS FIRST MAX_LENGTH THREADS`` prints the reference as
JSON: the scores of all pairs from the group number FIRST on.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

BATCH = 32


def kendall_tau_b(left: Sequence[float], right: Sequence[float]) -> float:
    """Of two score lists of the same candidates; NaN where one of them is all ties."""
    from scipy.stats import kendalltau

    return float(kendalltau(left, right).statistic)


def agreement(
    reference: Sequence[float], scores: Sequence[float], sizes: Sequence[int]
) -> tuple[float, float]:
    """Mean over the questions of Kendall's tau-b, and the largest difference of two scores.

    Args:
        reference: scores, question by question.
        scores: of the same pairs in the same order.
        sizes: candidates of each question.

    Raises:
        ValueError: the numbers of scores differ.
    """
    if not len(reference) == len(scores) == sum(sizes):
        raise ValueError(f"{len(reference)} and {len(scores)} scores, expected {sum(sizes)}")
    per_question = zip(_split(reference, sizes), _split(scores, sizes), strict=True)
    taus = [kendall_tau_b(left, right) for left, right in per_question]
    gap = max(abs(left - right) for left, right in zip(reference, scores, strict=True))
    known = [tau for tau in taus if not math.isnan(tau)]
    return fmean(known) if known else math.nan, gap


def _split(values: Sequence[float], sizes: Sequence[int]) -> Iterator[Sequence[float]]:
    start = 0
    for size in sizes:
        yield values[start : start + size]
        start += size


def reference_scores(model: Path, pairs: list[tuple[str, str]], max_length: int) -> list[float]:
    """Logits of the padded pass in fp32."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    order = sorted(range(len(pairs)), key=lambda number: -sum(map(len, pairs[number])))
    scores = [0.0] * len(pairs)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            tokens = tokenizer(
                [pairs[number] for number in part],
                padding=True,
                truncation=True,
                max_length=max_length,
                return_tensors="pt",
            )
            for number, score in zip(part, network(**tokens).logits[:, 0].tolist(), strict=True):
                scores[number] = score
    return scores


def main() -> None:
    import torch

    model, path, first, max_length, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    lines = Path(path).read_text(encoding="utf-8").strip("\n").split("\n")
    groups = [json.loads(line) for line in lines][int(first) :]
    pairs = [(group["question"], text) for group in groups for text in group["all_passages"]]
    print(json.dumps({"scores": reference_scores(Path(model), pairs, int(max_length))}))


if __name__ == "__main__":
    main()
