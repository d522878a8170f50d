"""CrossEncoder in training and ranking: this project against sentence-transformers.

Both sides run the same plain loop (text in, tokens, step of AdamW, on to the next), with the
batches in the same order, so that no trainer's own cost counts. Each side keeps the best of its
batch sizes and settings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from benchmarks.gpu.measure import (
    Rate,
    Row,
    Setting,
    Step,
    Work,
    best,
    compared,
    shown,
)
from benchmarks.gpu.shapes import forward_flops, groups, model_folder, sizes
from radio.data.loading import ahead
from radio.losses import InfoNCE
from radio.rerankers import CrossEncoder, Reranker
from radio.schema import Group, GroupBatch

PEER = "sentence-transformers"
INSTALL = "pip install -r benchmarks/requirements/sentence_transformers.txt"
PASSAGES = {"train": 7, "rank": 20}
"""Of one question; the published groups have 7."""

FASTER = 1.5
"""The aim: times the best peer."""


def shares(given: Sequence[Group], questions: int) -> Iterator[list[Group]]:
    """The groups in batches of so many questions, again and again."""
    batches = [list(given[i : i + questions]) for i in range(0, len(given), questions)]
    return itertools.cycle(batches)


def batches_of(reranker: Reranker, shared: Iterable[list[Group]]) -> Iterator[GroupBatch]:
    """Batches as a run makes them: in a thread, one ahead."""
    return ahead(map(reranker.collator(), shared))


@contextmanager
def train(work: Work, reranker: Reranker, given: list[Group], questions: int) -> Iterator[Step]:
    """Steps of this project's training."""
    reranker.configure_model()
    reranker.to(work.device).train()
    trained = [weight for weight in reranker.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=work.on_gpu)
    batches = batches_of(reranker, shares(given, questions))

    def step() -> int:
        batch = reranker.transfer_batch_to_device(next(batches), reranker.device, 0)
        with work.autocast():
            scores = reranker(batch)
            loss = reranker.loss(scores, batch.teacher, batch.mask)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return sum(map(len, batch.passage_ids))

    try:
        yield step
    finally:
        batches.close()  # type: ignore[attr-defined]


@contextmanager
def rank(
    work: Work, reranker: Reranker, given: list[Group], questions: int, whole: bool
) -> Iterator[Step]:
    """Rankings of all groups by this project; with weights in bf16, or in fp32 under autocast."""
    reranker.configure_model()
    reranker.to(work.device).eval()
    if whole and work.on_gpu:
        reranker.network.bfloat16()

    def step() -> int:
        shared = [given[i : i + questions] for i in range(0, len(given), questions)]
        scores = []
        with torch.inference_mode(), work.autocast():
            for batch in batches_of(reranker, shared):
                moved = reranker.transfer_batch_to_device(batch, reranker.device, 0)
                scores.append(reranker(moved)[moved.mask])
        return len(torch.cat(scores).tolist())

    yield step


def attentions(work: Work) -> list[str]:
    """What transformers computes attention with, on this machine."""
    from transformers.utils.import_utils import is_flash_attn_2_available

    flash = work.on_gpu and is_flash_attn_2_available()
    return ["flash_attention_2", "sdpa"] if flash else ["sdpa"]


def peer_model(work: Work, folder: str, attention: str, **options: Any) -> Any:
    """The same weights in sentence-transformers' CrossEncoder, cut at the same length."""
    try:
        from sentence_transformers import CrossEncoder as Peer
    except ImportError:
        raise ImportError(f"{PEER} is not installed: {INSTALL}") from None
    kwargs = {"attn_implementation": attention, **options.pop("model_kwargs", {})}
    return Peer(
        folder, num_labels=1, max_length=512, device=work.device, model_kwargs=kwargs, **options
    )


@contextmanager
def peer_train(
    work: Work,
    folder: str,
    dropout: float | None,
    attention: str,
    given: list[Group],
    questions: int,
) -> Iterator[Step]:
    """Steps of sentence-transformers' own loss on its own model; labels so far apart that ListNet
    is InfoNCE. All pairs of a step go through the model at once, its fastest documented way."""
    options = {}
    if dropout is not None:
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
        options["config_kwargs"] = dict.fromkeys(names, dropout)
    model = peer_model(work, folder, attention, **options)
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    model.train()
    loss_of = ListNetLoss(model, mini_batch_size=-1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=work.on_gpu)
    batches = shares(given, questions)

    def step() -> int:
        batch = next(batches)
        texts = [[one.contents for one in group.passages] for group in batch]
        kept = [[1000.0] + [0.0] * (len(group) - 1) for group in texts]
        labels = [torch.tensor(row, device=work.device) for row in kept]
        with work.autocast():
            loss = loss_of([[group.question.query for group in batch], texts], labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        # as this project's check of each loss does
        loss.item()
        return sum(map(len, texts))

    yield step


@contextmanager
def peer_rank(
    work: Work, folder: str, attention: str, given: list[Group], size: int
) -> Iterator[Step]:
    """``CrossEncoder.predict`` over all pairs in one call, which sorts them by length."""
    kwargs = {"dtype": torch.bfloat16} if work.on_gpu else {}
    model = peer_model(work, folder, attention, model_kwargs=kwargs)
    pairs = [(group.question.query, one.contents) for group in given for one in group.passages]

    def step() -> int:
        scores = model.predict(
            pairs, batch_size=size, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return len(scores.tolist())

    yield step


def training(work: Work, name: str, dropout: float | None) -> list[Row]:
    """Pairs a second in training, texts of ordinary length."""
    folder = str(model_folder(work, name, "score"))
    given = groups(work, 4 if work.tiny else 256, PASSAGES["train"])
    counts = (2,) if work.tiny else (8, 32, 64)
    ours: dict[str, Setting] = {}
    for count in counts:
        make = partial(_trained, work, folder, dropout, given, count)
        ours[f"{count} questions"] = make
    peers: dict[str, Setting] = {}
    for attention in attentions(work):
        for count in counts:
            make = partial(peer_train, work, folder, dropout, attention, given, count)
            peers[f"{attention}, {count} questions"] = make
    said = "default" if dropout is None else f"{dropout:g}"
    row = Row(f"train {name}, dropout {said}, against {PEER}", "pairs/s")
    return compared(work, ours, peers, row, FASTER)


@contextmanager
def _trained(
    work: Work, folder: str, dropout: float | None, given: list[Group], questions: int
) -> Iterator[Step]:
    reranker = CrossEncoder(folder, loss=InfoNCE(), dropout=dropout)
    with train(work, reranker, given, questions) as step:
        yield step


def ranking(work: Work, name: str) -> list[Row]:
    """Pairs a second in ranking."""
    folder = str(model_folder(work, name, "score"))
    given = groups(work, 2 if work.tiny else 128, PASSAGES["rank"])
    counts = (2,) if work.tiny else (16, 64)
    ours: dict[str, Setting] = {}
    for count, whole in itertools.product(counts, (False, True) if work.on_gpu else (False,)):
        kind = "bf16 weights" if whole else "autocast"
        ours[f"{count} questions, {kind}"] = partial(_ranked, work, folder, given, count, whole)
    peers: dict[str, Setting] = {}
    for attention in attentions(work):
        for size in (8,) if work.tiny else (32, 128, 512):
            make = partial(peer_rank, work, folder, attention, given, size)
            peers[f"{attention}, {size} pairs"] = make
    row = Row(f"rank with {name}, against {PEER}", "pairs/s")
    return compared(work, ours, peers, row, FASTER)


@contextmanager
def _ranked(
    work: Work, folder: str, given: list[Group], questions: int, whole: bool
) -> Iterator[Step]:
    reranker = CrossEncoder(folder, evaluation_precision="trainer")
    with rank(work, reranker, given, questions, whole) as step:
        yield step


def share_of_peak(work: Work, name: str, dropout: float | None) -> list[Row]:
    """Useful FLOP/s in training where every pair has the most tokens, of the measured peak.

    They are those of the whole model on real tokens, three times the forward pass; work that is
    skipped without changing the result, as in the last layer, counts as done.
    """
    folder = str(model_folder(work, name, "score"))
    # longer than a pair may be: all are cut at the same length
    given = groups(work, 4 if work.tiny else 64, PASSAGES["train"], words=600)
    counts = (1,) if work.tiny else (4, 8, 16)
    ours: dict[str, Setting] = {
        f"{count} questions": partial(_trained, work, folder, dropout, given, count)
        for count in counts
    }
    said = "default" if dropout is None else f"{dropout:g}"
    row = Row(f"train {name} at 512 tokens, dropout {said}", "share of the peak, pairs/s")
    found: Rate | None = best(work, ours, row.notes)
    row.ours, row.aim = shown(found), ">= 40 %"
    if found and work.peak:
        flops = 3 * forward_flops(sizes(work, name), [512]) * found.value
        row.value = f"{flops / work.peak:.1%}"
        row.met = None if work.tiny else flops >= 0.4 * work.peak
    elif found:
        row.notes.append("the peak was not measured")
    return [row]
