"""What ``radio predict`` leaves: a TREC run, and JSONL with the passages' texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from radio.data.module import RationaleDataModule
from radio.evaluation.measure import tied_tops
from radio.formats import write_run
from radio.lines import atomic_write
from radio.schema import Passage, Question, Run, ranked


def write_rankings(scores: Run, datamodule: RationaleDataModule, folder: Path) -> None:
    """Write ``predict.trec`` and ``predict.jsonl`` of what was ranked."""
    examples = datamodule.examples
    split = "predict" if "predict" in examples else "test"
    # each question once, in the order of the data set, whichever process has ranked it
    questions = {}
    for example in examples[split]:
        if example.question.id in scores:
            questions[example.question.id] = example.question
    run = {identifier: scores[identifier] for identifier in questions}
    write_run(folder / "predict.trec", run, "radio")
    with atomic_write(folder / "predict.jsonl") as file:
        for identifier, question in questions.items():
            file.write(row_of(question, run[identifier], datamodule.corpus) + "\n")
    total = datamodule.counts(split).total
    count = str(len(run)) if len(run) == total else f"{len(run)} of {total}"
    print(f"reranked {count} questions: {folder / 'predict.trec'}, {folder / 'predict.jsonl'}")
    tied = tied_tops(run)
    if tied:
        print(f"tied at the top, and ordered by passage id there: {tied} of {len(run)} questions")


def row_of(question: Question, scores: Mapping[str, float], passages: Mapping[str, Passage]) -> str:
    """A line of JSONL: the question and its candidates, best first, with their texts.

    Args:
        question: which.
        scores: by passage id.
        passages: the candidates among others, by id.
    """
    candidates = []
    for candidate in ranked(scores):
        contents = passages[candidate.passage_id].contents
        candidates.append(
            {"id": candidate.passage_id, "score": candidate.score, "contents": contents}
        )
    row = {"id": question.id, "question": question.question, "candidates": candidates}
    return json.dumps(row, ensure_ascii=False)
