"""Evaluation: every question counts, ties are told, one evaluation does not mix with another,
generators have names."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.callbacks import CollapseGuard, GeneratorInTheLoop, RankEvaluation
from radio.evaluation.results import Results, gain_over_base
from radio.evaluation.table import no_better, show_table
from radio.generators import Generator, Prompt
from radio.rerankers import CrossEncoder
from radio.retrievers import BM25
from radio.samplers import HardNegatives
from radio.schema import Candidate, GroupBatch, InputError, Question
from tests.callbacks.test_evaluation_base_and_tuned import (
    KINDS,
    Models,
    data,
    make,
    trainer,
    whole_models,
)
from tests.conftest import ROOT, World, read_jsonl, write_jsonl
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
        for metric in ("mrr", "ndcg@5", "recall@5", "precision@1", "em", "f1", "answer_in_context"):
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
    callbacks = [RankEvaluation(["mrr"]), GeneratorInTheLoop(Parrot())]
    run = trainer(tmp_path, callbacks=callbacks)
    run.validate(
        CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
    )
    document = metrics(tmp_path)
    assert document["counts"]["validation"]["mrr"] == 1
    assert document["counts"]["validation"]["em"] == 2
    capsys.readouterr()
    show_table(document, "validation")
    assert "mrr (1 questions)" in capsys.readouterr().out


def test_an_evaluation_holds_no_numbers_of_the_one_before(
    world: World, models: Models, tmp_path: Path
) -> None:
    callbacks = [RankEvaluation(), GeneratorInTheLoop(Parrot(), every_n_epochs=2)]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=3)
    run.fit(CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world))
    # the third epoch asks no generator; the answers of the second belong to other weights
    document = metrics(tmp_path)
    assert "mrr" in document["validation"]["tuned"]
    assert "em" not in document["validation"]["tuned"]
    assert "validation" not in document["generators"]
    assert "answer" not in read_jsonl(tmp_path / "predictions.jsonl")[0]["tuned"]


def test_two_generators_have_names_and_metrics_of_their_own(
    world: World, models: Models, tmp_path: Path
) -> None:
    wrong, right = Parrot("captain0"), Parrot("captain4")
    callbacks = [GeneratorInTheLoop(wrong), GeneratorInTheLoop(right, top_k=[1, 2], name="large")]
    run = trainer(tmp_path, callbacks=callbacks)
    run.validate(
        CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
    )
    document = metrics(tmp_path)
    tuned = document["validation"]["tuned"]
    assert tuned["em"] == 0
    assert tuned["large_em@1"] == tuned["large_em@2"] == 1
    row = read_jsonl(tmp_path / "predictions.jsonl")[0]["tuned"]
    assert (row["answer"], row["large_answer@1"]) == ("captain0", "captain4")
    first, second = document["generators"]["validation"]
    assert (first["name"], first["class"], first["settings"], first["top_k"]) == (
        None,
        "Parrot",
        {"word": "captain0"},
        5,
    )
    assert (second["name"], second["fingerprint"]) == ("large", right.fingerprint())


@pytest.mark.parametrize("name", [None, "a"])
def test_two_generators_of_one_name_are_refused(
    name: str | None, world: World, models: Models, tmp_path: Path
) -> None:
    callbacks = [
        GeneratorInTheLoop(Parrot(), name=name),
        GeneratorInTheLoop(Parrot("b"), name=name),
    ]
    run = trainer(tmp_path, callbacks=callbacks)
    with pytest.raises(
        InputError, match=r"found two with the metric '(a_)?answer_in_context'.*its own name"
    ):
        run.validate(
            CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
        )
    with pytest.raises(InputError, match="name: found 'a/b'"):
        GeneratorInTheLoop(name="a/b")


def results(values: Sequence[float], metric: str = "ndcg@5") -> Results:
    found = Results()
    for number, value in enumerate(values):
        found.add("validation", "base", str(number), {metric: 0.5})
        found.add("validation", "tuned", str(number), {metric: 0.5 + value})
    return found


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.2], None),
        (
            [0.0] * 4,
            "is no better than the base (ndcg@5 +0.0 [+0.0, +0.0] points, tuned - base, on 4 "
            "validation",
        ),
        ([-0.1, 0.05] * 5, "is no better than the base (ndcg@5 -2.5 ["),
        ([0.1, -0.05] * 5, "is not shown to be better than the base (ndcg@5 +2.5 ["),
    ],
)
def test_what_validation_does_not_show_to_be_better_is_said(
    gains: list[float], expected: str | None
) -> None:
    found = no_better(gain_over_base(results(gains), "validation", "validation/ndcg@5"))
    assert found is None if expected is None else expected in str(found)
    if expected and "not shown" in expected:
        assert "the interval includes 0" in str(found)


def test_a_run_is_judged_by_what_it_monitors_or_by_ndcg_or_mrr() -> None:
    found = results([0.1, 0.2])
    for number in range(2):
        found.add("validation", "tuned", str(number), {"em": 1.0, "mrr": 0.0})
        found.add("validation", "base", str(number), {"em": 0.0, "mrr": 0.0})
    assert gain_over_base(found, "validation", "validation/em")["metric"] == "em"  # type: ignore[index]
    for other in (None, "validation/loss"):
        assert gain_over_base(found, "validation", other)["metric"] == "ndcg@5"  # type: ignore[index]
    assert gain_over_base(results([0.1], "mrr"), "validation")["metric"] == "mrr"  # type: ignore[index]
    assert gain_over_base(Results(), "validation") is None


def test_a_reranker_that_has_learnt_nothing_is_exported_with_a_warning(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("fit", *tiny_run, "--model.init_args.lr", "0")
    assert status == 0, err
    warning = "the tuned reranker is no better than the base (ndcg@5 +0.0 [+0.0, +0.0] points"
    # behind the table, where it is read
    assert f"WARNING: {warning}" in out[out.index("run folder:") :]
    assert f"> **Warning**: {warning}" in (tmp_path / "runs/tiny/export/README.md").read_text()


def test_the_model_card_has_the_figures_of_the_weights_that_are_exported(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    more = [
        "--trainer.max_epochs",
        "3",
        "--model.init_args.lr",
        "1e-2",
        "--data.init_args.batch_size",
        "2",
    ]
    status, _, err = radio("fit", *tiny_run, *more)
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    step = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["global_step"]
    card = (run / "export/README.md").read_text()
    assert f"| steps | {step} |" in card
    # the best checkpoint is validated again at the end
    value = metrics(run)["validation"]["tuned"]["ndcg@5"]
    assert f"| validation/ndcg@5 | {value:.4f} |" in card


@pytest.mark.parametrize(
    "switch", [[], ["--collapse_guard", "false"]], ids=["by default", "switched off"]
)
def test_fit_watches_for_a_collapse(
    switch: list[str],
    radio: Radio,
    tiny_run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    # a look at every step, so that a few of them are enough
    monkeypatch.setattr(CollapseGuard.__init__, "__defaults__", (0.005, 2, 1, False))
    constant = (
        "import torch\nfrom radio.rerankers import CrossEncoder\n\nclass Constant(CrossEncoder):\n"
    )
    constant += "    def score(self, batch):\n        return super().score(batch) * 0 + 1\n"
    (tmp_path / "constant.py").write_text(constant)
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = [*switch, "--model", "constant.Constant", "--data.init_args.batch_size", "2"]
    status, _, err = radio("fit", *tiny_run, *arguments)
    assert status == 0, err
    told = [str(warning.message) for warning in recwarn if "CollapseGuard" in str(warning.message)]
    assert len(told) == (0 if switch else 1)


def test_a_config_with_a_guard_gets_no_second_one(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = ["--config", str(ROOT / "configs/callbacks/collapse_guard.yaml")]
    diary = "import lightning as L\n\nclass Diary(L.Callback):\n    def on_fit_start(self, trainer, pl_module):\n"
    diary += "        print('guards', sum(type(c).__name__ == 'CollapseGuard' for c in trainer.callbacks))\n"
    (tmp_path / "guard_diary.py").write_text(diary)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, extra in (("own", overlay), ("default", [])):
        extra = [*extra, "--trainer.callbacks+", "guard_diary.Diary", "--name", name]
        status, out, err = radio("fit", *tiny_run, *extra)
        assert status == 0, err
        assert "guards 1" in out
        assert "collapse_guard: true" in (tmp_path / f"runs/{name}/config.yaml").read_text()


def test_the_students_scores_for_hard_negatives_are_in_fp32(
    world: World, models: Models, tmp_path: Path
) -> None:
    found = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        own = module(world, sampler=HardNegatives(2), batch_size=2)
        run = trainer(tmp_path, precision=precision, callbacks=[])
        run.fit(
            CrossEncoder(models[CrossEncoder], max_length=48, lr=0.0, dropout=0.0), datamodule=own
        )
        loader: Any = run.train_dataloader
        found.append(loader.groups.student)
    assert found[0]
    assert found[0] == found[1]
