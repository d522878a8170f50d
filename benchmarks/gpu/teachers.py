"""Teacher scoring against a loop as the published one: question by question, nothing kept, nothing
sorted.

The loop encodes a rationale text and its 50 passages with the same weights, padded to the longest,
mean-pooled and normalised, in fp32 and in bf16; the faster one counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import normalize

from benchmarks.gpu import material
from benchmarks.gpu.rows import Row, at_least
from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers import Lesson, RationaleSimilarity

AIM = 10.0
PASSAGES = 50
TEMPLATE = "{question}. {answers}. {rationale}"


def lessons(count: int, shared: int, longest: int) -> list[Lesson]:
    """Questions whose passages are candidates of ``shared`` questions on average."""
    rng = random.Random(1)
    texts = [
        material.words(rng, rng.randint(longest // 4, longest))
        for _ in range(max(PASSAGES, PASSAGES * count // shared))
    ]
    order = list(range(len(texts)))
    made = []
    for number in range(count):
        if shared == 1:
            chosen = order[number * PASSAGES : (number + 1) * PASSAGES]
        else:
            chosen = rng.sample(order, PASSAGES)
        passages = [
            RetrievedPassage(str(i), texts[i], rank=rank, score=0.0)
            for rank, i in enumerate(chosen)
        ]
        question = Question(str(number), material.words(rng, 10), (material.words(rng, 2),))
        rationale = Rationale(str(number), material.words(rng, 60))
        made.append(Lesson(question, rationale, passages))
    return made


def published_loop(model: Path, work: list[Lesson], device: str, dtype: torch.dtype) -> float:
    """Seconds."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModel.from_pretrained(model, dtype=dtype).to(device).eval()
    teacher = RationaleSimilarity(Encoder(str(model), device=device), TEMPLATE)

    def encode(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(
            texts, padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(device)
        mask = tokens["attention_mask"][..., None]
        hidden = network(**tokens).last_hidden_state * mask
        return normalize((hidden.sum(1) / mask.sum(1)).float(), dim=1)

    def one(lesson: Lesson) -> list[float]:
        target = encode([teacher.text(lesson.question, lesson.rationale)])
        found = encode([passage.contents for passage in lesson.passages]) @ target[0]
        return [float(score) for score in found]

    with torch.inference_mode():
        one(work[0])
        start = time.perf_counter()
        for lesson in work:
            one(lesson)
    return time.perf_counter() - start


def own(model: Path, work: list[Lesson], device: str, folder: Path) -> float:
    """Seconds, with an empty cache; the model is loaded before."""
    encoder = Encoder(str(model), device=device)
    teacher = RationaleSimilarity(encoder, TEMPLATE)
    warm = Cache(folder / "warm")
    list(teacher.score_all(work[:1], warm))
    cache = Cache(folder / "cache")
    start = time.perf_counter()
    scores = list(teacher.score_all(work, cache))
    seconds = time.perf_counter() - start
    if len(scores) != len(work):
        raise RuntimeError(f"{len(scores)} score lists, expected {len(work)}")
    return seconds


def race(folder: Path, device: str, *, tiny: bool) -> Iterator[Row]:
    """With no passage shared by two questions, and with each a candidate of two on average."""
    shape = material.TINY if tiny else material.BERT_LARGE
    model = material.write_bert(folder / "encoder", shape, dropout=0.0, head=False)
    for shared in (1, 2):
        work = lessons(2 if tiny else 64, shared, 12 if tiny else 220)
        loops = {
            name: published_loop(model, work, device, dtype)
            for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
        }
        best = min(loops, key=lambda name: loops[name])
        seconds = own(model, work, device, folder / f"caches-{shared}")
        what = f"teacher scoring, a passage is a candidate of {shared} on average"
        detail = (
            f"{len(work) / seconds:.1f} questions/s; loop: {len(work) / loops[best]:.1f} in {best}"
            f"; {len(work)} questions, {PASSAGES} passages, BERT-large, empty cache"
        )
        yield at_least(what, loops[best] / seconds, AIM, "times the loop", detail)
