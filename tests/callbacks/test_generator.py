"""The generator in the loop: names and metrics of its own, no answers of an earlier evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.rerankers import CrossEncoder
from radio.schema import InputError
from tests.callbacks.test_evaluation import Parrot, metrics
from tests.callbacks.test_rankings import Models, data, trainer, whole_models
from tests.conftest import World, read_jsonl


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
