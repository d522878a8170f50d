"""What ``radio predict`` leaves: a TREC run, and JSONL with the passages' text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radio.data.module import RationaleDataModule
from radio.evaluation.measure import tied_tops
from radio.formats import write_run
from radio.lines import write_jsonl
from radio.schema import Question, Run, ranked


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
    rows = [
        _row(question, run[identifier], datamodule) for identifier, question in questions.items()
    ]
    write_jsonl(folder / "predict.jsonl", rows)
    total = datamodule.split_size(split)
    count = str(len(rows)) if len(rows) == total else f"{len(rows)} of {total}"
    print(f"reranked {count} questions: {folder / 'predict.trec'}, {folder / 'predict.jsonl'}")
    tied = tied_tops(run)
    if tied:
        print(f"tied at the top, and ordered by passage id there: {tied} of {len(rows)} questions")


def _row(
    question: Question, scores: dict[str, float], datamodule: RationaleDataModule
) -> dict[str, Any]:
    candidates = []
    for candidate in ranked(scores):
        contents = datamodule.corpus[candidate.passage_id].contents
        candidates.append(
            {"id": candidate.passage_id, "score": candidate.score, "contents": contents}
        )
    return {"id": question.id, "question": question.question, "candidates": candidates}
