"""FlagEmbedding: the encoder-only reranker's runner with ``train_group_size`` 7;
FlagReranker.compute_score.

Its loss without distillation is cross-entropy of the positive over the group. The data set
tokenises pair by pair. Ranking sorts by length.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from common import Clock, arguments, pairs, rank, read_groups
from FlagEmbedding import FlagReranker
from FlagEmbedding.abc.finetune.reranker import (
    AbsRerankerDataArguments,
    AbsRerankerModelArguments,
    AbsRerankerTrainingArguments,
)
from FlagEmbedding.finetune.reranker.encoder_only.base import EncoderOnlyRerankerRunner
from hugging_face import Timer, training_arguments


def main() -> None:
    args = arguments()
    if args.task == "rank":
        model = FlagReranker(args.model, max_length=args.max_length, devices="cpu")
        if args.dtype == "bf16":
            # it has no bf16 option of its own, and ignores use_fp16 on a CPU
            model.model.bfloat16()
        rank(
            args,
            "FlagEmbedding",
            lambda groups, size: model.compute_score(pairs(groups), batch_size=size),
        )
        return
    clock = Clock()
    warmup, timed = read_groups(args)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "train.jsonl"
        rows = [
            {"query": g["question"], "pos": g["passages"][:1], "neg": g["passages"][1:]}
            for g in warmup + timed
        ]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        runner = EncoderOnlyRerankerRunner(
            AbsRerankerModelArguments(args.model),
            # a pair is cut at the sum of both lengths; the defaults, 32 and 128, would cut most
            # passages
            AbsRerankerDataArguments(
                train_data=[str(data)],
                cache_path=str(Path(folder) / "cache"),
                train_group_size=len(timed[0]["passages"]),
                query_max_len=args.max_length // 8,
                passage_max_len=args.max_length - args.max_length // 8,
            ),
            AbsRerankerTrainingArguments(
                **training_arguments(args, str(Path(folder) / "out")),
                train_sampling_strategy="sequential",
            ),
        )
        runner.model.register_forward_hook(
            lambda module, inputs, output: clock.losses.append(output.loss.item())
        )
        runner.trainer.add_callback(Timer(clock))
        # what runner.run() does before it saves
        runner.trainer.train()
    clock.report(args, "FlagEmbedding")


if __name__ == "__main__":
    main()
