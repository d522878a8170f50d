"""The tables of what real models make of the rankings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import readers
from radio.callbacks import GeneratorInTheLoop
from radio.evaluation.files import read_predictions
from radio.generators import Generator, Prompt, SpanReader
from radio.rerankers import CrossEncoder
from radio.teachers import AnswerMatch
from tests.callbacks.test_rankings import trainer, whole_models
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


class Knowing(Generator):
    """Knows the answer where a passage has it."""

    identity = "Knowing"

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        answers = []
        for prompt in prompts:
            there = any("captain" in passage.text for passage in prompt.passages)
            answers.append(prompt.question.golden_answers[0] if there else "nobody")
        return answers


@pytest.fixture
def read(world: World, tiny_bert: str, tmp_path: Path) -> Path:
    """The run folder of an evaluation by the names of the benchmark."""
    path = world.folder / "validation.jsonl"
    rows = read_jsonl(path)
    # one question has no annotation
    annotated = [{**row, "metadata": {"gold_ids": ["port4-0"]}} for row in rows[1:]]
    write_jsonl(path, [rows[0], *annotated])
    rankings = [name for name in readers.SYSTEMS if name != "closed_book"]
    loops = [
        GeneratorInTheLoop(
            Knowing(),
            list(readers.DEPTHS),
            name=readers.LANGUAGE_MODEL,
            closed_book=True,
            rankings=rankings,
        ),
        GeneratorInTheLoop(
            SpanReader(), list(readers.DEPTHS), name=readers.SPAN_READER, rankings=rankings
        ),
    ]
    reranker = CrossEncoder(whole_models(tiny_bert, tmp_path)[CrossEncoder], max_length=48)
    data = module(world, eval_candidates=7, teacher=AnswerMatch())
    trainer(tmp_path / "run", callbacks=loops).validate(reranker, datamodule=data, verbose=False)
    return tmp_path / "run"


def test_each_order_and_depth_is_a_row_with_its_difference_to_the_retriever(read: Path) -> None:
    lines = readers.table(read, "nq", readers.LANGUAGE_MODEL)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    assert [row[:2] for row in rows[2:]] == [
        ["closed book", "0"],
        *([name, str(k)] for name in list(readers.SYSTEMS.values())[1:] for k in readers.DEPTHS),
    ]
    cells = {(row[0], row[1]): row for row in rows[2:]}
    rate = {}
    for system in ("retriever", "annotated"):
        rows_of = [
            row for row in read_predictions(read / "predictions.jsonl") if "annotated" in row
        ]
        rate[system] = 100 * sum(row[system]["qwen_em@1"] for row in rows_of) / len(rows_of)
    assert cells["annotated first", "1"][2].startswith("100.0 [100.0, 100.0]")
    gain = rate["annotated"] - rate["retriever"]
    assert cells["annotated first", "1"][3].startswith(f"{gain:+.1f} [")
    assert cells["closed book", "0"][2].startswith("0.0 [")
    assert all(len(row) == 9 for row in rows)
    assert re.match(r"Tuned minus base, reads 1: \+0\.0 .*not significant", lines[-2])


def test_a_span_reader_has_no_closed_book_and_no_tokens(read: Path) -> None:
    lines = readers.table(read, "nq", readers.SPAN_READER)
    assert not any("closed book" in line for line in lines)
    assert "| retriever (BM25) | 1 |" in lines[2]
    assert [cell.strip() for cell in lines[2].split("|")[-3:-1]] == ["-", "-"]


@pytest.mark.parametrize("dataset", list(readers.RIGHT))
def test_only_mmlu_has_no_annotated_passages(dataset: str) -> None:
    for callback in readers.callbacks(dataset, Path("model")):
        assert ("annotated" in callback["init_args"]["rankings"]) == (dataset != "mmlu")


@pytest.mark.parametrize("dataset", list(readers.RIGHT))
def test_spans_are_read_where_answers_are_spans(dataset: str) -> None:
    callbacks = readers.callbacks(dataset, Path("model"))
    named = [callback["init_args"].get("name") for callback in callbacks]
    assert (readers.SPAN_READER in named) == (readers.RIGHT[dataset] == "em")
