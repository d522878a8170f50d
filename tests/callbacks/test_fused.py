"""The reranker's ranking merged with the retriever's: a system of its own in every evaluation, with
weights that are learnt from training questions alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from radio.callbacks import Fused, GeneratorInTheLoop, RankEvaluation, rankings_of
from radio.evaluation.table import merge_of
from radio.rerankers import BiEncoder
from radio.retrievers import BM25
from radio.schema import GroupBatch, InputError, Question, Run
from tests.callbacks.test_evaluation import Deaf, Parrot
from tests.callbacks.test_rankings import trainer
from tests.conftest import World, read_jsonl
from tests.data.test_module import module

Radio = Callable[..., tuple[int, str, str]]


class ConstantBiEncoder(BiEncoder):
    """Gives every passage the same score."""

    def score(self, batch: GroupBatch) -> Tensor:
        return super().score(batch) * 0


def run_with(folder: Path, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    return trainer(folder, callbacks=[RankEvaluation(), *callbacks], **settings)


def named(run: L.Trainer, split: str = "validation") -> dict[str, Run]:
    return rankings_of(run).named(run, split)


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def by_rank(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda name: (-scores[name], name))


def test_the_merged_ranking_is_evaluated_beside_the_two_that_it_is_made_of(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    asked = Parrot()
    run = run_with(tmp_path, Fused(), GeneratorInTheLoop(asked, top_k=2))
    run.fit(BiEncoder(tiny_bert, max_length=48, lr=1e-3), datamodule=module(world))
    found = named(run)
    for question, scores in found["fused"].items():
        tuned, retriever = found["tuned"][question], found["retriever"][question]
        ranks = [{name: place for place, name in enumerate(by_rank(tuned), 1)}]
        # BM25 gives passages without a word of the question equal scores, which share a rank
        ranks.append({})
        for name, score in retriever.items():
            above = sum(other > score for other in retriever.values())
            level = sum(other == score for other in retriever.values())
            ranks[1][name] = above + (level + 1) / 2
        expected = {name: sum(0.5 / (60 + rank[name]) for rank in ranks) for name in tuned}
        assert scores == pytest.approx(expected)
        assert list(scores) == by_rank(scores)
    about = document(tmp_path)
    assert list(about["validation"]) == ["retriever", "base", "tuned", "fused"]
    assert {"nDCG@5", "RR@10", "em"} <= about["validation"]["fused"].keys()
    assert {"fused - tuned", "fused - retriever"} <= about["differences"]["validation"].keys()
    assert about["fused"]["validation"] == {
        "method": "reciprocal_rank",
        "weights": [0.5, 0.5],
        "k": 60.0,
    }
    assert (tmp_path / "validation.fused.trec").is_file()
    assert run.callback_metrics["validation/fused/nDCG@5"] >= 0
    rows = read_jsonl(tmp_path / "predictions.jsonl")
    assert [row["fused"]["passage_ids"] for row in rows] == [
        list(scores) for scores in found["fused"].values()
    ]


def test_merging_changes_no_other_ranking(world: World, tiny_bert: str, tmp_path: Path) -> None:
    found = []
    for name, callbacks in {"with": [Fused("interleave")], "without": []}.items():
        L.seed_everything(3, verbose=False)
        run = run_with(tmp_path / name, *callbacks)
        run.fit(BiEncoder(tiny_bert, max_length=48, lr=1e-3), datamodule=module(world))
        found.append({system: run for system, run in named(run).items() if system != "fused"})
    assert found[0] == found[1]


def test_interleaving_begins_with_the_reranker(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    run = run_with(tmp_path, Fused("interleave"))
    run.validate(BiEncoder(tiny_bert, max_length=48), datamodule=module(world), verbose=False)
    found = named(run)
    for question, scores in found["fused"].items():
        first, second = by_rank(found["tuned"][question]), list(found["retriever"][question])
        expected = dict.fromkeys(name for turn in zip(first, second, strict=True) for name in turn)
        assert list(scores) == list(expected)


def test_a_reranker_of_ties_leaves_the_order_to_the_retriever(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    run = run_with(tmp_path, Fused("min_max", [9.0, 1.0]))
    reranker = ConstantBiEncoder(tiny_bert, max_length=48)
    run.validate(reranker, datamodule=module(world), verbose=False)
    found = named(run)
    for question, scores in found["fused"].items():
        assert list(scores) == by_rank(found["retriever"][question])


def test_questions_without_a_candidate_and_with_a_single_one_count_too(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    data = module(world, retriever=Deaf(), eval_candidates=1)
    run = run_with(tmp_path, Fused("z_score", 0.3))
    run.validate(BiEncoder(tiny_bert, max_length=48), datamodule=data, verbose=False)
    lengths = sorted(len(scores) for scores in named(run)["fused"].values())
    assert lengths == [0, 1]
    assert document(tmp_path)["counts"]["validation"]["nDCG@5"] == 2


class Told(BM25):
    """Notes for which questions it has searched."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: list[str] = []

    def search(self, questions: Any, k: int) -> Any:
        self._asked += [question.id for question in questions]
        return super().search(questions, k)


def test_weights_are_learnt_from_training_questions_though_they_are_only_tested(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    told = Told()
    data = module(world, retriever=told, eval_candidates=6)
    run = run_with(tmp_path, Fused("min_max", "learnt", max_questions=5))
    run.test(BiEncoder(tiny_bert, max_length=48), datamodule=data, verbose=False)
    splits = {name: {q.id for q in data.split_questions(name)} for name in ("train", "test")}
    assert set(told._asked) == splits["train"] | splits["test"]
    note = document(tmp_path)["fused"]["test"]
    assert sum(note["weights"]) == pytest.approx(1)
    assert note["learnt_on"] == 5
    assert note["nDCG@10"] >= note["nDCG@10, equal weights"]
    again = run_with(tmp_path / "again", Fused("min_max", note["weights"]))
    again.test(BiEncoder(tiny_bert, max_length=48), datamodule=data, verbose=False)
    assert named(again, "test")["fused"] == named(run, "test")["fused"]


def test_other_answers_of_the_test_split_change_no_weight(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    notes = []
    for name in ("right", "wrong"):
        data = module(world)
        own = data.questions
        if name == "wrong":
            data.questions = lambda split, own=own: [  # type: ignore[method-assign, misc]
                q if split == "train" else Question(q.id, q.question, ("nobody",))
                for q in own(split)
            ]
        run = run_with(tmp_path / name, Fused("rank", "learnt"))
        run.test(BiEncoder(tiny_bert, max_length=48), datamodule=data, verbose=False)
        notes.append(document(tmp_path / name)["fused"]["test"])
    assert notes[0] == notes[1]


def test_a_reranker_of_fixed_passages_learns_weights_too(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    run = run_with(tmp_path, Fused("min_max", "learnt"))
    reranker = BiEncoder(tiny_bert, max_length=48, train_side="question", lr=1e-3)
    run.fit(reranker, datamodule=module(world))
    assert document(tmp_path)["fused"]["validation"]["learnt_on"] == 12
    assert reranker.network is not None


def test_learning_without_training_questions_is_refused(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    run = run_with(tmp_path, Fused("min_max", "learnt"))
    data = module(world, train=None)
    with pytest.raises(InputError, match="Fused: weights: found 'learnt' and no training quest"):
        run.test(BiEncoder(tiny_bert, max_length=48), datamodule=data, verbose=False)


def test_the_ranking_is_evaluated_where_it_is_named_and_made(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    reranker = BiEncoder(tiny_bert, max_length=48)
    some = trainer(
        tmp_path / "some", callbacks=[RankEvaluation(rankings=["retriever", "tuned"]), Fused()]
    )
    some.validate(reranker, datamodule=module(world), verbose=False)
    assert "fused" not in document(tmp_path / "some")["validation"]
    alone = trainer(tmp_path / "alone", callbacks=[RankEvaluation(rankings=["fused"]), Fused()])
    alone.validate(reranker, datamodule=module(world), verbose=False)
    means = document(tmp_path / "alone")["validation"]
    assert [name for name, numbers in means.items() if numbers] == ["fused"]
    none = trainer(tmp_path / "none", callbacks=[RankEvaluation(rankings=["fused"])])
    with pytest.raises(InputError, match="RankEvaluation: rankings: found 'fused', which nothing"):
        none.validate(reranker, datamodule=module(world), verbose=False)
    twice = run_with(tmp_path / "twice", Fused(), Fused("rank"))
    with pytest.raises(InputError, match="Fused: found two of them"):
        twice.validate(reranker, datamodule=module(world), verbose=False)


def test_predict_writes_the_merged_ranking_and_says_so(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "fused.yaml").write_text(
        "trainer: {callbacks+: [{class_path: Fused, init_args: {method: interleave}}]}\n"
    )
    with_it = [*tiny_run, "--config", str(tmp_path / "fused.yaml")]
    status, out, err = radio("predict", *with_it, "--name", "fused")
    assert status == 0, err
    assert "the reranker's merged with the retriever's" in out + err
    status, out, err = radio("predict", *tiny_run, "--name", "plain")
    assert status == 0, err
    fused, plain = (
        [row["candidates"] for row in read_jsonl(tmp_path / f"runs/{name}/predict.jsonl")]
        for name in ("fused", "plain")
    )
    # it interleaves, and begins with the reranker
    assert [row[0]["id"] for row in fused] == [row[0]["id"] for row in plain]
    scores = [[candidate["score"] for candidate in row] for row in fused]
    assert all(row == [float(n) for n in range(len(row), 0, -1)] for row in scores)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "borda"}, "Fused: method: found 'borda'"),
        ({"method": "interleave", "weights": 0.5}, "Fused: weights: found 0.5 with method"),
        ({"weights": [1.0, 1.0, 1.0]}, "Fused: weights: found 3 of them for 2 rankings"),
        ({"weights": "learned"}, "Fused: weights: found 'learned'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        Fused(**settings)
    assert str(error.value).startswith(message)


def test_the_table_says_how_they_were_merged() -> None:
    assert merge_of({"method": "interleave", "weights": None}) == (
        "reranker and retriever by interleave"
    )
    note: dict[str, Any] = {"method": "min_max", "weights": [0.6, 0.4]}
    assert merge_of(note) == "reranker 0.60 and retriever 0.40 by min_max"
    note |= {"learnt_on": 12, "nDCG@10": 0.5, "nDCG@10, equal weights": 0.25}
    assert merge_of(note) == (
        "reranker 0.60 and retriever 0.40 by min_max, weights learnt on 12 training questions "
        "(nDCG@10 there 0.500, with equal weights 0.250)"
    )


def test_what_is_merged_can_be_monitored(world: World, tiny_bert: str, tmp_path: Path) -> None:
    best = ModelCheckpoint(monitor="validation/fused/nDCG@5", mode="max", dirpath=tmp_path)
    run = run_with(tmp_path, Fused(), best, enable_checkpointing=True)
    run.fit(BiEncoder(tiny_bert, max_length=48, lr=1e-3), datamodule=module(world))
    assert best.best_model_score == run.callback_metrics["validation/fused/nDCG@5"]
