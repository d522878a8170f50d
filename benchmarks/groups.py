"""The benchmark's data: groups of one question and its passages, from Natural Questions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

RANKS = (0, 3, 4, 6, 9, 13, 18)
"""Candidates of a training group: the published shift."""


def groups(data: Path) -> Iterator[dict[str, object]]:
    """Groups in the order of the training questions.

    Args:
        data: folder with ``dataset/nq/train.jsonl`` and ``candidates/nq/train.jsonl.gz``, both in
            the same order; candidates sorted by their ``score``, best first.

    Yields:
        ``question``, ``passages`` (7 texts), ``teacher`` (7 scores in [0, 1], the first is 1 and
        above the others), ``all_passages`` (20 texts).
    """
    files = data / "dataset/nq/train.jsonl", data / "candidates/nq/train.jsonl.gz"
    with open(files[0], encoding="utf-8") as questions, gzip.open(files[1]) as lists:
        for left, right in zip(questions, lists, strict=True):
            question, row = json.loads(left), json.loads(right)
            if question["id"] != row["id"]:
                raise ValueError(
                    f"{question['id']} and {row['id']} share a line: the files differ in their "
                    "order"
                )
            texts = [candidate["contents"] for candidate in row["candidates"]]
            scores = [row["candidates"][rank]["score"] for rank in RANKS]
            low, high = min(scores), max(scores)
            # with several best passages the libraries would differ in what they take as the
            # positive
            if scores.count(high) == 1:
                yield {
                    "question": question["question"],
                    "passages": [texts[rank] for rank in RANKS],
                    "teacher": [(score - low) / (high - low) for score in scores],
                    "all_passages": texts,
                }


def write_groups(data: Path, path: Path, count: int) -> list[dict[str, object]]:
    """Write the first ``count`` groups as JSONL, and return them."""
    rows = list(islice(groups(data), count))
    if len(rows) < count:
        raise ValueError(
            f"{data} has {len(rows)} usable questions, {count} are needed: fewer steps or questions"
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows
