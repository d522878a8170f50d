"""This project: CrossEncoder, or YesNoLM with LoRA, under RadioTrainer, fit and predict."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
from common import Clock, Group, arguments, read_groups
from torch.utils.data import DataLoader

from radio.callbacks import rankings_of
from radio.losses import InfoNCE
from radio.rerankers import CrossEncoder, Reranker, YesNoLM
from radio.rerankers.tuning import LoRA
from radio.schema import Group as RadioGroup
from radio.schema import GroupBatch, Passage, Question
from radio.trainer import RadioTrainer

EVAL_QUESTIONS = 16
"""Default of ``eval_batch_size`` in the project's data modules."""


class Groups(L.LightningDataModule):
    """Training groups, or all candidates of each question, as the reranker collates them."""

    def __init__(self, reranker: Reranker, groups: list[Group], questions: int) -> None:
        super().__init__()
        self.reranker, self.groups, self.questions = reranker, groups, questions

    def _loader(self, field: str, questions: int) -> DataLoader[Any]:
        rows = []
        for i, group in enumerate(self.groups):
            passages = tuple(Passage(f"{i}/{rank}", text) for rank, text in enumerate(group[field]))
            teacher = (
                tuple(group["teacher"]) if field == "passages" else (math.nan,) * len(passages)
            )
            rows.append(RadioGroup(Question(str(i), group["question"]), passages, teacher))
        return DataLoader(rows, batch_size=questions, collate_fn=self.reranker.collate)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[GroupBatch]:
        return self._loader("passages", self.questions)

    def predict_dataloader(self) -> DataLoader[GroupBatch]:
        return self._loader("all_passages", EVAL_QUESTIONS)


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


def main() -> None:
    args, clock = arguments(), Clock()
    warmup, timed = read_groups(args)
    # ranking in the precision that is compared: without, evaluations are in fp32
    settings = {"max_length": args.max_length, "evaluation_precision": "trainer"} | args.settings
    reranker: Reranker
    if args.kind == "language_model":
        # the rank and the factor of transformers_worker.py
        reranker = YesNoLM(args.model, loss=InfoNCE(), lr=1e-5, lora=LoRA(16, 32), **settings)
    else:
        reranker = CrossEncoder(args.model, loss=InfoNCE(), lr=1e-5, **settings)
    trainer = RadioTrainer(
        accelerator="cpu" if args.device == "cpu" else "gpu",
        devices=1,
        max_epochs=1,
        precision="bf16-mixed" if args.dtype == "bf16" else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Timer(clock)],
    )
    if args.task == "train":
        trainer.fit(reranker, Groups(reranker, warmup + timed, args.questions))
        clock.report(args, "radio-rag")
        return
    # loads the weights, as constructors do elsewhere
    reranker.configure_model()
    clock.start()
    trainer.predict(reranker, Groups(reranker, warmup, args.questions), return_predictions=False)
    clock.tick()
    trainer.predict(reranker, Groups(reranker, timed, args.questions), return_predictions=False)
    clock.tick()
    ranking = rankings_of(trainer).scores
    scores = [
        ranking[str(i)][f"{i}/{j}"]
        for i, g in enumerate(timed)
        for j in range(len(g["all_passages"]))
    ]
    clock.report(args, "radio-rag", scores)


if __name__ == "__main__":
    main()
