"""Run by two processes: metrics of questions that are split unevenly over them."""

from __future__ import annotations

import json
import os
import sys

import torch

from radio.metrics.modules import (
    ChoiceAccuracy,
    ExactMatch,
    LabelMacroF1,
    Ranking,
    Support,
    TokenF1,
)

WORDS = "lamp rope bell tide gull wind fog".split()


def measured(questions: list[int]) -> dict[str, object]:
    """Every kind of metric, of these questions, each a batch of its own."""
    em, f1 = ExactMatch(), TokenF1()
    ranking, support = Ranking("nDCG@3"), Support("support_f1")
    choice, macro = ChoiceAccuracy(), LabelMacroF1()
    for n in questions:
        ids = [f"q-é{'x' * n}-{n}"]
        answer, golden = WORDS[n], [" ".join(WORDS[: n + 1])]
        for metric in (em, f1):
            metric.update(ids, [answer], [golden])
        ranking.update(ids, [[0.1 * n, 0.0, 0.7, 0.3]], [[0.9] * (n % 2)])
        support.update(ids, [WORDS[:3]], [WORDS[n : n + 2]])
        choice.update(ids, ["ABC"[n % 3]], [["x"]], [["x", "y", "z"]], [["anatomy", "law"][n % 2]])
        macro.update(ids, ["SUPPORTS" if n % 3 else None], [[("SUPPORTS", "REFUTES")[n % 2]]])
    found: dict[str, object] = {}
    for metric in (em, f1, ranking, support, choice, macro):
        found[metric.name] = [float(metric.compute()).hex(), dict(sorted(metric.values().items()))]
    found["by_subject"] = choice.by_subject()
    return found


def main() -> None:
    rank, parts = int(os.environ["RANK"]), json.loads(sys.argv[1])
    torch.distributed.init_process_group("gloo")
    found = [measured(part[rank]) for part in parts]
    torch.distributed.destroy_process_group()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
