"""Training and ranking by this project and by a peer, each in a process of its own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import HERE, report_of
from benchmarks.gpu import material
from benchmarks.gpu.material import Shape
from benchmarks.gpu.rows import Row, at_least, not_run

AIM, PEAK_AIM = 1.5, 0.4
THREADS = 4


@dataclass(frozen=True)
class Work:
    """Groups of questions, and how many of them make a step."""

    groups: Path
    questions: int
    steps: int
    warmup: int

    def options(self) -> list[str]:
        options = ["--groups", str(self.groups), "--questions", str(self.questions)]
        return [*options, "--steps", str(self.steps), "--warmup", str(self.warmup)]


@dataclass(frozen=True)
class Contest:
    """One model and one task.

    Args:
        what: for the table.
        task: ``train`` or ``rank``.
        model: folder that holds ``default``.
        kind: of :mod:`benchmarks.peers.common`.
        peer: worker of the peer, and its settings, of which the best counts.
    """

    what: str
    task: str
    model: Path
    work: Work
    peer: str
    kind: str = "cross_encoder"
    settings: Sequence[Sequence[str]] = field(default_factory=lambda: [[]])


def attentions(device: str) -> list[str]:
    """Of the peers, the fastest first; the next one only if that fails.

    With flash attention 2, if it is installed, sentence-transformers has no padding.
    """
    installed = importlib.util.find_spec("flash_attn") is not None
    return ["flash_attention_2", "sdpa"] if device == "cuda" and installed else ["sdpa"]


def worker(
    contest: Contest, name: str, device: str, options: Sequence[str]
) -> dict[str, Any] | None:
    """A worker's report in bf16; None if it failed (out of memory, for example)."""
    command = [sys.executable, str(HERE / f"peers/{name}_worker.py"), *contest.work.options()]
    command += ["--model", str(contest.model), "--task", contest.task, "--kind", contest.kind]
    command += ["--dtype", "bf16", "--device", device, "--threads", str(THREADS)]
    return report_of([*command, *options], THREADS, gpu=device == "cuda")


def hold(contest: Contest, device: str) -> Row:
    """This project against the best setting of the peer."""
    own = worker(contest, "radio", device, [])
    reports = {}
    for setting in contest.settings:
        for attention in attentions(device):
            report = worker(contest, contest.peer, device, ["--attention", attention, *setting])
            if report is not None:
                reports[" ".join([attention, *setting])] = report
                break
    if own is None or not reports:
        return not_run(contest.what, "this project failed" if own is None else "the peer failed")
    best = max(reports, key=lambda name: reports[name]["pairs_per_s"])
    peer = reports[best]
    detail = (
        f"{own['pairs_per_s']:.0f} pairs/s, {_memory(own, device)}; {peer['peer']} "
        f"{peer['version']}, {best}: {peer['pairs_per_s']:.0f}, "
        f"{_memory(peer, device)}; {len(reports)} of {len(contest.settings)} settings ran; bf16"
    )
    ratio = own["pairs_per_s"] / peer["pairs_per_s"]
    return at_least(contest.what, ratio, AIM, "times the peer", detail)


def _memory(report: dict[str, Any], device: str) -> str:
    key = "gpu_mib" if device == "cuda" else "peak_rss_mib"
    return f"{report[key]:.0f} MiB"


def share_of_peak(contest: Contest, shape: Shape, device: str, peak: float) -> Row:
    """Useful FLOP/s of training at 512 tokens over those of the best matrix product."""
    own = worker(contest, "radio", device, [])
    if own is None:
        return not_run(contest.what, "this project failed")
    pairs = contest.work.questions * contest.work.steps * 7
    rate = shape.flops([512] * pairs, training=True) / sum(own["step_seconds"])
    detail = f"{rate / 1e12:.2f} of {peak / 1e12:.2f} TFLOP/s (torch.mm, bf16), dropout 0"
    return at_least(contest.what, rate / peak, PEAK_AIM, "of the peak", detail)


def contests(folder: Path, device: str, *, tiny: bool) -> Iterator[Contest]:
    """The models are written as their turn comes; tiny: one encoder for all."""
    large, small = (
        (material.TINY, material.TINY) if tiny else (material.BERT_LARGE, material.MINILM)
    )
    natural = _work(folder / "natural.jsonl", tiny, shortest=5 if tiny else 60, longest=220)
    sizes = ["--batch-sizes", *(["4"] if tiny else ["32", "128", "512"])]
    parts = [["--mini-batch", size] for size in (["-1"] if tiny else ["-1", "28"])]
    encoders = {"BERT-large": large} if tiny else {"BERT-large": large, "MiniLM": small}
    for name, shape in encoders.items():
        for dropout in (0.0,) if tiny else (0.0, 0.1):
            model = folder / f"{name}-{dropout:g}"
            material.write_bert(model / "default", shape, dropout=dropout)
            peer = "sentence_transformers"
            what = f"{name}, training, dropout {dropout:g}"
            yield Contest(what, "train", model, natural, peer, settings=parts)
        peer = "sentence_transformers_ranking"
        yield Contest(f"{name}, ranking", "rank", model, natural, peer, settings=[sizes])
    model = folder / "decoder"
    material.write_decoder(model / "default", material.TINY if tiny else material.QWEN)
    kind = "language_model"
    parts = [["--mini-batch", size] for size in (["-1"] if tiny else ["-1", "2"])]
    yield Contest(
        "YesNoLM with LoRA, training", "train", model, natural, "transformers", kind, parts
    )
    yield Contest("YesNoLM, ranking", "rank", model, natural, "transformers", kind, [sizes])


def full_length(folder: Path, *, tiny: bool) -> tuple[Contest, Shape]:
    """Pairs that are all cut at 512 tokens."""
    shape = material.TINY if tiny else material.BERT_LARGE
    work = _work(folder / "full.jsonl", tiny, shortest=600, longest=600)
    model = folder / "full"
    material.write_bert(model / "default", shape, dropout=0.0)
    what = "BERT-large, training at 512 tokens"
    return Contest(what, "train", model, work, "radio"), shape


def _work(path: Path, tiny: bool, *, shortest: int, longest: int) -> Work:
    questions, steps, warmup = (2, 1, 1) if tiny else (8, 8, 3)
    count, passages = questions * (steps + warmup), 7 if tiny else 20
    rows = material.groups(count, passages=passages, shortest=shortest, longest=longest)
    material.write_groups(path, rows)
    return Work(path, questions, steps, warmup)
