"""Teacher scores: RationaleSimilarity against the loop that was published with the method.

The loop takes one question at a time, and encodes its text and then its 50 passages, in the order
given, in fp16, and keeps nothing. This project's encoder computes in fp32, or in bf16 when asked.
Written from its description: the encoder is plain transformers, with mean pooling here, since that
is what this project takes of a folder that says nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.gpu.embedding import precisions
from benchmarks.gpu.measure import Row, Setting, Step, Work, best, judge
from benchmarks.gpu.shapes import MAX_LENGTH, groups, model_folder, text
from radio.cache import Cache
from radio.encoders import Encoder
from radio.normalising import min_max
from radio.schema import Group, Rationale, RetrievedPassage
from radio.teachers import RationaleSimilarity
from radio.teachers.base import Lesson

NAME = "bge-m3"
CANDIDATES = 50
FASTER = 10


def lessons_of(work: Work, given: Sequence[Group], shared: int = 1) -> list[Lesson]:
    """What a teacher is given, with rationales of 60 words.

    Args:
        work: says which words are known.
        given: questions with their passages.
        shared: in the lists of how many questions each passage stands.
    """
    lessons, draw = [], random.Random(1)
    for number, group in enumerate(given):
        source = given[number // shared * shared]
        found = []
        for place, passage in enumerate(source.passages):
            found.append(RetrievedPassage(passage.id, passage.contents, place, 1.0 / (place + 1)))
        rationale = Rationale(group.question.id, text(work, draw, 60))
        lessons.append(Lesson(group.question, rationale, found))
    return lessons


def teacher_of(
    work: Work, folder: str, size: int, precision: Literal["fp32", "bf16"] = "fp32"
) -> RationaleSimilarity:
    encoder = Encoder(folder, batch_size=size, device=work.device, precision=precision)
    return RationaleSimilarity(encoder)


@contextmanager
def ours(
    work: Work,
    folder: str,
    lessons: list[Lesson],
    size: int,
    precision: Literal["fp32", "bf16"],
    again: bool,
) -> Iterator[Step]:
    """Scores of all lessons: with an empty cache each time, or with one that has them."""
    teacher = teacher_of(work, folder, size, precision)
    with TemporaryDirectory(dir=work.folder) as place:
        caches = (Path(place) / f"{number}.sqlite" for number in range(10**6))
        kept = next(caches)

        def step() -> int:
            cache = Cache(kept if again else next(caches))
            return sum(map(len, teacher.score_all(lessons, cache)))

        yield step


class Loop:
    """The published loop.

    Args:
        work: says on which device.
        folder: of the encoder.
        size: passages encoded at a time.
    """

    def __init__(self, work: Work, folder: str, size: int) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.device, self.size = work.device, size
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        network: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
        network = network.to(work.device).eval()
        self.network = network.half() if work.on_gpu else network

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of unit length, on the processor."""
        parts = []
        for start in range(0, len(texts), self.size):
            tokens = self.tokenizer(
                list(texts[start : start + self.size]),
                padding=True,
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
            ).to(self.device)
            hidden = self.network(**tokens).last_hidden_state
            kept = tokens["attention_mask"][:, :, None].to(hidden.dtype)
            mean = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
            parts.append(torch.nn.functional.normalize(mean.float(), dim=1).cpu())
        return torch.cat(parts)

    def scores(self, text: str, passages: Sequence[str]) -> list[float]:
        with torch.inference_mode():
            found = self.encode([text]) @ self.encode(passages).T
        return min_max(found.flatten().tolist())


@contextmanager
def published(work: Work, folder: str, lessons: list[Lesson], size: int) -> Iterator[Step]:
    loop, teacher = Loop(work, folder, size), teacher_of(work, folder, size)

    def step() -> int:
        count = 0
        for lesson in lessons:
            passages = [one.contents for one in lesson.passages]
            count += len(loop.scores(teacher.text(lesson.question, lesson.rationale), passages))
        return count

    yield step


def scoring(work: Work) -> list[Row]:
    """Candidates scored a second: once for each way in which candidates may come again."""
    folder = str(model_folder(work, NAME, "encode"))
    given = groups(work, 2 if work.tiny else 16, 4 if work.tiny else CANDIDATES)
    apart, shared = lessons_of(work, given), lessons_of(work, given, shared=2)
    seconds = work.left_of_part
    work.begin(0.4 * seconds)
    notes: list[str] = []
    peers: dict[str, Setting] = {}
    kind = "fp16" if work.on_gpu else "fp32"
    # 12 is the default of the library that was used, 50 the whole list at once
    for size in (4,) if work.tiny else (12, CANDIDATES):
        peers[f"{kind}, {size} at a time"] = partial(published, work, folder, apart, size)
    theirs = best(work, peers, notes)
    cases = {
        "no passage twice": (apart, False),
        "each passage in two lists": (shared, False),
        "again, from the cache": (apart, True),
    }
    rows = []
    for number, (case, (lessons, again)) in enumerate(cases.items()):
        work.begin(0.6 * seconds / len(cases))
        row = Row(f"teacher scores ({NAME}), {case}, against the published loop", "candidates/s")
        row.notes += notes if number == 0 else []
        settings: dict[str, Setting] = {}
        for precision in precisions(work):
            for size in (4,) if work.tiny else (64, 256) if precision == "bf16" else (64,):
                setting = partial(ours, work, folder, lessons, size, precision, again)
                settings[f"{precision}, {size} texts"] = setting
        mine = best(work, settings, row.notes)
        rows.append(judge(work, row, mine, theirs, FASTER))
    rows[0].notes += [_agreement(work, folder, apart[:1], kind) for kind in precisions(work)]
    return rows


def _agreement(
    work: Work, folder: str, lessons: list[Lesson], precision: Literal["fp32", "bf16"]
) -> str:
    """How far the scores of the two are apart; they lie in [0, 1]."""
    teacher, loop = teacher_of(work, folder, 4, precision), Loop(work, folder, 50)
    with TemporaryDirectory(dir=work.folder) as place:
        (mine,) = teacher.score_all(lessons, Cache(Path(place) / "cache.sqlite"))
    passages = [one.contents for one in lessons[0].passages]
    theirs = loop.scores(teacher.text(lessons[0].question, lessons[0].rationale), passages)
    gap = max(abs(x - y) for x, y in zip(mine, theirs, strict=True))
    return f"scores of the two differ by {gap:.1e} at most ({precision})"
