"""lightning-ir: CrossEncoderModule with its InfoNCE under a Lightning Trainer;
CrossEncoderModule.score.

The module tokenises. Its length limits for question and passage alone are off (a pair is cut at the
tokenizer's length): with them it would tokenise everything twice.
"""

from __future__ import annotations

import argparse
from typing import Any

import lightning as L
import torch
from common import Clock, Group, arguments, read_groups
from lightning_ir import CrossEncoderModule, LightningIRDataModule
from lightning_ir.base import STATE_DICT_KEY_MAPPING
from lightning_ir.data import RankSample
from lightning_ir.loss import InfoNCE
from lightning_ir.models import MonoConfig
from torch.utils.data import Dataset

WEIGHTS = {
    "classifier.weight": "bert.linear.weight",
    "classifier.bias": "bert.linear.bias",
    "bert.pooler.dense.weight": "bert.bert_pool.0.weight",
    "bert.pooler.dense.bias": "bert.bert_pool.0.bias",
}
"""Names of a BERT classifier's head -> lightning-ir's."""


class Samples(Dataset[RankSample]):
    """Training groups in memory."""

    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups

    def prepare_data(self) -> None:
        """Nothing to download."""

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> RankSample:
        group = self.groups[index]
        ids = [f"{index}/{rank}" for rank in range(len(group["passages"]))]
        return RankSample(
            str(index), group["question"], ids, group["passages"], torch.tensor(group["teacher"])
        )


class Timer(L.Callback):
    """Ticks at the end of each optimizer step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.clock.start()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.clock.losses.append(outputs["loss"].item())
        self.clock.tick()


def build(args: argparse.Namespace) -> CrossEncoderModule:
    config = MonoConfig(
        query_length=None, doc_length=None, pooling_strategy="bert_pool", linear_bias=True
    )
    # an argument key_mapping would be lost on the way
    STATE_DICT_KEY_MAPPING[args.model] = list(WEIGHTS.items())
    module = CrossEncoderModule(args.model, config=config, loss_functions=[InfoNCE()])
    module.tokenizer.model_max_length = args.max_length
    return module.to(torch.bfloat16) if args.task == "rank" and args.dtype == "bf16" else module


def main() -> None:
    args, clock = arguments(), Clock()
    warmup, timed = read_groups(args)
    module = build(args)
    if args.task == "rank":
        module.eval()
        clock.start()
        for group in warmup:
            module.score(group["question"], group["all_passages"])
        clock.tick()
        scores = [module.score(group["question"], group["all_passages"]).scores for group in timed]
        clock.tick()
        clock.report(args, "lightning-ir", torch.cat(scores).float().tolist())
        return
    module.set_optimizer(torch.optim.AdamW, lr=1e-5)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision="bf16-mixed" if args.dtype == "bf16" else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Timer(clock)],
    )
    trainer.fit(
        module, LightningIRDataModule(Samples(warmup + timed), args.questions, shuffle_train=False)
    )
    clock.report(args, "lightning-ir")


if __name__ == "__main__":
    main()
