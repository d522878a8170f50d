"""The generator in the loop: names and metrics of its own, no answers of an earlier evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.generators import Generator, Prompt
from radio.rerankers import CrossEncoder
from radio.retrievers import BM25
from radio.schema import InputError, Question
from tests.callbacks.test_evaluation import Parrot, metrics
from tests.callbacks.test_rankings import Models, data, trainer, whole_models
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


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


def test_the_results_hold_no_secret_of_a_generator() -> None:
    parrot = Parrot("https://me:pw@host")
    parrot.api_key = "S"  # type: ignore[attr-defined]
    told = GeneratorInTheLoop(parrot).identity()["settings"]
    assert told == {"word": "https://(left out)@host", "api_key": "(left out)"}


class Copier(Parrot):
    copies_spans = True


def test_a_span_is_the_answer_as_it_was_copied(
    world: World, models: Models, tmp_path: Path
) -> None:
    span = '"captain4"\nof the harbour.'
    callbacks = [GeneratorInTheLoop(Copier(span)), GeneratorInTheLoop(Parrot(span), name="writer")]
    trainer(tmp_path, callbacks=callbacks).validate(
        CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world), verbose=False
    )
    row = read_jsonl(tmp_path / "predictions.jsonl")[0]["tuned"]
    assert (row["answer"], row["writer_answer"]) == (span, "captain4")
    assert row["writer_reply"] == span


@pytest.mark.parametrize(
    ("name", "top_k", "message"),
    [
        (None, 5, "two without a name"),
        ("a", 5, "two of the name 'a'"),
        # their metrics have other names, but who has answered what would not be known
        (None, [1], "two without a name"),
    ],
)
def test_two_generators_of_one_name_are_refused(
    name: str | None,
    top_k: int | list[int],
    message: str,
    world: World,
    models: Models,
    tmp_path: Path,
) -> None:
    callbacks = [
        GeneratorInTheLoop(Parrot(), name=name),
        GeneratorInTheLoop(Parrot("b"), name=name, top_k=top_k),
    ]
    run = trainer(tmp_path, callbacks=callbacks)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    with pytest.raises(InputError, match=f"found {message}, .*its own name"):
        run.validate(reranker, datamodule=data(world), verbose=False)
    with pytest.raises(InputError, match="name: found 'a/b'"):
        GeneratorInTheLoop(name="a/b")


def test_two_generators_with_one_metric_are_refused(
    world: World, models: Models, tmp_path: Path
) -> None:
    callbacks = [
        GeneratorInTheLoop(Parrot(), metrics=["em", "macro_f1"]),
        GeneratorInTheLoop(Parrot("b"), metrics=["em", "f1"], name="macro"),
    ]
    run = trainer(tmp_path, callbacks=callbacks)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    with pytest.raises(InputError, match=r"found two with the metric 'macro_f1', .*its own name"):
        run.validate(reranker, datamodule=data(world), verbose=False)


def test_an_evaluation_holds_no_numbers_of_the_one_before(
    world: World, models: Models, tmp_path: Path
) -> None:
    callbacks = [RankEvaluation(), GeneratorInTheLoop(Parrot(), every_n_epochs=2)]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=3)
    run.fit(CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world))
    # the third epoch asks no generator; the answers of the second belong to other weights
    document = metrics(tmp_path)
    assert "RR@10" in document["validation"]["tuned"]
    assert "em" not in document["validation"]["tuned"]
    assert "validation" not in document["generators"]
    assert "answer" not in read_jsonl(tmp_path / "predictions.jsonl")[0]["tuned"]


def validated(
    folder: Path, world: World, models: Models, *callbacks: L.Callback, **settings: Any
) -> dict[str, Any]:
    """``metrics.json`` of a validation with these callbacks."""
    run = trainer(folder, callbacks=list(callbacks))
    questions = data(world) if not settings else module(world, **settings)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    run.validate(reranker, datamodule=questions, verbose=False)
    return metrics(folder)


class Knows(Generator):
    """Answers rightly without any passage, and with the first word of the first passage else."""

    def __init__(self) -> None:
        self._asked: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        self._asked += prompts
        texts = []
        for prompt in prompts:
            last = prompt.passages[0].contents.split()[-3:] if prompt.passages else []
            texts.append(" ".join(last[:1]) if last else "captain4")
        return texts


def test_the_closed_book_and_any_ranking_are_systems_of_their_own(
    world: World, models: Models, tmp_path: Path
) -> None:
    knows = Knows()
    rankings = ["annotated", "random", "teacher", "tuned", "retriever", "base"]
    for row in (rows := read_jsonl(world.folder / "validation.jsonl")):
        row["metadata"] = {"gold_ids": ["port4-0"]}
    write_jsonl(world.folder / "validation.jsonl", rows)
    document = validated(
        tmp_path,
        world,
        models,
        RankEvaluation(["RR"], rankings=["annotated", "tuned"]),
        GeneratorInTheLoop(knows, top_k=[1, 2], closed_book=True, rankings=rankings),
    )
    found = document["validation"]
    order = ["closed_book", "random", "retriever", "base", "tuned", "teacher", "annotated"]
    assert list(found) == order
    assert found["closed_book"]["em"] == 1
    assert not {"em@1", "made_wrong@1", "RR"} & set(found["closed_book"])
    # the annotated passage ends with "captain4 lit it."
    assert found["annotated"]["em@1"] == found["annotated"]["RR"] == 1
    assert found["annotated"]["made_wrong@1"] == found["annotated"]["made_right@1"] == 0
    for system in order[1:]:
        assert found[system]["made_wrong@1"] == 1 - found[system]["em@1"]
    assert "RR" not in found["random"]
    for system in ("annotated", "tuned"):
        assert (tmp_path / f"validation.{system}.trec").is_file()
    # whatever puts the same passages in front is asked about once
    about = {(p.question.id, tuple(q.id for q in p.passages)) for p in knows._asked}
    assert len(about) == len(knows._asked)
    (notes,) = document["generators"]["validation"]
    assert notes["total"]["prompts"] == len(knows._asked)
    assert notes["systems"]["closed_book"]["answers"] == 2
    row = read_jsonl(tmp_path / "predictions.jsonl")[0]
    assert row["closed_book"]["answer"] == row["closed_book"]["reply"] == "captain4"
    assert row["annotated"]["asked@1"]["cached"] is False
    # a second evaluation pays for nothing
    knows._asked.clear()
    callback = GeneratorInTheLoop(knows, top_k=[1, 2], closed_book=True, rankings=rankings)
    (notes,) = validated(tmp_path, world, models, callback)["generators"]["validation"]
    assert notes["total"]["cached"] == notes["total"]["prompts"] > 0
    assert not knows._asked


def test_the_closed_book_has_nothing_that_is_said_of_passages(
    world: World, models: Models, tmp_path: Path
) -> None:
    for row in (rows := read_jsonl(world.folder / "validation.jsonl")):
        row["metadata"] = {"gold_ids": ["port4-0"]}
    write_jsonl(world.folder / "validation.jsonl", rows)
    measured = ["accuracy", "answer_in_context", "support_f1", "all_hops", "macro_f1"]
    callback = GeneratorInTheLoop(Knows(), closed_book=True, metrics=measured, name="big")
    run = trainer(tmp_path, callbacks=[callback])
    questions = data(world)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    run.validate(reranker, datamodule=questions, verbose=False)
    names = callback.names_by_system(questions)
    assert names["closed_book"] == ["big_accuracy"]
    assert {"big_answer_in_context", "big_support_f1", "big_all_hops"} < set(names["tuned"])
    document = metrics(tmp_path)
    for system, alone in (("closed_book", True), ("tuned", False)):
        of_passages = {"big_answer_in_context", "big_support_f1", "big_all_hops"}
        assert of_passages.isdisjoint(document["validation"][system]) == alone
        groups = document["breakdown"]["validation"].get(system, {})
        assert ("big_accuracy by evidence" not in groups) == alone
        for row in read_jsonl(tmp_path / "predictions.jsonl"):
            assert of_passages.isdisjoint(row[system]) == alone
    closed = {name for name in run.callback_metrics if name.startswith("validation/closed_book/")}
    assert closed == {
        "validation/closed_book/big_accuracy",
        "validation/closed_book/big_macro_f1",
    }
    assert closed <= callback.logged_names("validation", questions)


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ("teacher", "no question has teacher scores.*rationale_splits"),
        ("annotated", "no question has annotated passages"),
    ],
)
def test_a_ranking_that_no_question_has_is_refused_before_anything_is_asked(
    ranking: str,
    message: str,
    world: World,
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parrot = Parrot()
    callback = GeneratorInTheLoop(parrot, rankings=["tuned", ranking])
    # before anything is prepared
    monkeypatch.setattr(BM25, "search", lambda self, questions, k: pytest.fail("searched"))
    with pytest.raises(InputError, match=f"validation: GeneratorInTheLoop: rankings: .*{message}"):
        validated(tmp_path, world, models, callback, rationale_splits=["train"])
    assert not parrot._asked


def test_training_asks_about_a_sample_and_the_end_about_all(
    world: World, models: Models, tmp_path: Path
) -> None:
    rows = read_jsonl(world.folder / "validation.jsonl")
    more = [{**rows[0], "id": f"more-{n}", "question": f"Who lit it {n}?"} for n in range(4)]
    write_jsonl(world.folder / "validation.jsonl", [*rows, *more])
    parrot = Parrot()
    callbacks = [RankEvaluation(), GeneratorInTheLoop(parrot, max_questions=3)]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=2)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    own = module(world, rationale_splits=["train"])
    run.fit(reranker, datamodule=own)
    asked = {prompt.question.id for prompt in parrot._asked}
    assert len(asked) == 3
    document = metrics(tmp_path)
    counts = document["counts"]["validation"]
    assert (counts["em"], counts["RR@10"]) == (3, 6)
    assert run.callback_metrics["validation/em"] == document["validation"]["tuned"]["em"]
    run.validate(reranker, datamodule=own, verbose=False)
    assert {prompt.question.id for prompt in parrot._asked} == {row["id"] for row in rows + more}
    assert metrics(tmp_path)["counts"]["validation"]["em"] == 6


def loud(reply: str, question: Question) -> str | None:
    """A parser of the user's own: what is in capitals."""
    return next((word for word in reply.split() if word.isupper()), None)


def test_parser_and_metrics_can_be_the_users(world: World, models: Models, tmp_path: Path) -> None:
    for word, em, unparsed in (("it was CAPTAIN4 !", 1.0, 0), ("captain4", 0.0, 2)):
        callback = GeneratorInTheLoop(
            Parrot(word), parser="tests.callbacks.test_generator.loud", metrics=["em"]
        )
        document = validated(tmp_path, world, models, callback)
        tuned = document["validation"]["tuned"]
        assert tuned["em"] == em
        assert "f1" not in tuned
        (notes,) = document["generators"]["validation"]
        assert notes["systems"]["tuned"]["unparsed"] == unparsed
        row = read_jsonl(tmp_path / "predictions.jsonl")[0]["tuned"]
        assert row["reply"] == word


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parser": "open"}, "parser: found 'open', expected one of .*multiple_choice"),
        ({"parser": "tests.nowhere.parse"}, "parser: found 'tests.nowhere.parse'"),
        ({"parser": "tests.conftest.PATIENCE"}, "parser: found 'tests.conftest.PATIENCE'"),
        ({"metrics": ["em", "emm"]}, "metrics: found 'emm', expected some of"),
        ({"metrics": []}, "metrics: found"),
        ({"metrics": ["f1", "em"], "closed_book": True}, "found 'f1' first, expected a metric"),
        ({"rankings": ["best"]}, "rankings: found 'best', expected some of"),
        ({"max_questions": 0}, "max_questions: found 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GeneratorInTheLoop(Parrot(), **settings)


class Learner(Generator):
    """Answers as many questions rightly as its ``grades`` say for each evaluation."""

    def __init__(self, grades: Sequence[int]) -> None:
        self._grades = list(grades)
        self._turn = -1

    def asked(self, prompt: Prompt) -> list[Any]:
        return [self._turn, prompt.question.id]

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        known = sorted({prompt.question.id for prompt in prompts})[: self._grades[self._turn]]
        return ["captain4" if prompt.question.id in known else "?" for prompt in prompts]


class Turns(L.Callback):
    """Tells a learner that the next evaluation begins."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.learner._turn += 1


@pytest.mark.parametrize("max_questions", [None, 1])
def test_checkpoints_and_early_stopping_follow_the_generator(
    max_questions: int | None, world: World, models: Models, tmp_path: Path
) -> None:
    learner = Learner([0, 2, 0, 0, 0, 0])
    checkpoint = ModelCheckpoint(
        tmp_path, filename="best-{epoch}", monitor="validation/em", mode="max"
    )
    callbacks = [
        Turns(learner),
        GeneratorInTheLoop(learner, top_k=1, max_questions=max_questions),
        EarlyStopping("validation/em", mode="max", patience=2),
        checkpoint,
    ]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=6, enable_checkpointing=True)
    run.fit(CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world))
    assert Path(checkpoint.best_model_path).name == "best-epoch=1.ckpt"
    assert checkpoint.best_model_score == 1
    # two evaluations without a rise after the second
    assert run.current_epoch == 4


def test_a_checkpoint_of_every_second_epoch_goes_with_a_generator_of_every_second_epoch(
    world: World, models: Models, tmp_path: Path
) -> None:
    learner = Learner([0, 1, 2, 2])
    checkpoint = ModelCheckpoint(
        tmp_path,
        filename="best-{epoch}",
        monitor="validation/em",
        mode="max",
        every_n_epochs=2,
    )
    generator = GeneratorInTheLoop(learner, top_k=1, every_n_epochs=2)
    callbacks = [Turns(learner), RankEvaluation(), generator, checkpoint]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=4, enable_checkpointing=True)
    run.fit(CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world))
    assert Path(checkpoint.best_model_path).name == "best-epoch=3.ckpt"


@pytest.mark.parametrize("kind", ["ModelCheckpoint", "EarlyStopping"])
def test_a_monitor_that_not_every_validation_computes_is_refused(
    kind: str, world: World, models: Models, tmp_path: Path
) -> None:
    monitor: L.Callback = EarlyStopping("validation/base/em", mode="max")
    if kind == "ModelCheckpoint":
        monitor = ModelCheckpoint(tmp_path, monitor="validation/em", mode="max")
    callbacks = [RankEvaluation(), GeneratorInTheLoop(Parrot(), every_n_epochs=2), monitor]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=4, enable_checkpointing=True)
    with pytest.raises(InputError, match=f"{kind}: monitor: .*one of 2 epochs alone.*expected"):
        run.fit(CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world))
