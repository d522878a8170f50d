"""Evaluation: every question counts, ties are told, one evaluation does not mix with another,
generators have names."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.evaluation.table import show_table
from radio.generators import Generator, Prompt
from radio.rerankers import CrossEncoder
from radio.retrievers import BM25
from radio.schema import Candidate, GroupBatch, Question
from tests.callbacks.test_rankings import (
    KINDS,
    Models,
    data,
    make,
    trainer,
    whole_models,
)
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module

Radio = Callable[..., tuple[int, str, str]]


class Constant(CrossEncoder):
    """Gives every passage the same score."""

    def score(self, batch: GroupBatch) -> Tensor:
        return super().score(batch) * 0


class Parrot(Generator):
    """Answers with a word, whatever it reads; ``_asked`` counts."""

    def __init__(self, word: str = "captain4") -> None:
        self.word = word
        self._asked: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        self._asked += prompts
        return [self.word] * len(prompts)


class Deaf(BM25):
    """Finds nothing for the questions about one case."""

    def search(self, questions: Sequence[Question], k: int) -> list[list[Candidate]]:
        found = super().search(questions, k)
        return [
            [] if "case 1" in q.question else row for q, row in zip(questions, found, strict=True)
        ]


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_constant_scores_are_ordered_by_id_and_told_in_the_table(
    world: World, models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trainer(tmp_path, logger=False)
    run.validate(
        Constant(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
    )
    document = metrics(tmp_path)
    assert document["tied_tops"]["validation"] == {"retriever": 0, "base": 2, "tuned": 2}
    for row in read_jsonl(tmp_path / "predictions.jsonl"):
        assert row["tuned"]["passage_ids"] == sorted(row["tuned"]["passage_ids"])
    capsys.readouterr()
    show_table(document, "validation")
    out = capsys.readouterr().out
    assert "WARNING: tuned: 2 of 2 questions have a tied top" in out
    assert "says nothing" in out
    assert "ordered by passage id there: base 2, tuned 2 of 2 questions" in out


def test_a_ranking_does_not_depend_on_the_order_of_the_candidates(
    world: World, models: Models, tmp_path: Path
) -> None:
    class Backwards(BM25):
        def search(self, questions: Sequence[Question], k: int) -> list[list[Candidate]]:
            rows = [list(reversed(row)) for row in super().search(questions, k)]
            return [[Candidate(c.passage_id, n, -n) for n, c in enumerate(row)] for row in rows]

    orders = []
    for number, retriever in enumerate((BM25(), Backwards())):
        folder = tmp_path / str(number)
        own = module(world, retriever=retriever, eval_candidates=32)
        trainer(folder).validate(
            Constant(models[CrossEncoder], max_length=48), datamodule=own, verbose=False
        )
        orders.append(
            [row["tuned"]["passage_ids"] for row in read_jsonl(folder / "predictions.jsonl")]
        )
    assert orders[0] == orders[1]


def test_rows_have_what_was_taught(world: World, models: Models, tmp_path: Path) -> None:
    reranker = Constant(models[CrossEncoder], max_length=48)
    taught, silent = tmp_path / "taught", tmp_path / "silent"
    # first, since the cache keeps what the other one obtains
    own = module(world, rationale_splits=["train"])
    trainer(silent).validate(reranker, datamodule=own, verbose=False)
    trainer(taught).validate(reranker, datamodule=module(world), verbose=False)
    for row in read_jsonl(taught / "predictions.jsonl"):
        assert set(row["teacher_scores"]) == set(row["tuned"]["passage_ids"])
        assert row["rationale"].startswith("In fog captain")
    for row in read_jsonl(silent / "predictions.jsonl"):
        assert not {"teacher_scores", "rationale"} & set(row)


@pytest.mark.parametrize("batch", [1, 16], ids=["in a batch of its own", "among others"])
@pytest.mark.parametrize("name", KINDS)
def test_a_question_without_candidates_counts_0_for_every_system(
    name: str, batch: int, world: World, models: Models, tmp_path: Path
) -> None:
    asked = Parrot()
    callbacks = [RankEvaluation(), GeneratorInTheLoop(asked, top_k=2)]
    own = module(world, retriever=Deaf(), eval_batch_size=batch)
    reranker = make(name, models)
    trainer(tmp_path, callbacks=callbacks).validate(reranker, datamodule=own, verbose=False)
    document = metrics(tmp_path)
    assert document["questions"]["validation"] == 2
    rows = {row["question_id"]: row for row in read_jsonl(tmp_path / "predictions.jsonl")}
    for system in ("retriever", "base", "tuned"):
        found, nothing = rows["q-4-0"][system], rows["q-4-1"][system]
        assert found["answer"] == "captain4"
        assert nothing["answer"] == ""
        assert nothing["passage_ids"] == []
        for metric in ("RR@10", "nDCG@5", "R@5", "P@1", "em", "f1", "answer_in_context"):
            assert nothing[metric] == 0
            assert document["validation"][system][metric] == found[metric] / 2
    assert all(prompt.passages for prompt in asked._asked)


def test_predict_writes_a_question_without_candidates_too(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    new = [
        {"id": "n1", "question": "Who lit the lamp at port3?"},
        {"id": "n2", "question": "Nobody knows?"},
    ]
    path = write_jsonl(tmp_path / "new.jsonl", new)
    rows = [
        {"id": "n1", "candidate_ids": ["port3-1", "port3-0"]},
        {"id": "n2", "candidate_ids": []},
    ]
    run = json.dumps([str(write_jsonl(tmp_path / "run.jsonl", rows))])
    own = [
        "--data.init_args.retriever",
        "Precomputed",
        "--data.init_args.retriever.init_args.paths",
        run,
    ]
    status, out, err = radio("predict", *tiny_run, *own, "--data.init_args.predict", str(path))
    assert status == 0, err
    assert "reranked 2 questions" in out
    assert [len(row["candidates"]) for row in read_jsonl(tmp_path / "runs/tiny/predict.jsonl")] == [
        2,
        0,
    ]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (["--trainer.limit_test_batches", "1", "--data.init_args.eval_batch_size", "1"], ", in %"),
        (["--data.init_args.max_questions", "{test: 1}"], " (1 beyond max_questions), in %"),
    ],
)
def test_the_table_says_of_how_many_questions_it_is_and_why(
    limit: list[str], reason: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("test", *tiny_run, *limit)
    assert status == 0, err
    assert f"test: 1 of 2 questions{reason}" in out
    assert metrics(tmp_path / "runs/tiny")["of_questions"]["test"] == 2


def test_questions_that_are_in_a_later_split_too_are_left_out_by_number(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    rows = read_jsonl(tmp_path / "world/validation.jsonl")
    copied = {**read_jsonl(tmp_path / "world/test.jsonl")[0], "id": "copy"}
    write_jsonl(tmp_path / "world/validation.jsonl", [*rows, copied])
    status, out, err = radio(
        "validate", *tiny_run, "--data.init_args.overlapping_questions", "drop"
    )
    assert status == 0, err
    assert "validation: 2 of 3 questions (1 in a later split too)" in out


def test_metrics_of_a_kind_say_how_many_questions_have_them(
    world: World, models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = world.folder / "validation.jsonl"
    first, second = read_jsonl(path)
    write_jsonl(path, [first, {**second, "golden_answers": ["yes"]}])
    callbacks = [RankEvaluation(["RR@10"]), GeneratorInTheLoop(Parrot())]
    run = trainer(tmp_path, callbacks=callbacks)
    run.validate(
        CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
    )
    document = metrics(tmp_path)
    assert document["counts"]["validation"]["RR@10"] == 1
    assert document["counts"]["validation"]["em"] == 2
    capsys.readouterr()
    show_table(document, "validation")
    assert "RR@10 (1 questions)" in capsys.readouterr().out
