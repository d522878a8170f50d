"""FlashRank: Ranker.rerank on the ONNX export, question by question, all its passages at once.

It loads models of its own names alone, so the export lies under one of them. It cannot train, sorts
nothing and has no batch size; its threads are ONNX Runtime's, one for each core.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

from common import Group, arguments, rank
from flashrank import Ranker, RerankRequest
from flashrank.Config import model_file_map

NAME = "ms-marco-MiniLM-L-12-v2"


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory() as cache:
        folder = Path(cache) / NAME
        shutil.copytree(args.exports / "onnx", folder)
        shutil.copyfile(folder / args.file, folder / model_file_map[NAME])
        model = Ranker(NAME, cache_dir=cache, max_length=args.max_length)

    def score(groups: list[Group], batch_size: int) -> list[float]:
        scores = []
        for group in groups:
            passages = [{"id": i, "text": text} for i, text in enumerate(group["all_passages"])]
            ranked = model.rerank(RerankRequest(group["question"], passages))
            in_order = sorted(ranked, key=lambda passage: passage["id"])
            # it gives probabilities, the others give logits
            scores += [math.log(p / (1 - p)) for p in (float(row["score"]) for row in in_order)]
        return scores

    rank(args, "flashrank", score)


if __name__ == "__main__":
    main()
