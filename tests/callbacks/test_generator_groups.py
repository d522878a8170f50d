"""The generator in the loop: numbers of all questions together and of groups of them, logged and
written."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.callbacks import GeneratorInTheLoop
from radio.rerankers import CrossEncoder
from radio.schema import InputError
from tests.callbacks.test_evaluation import Parrot, metrics
from tests.callbacks.test_rankings import Models, data, trainer, whole_models
from tests.conftest import World, read_jsonl, write_jsonl


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


def test_macro_f1_and_evidence_are_logged_and_written(
    world: World, models: Models, tmp_path: Path
) -> None:
    path = world.folder / "validation.jsonl"
    rows = read_jsonl(path)
    for row, label in zip(rows, ("SUPPORTS", "REFUTES"), strict=True):
        row |= {"golden_answers": [label], "metadata": {"gold_ids": ["port4-0"]}}
    write_jsonl(path, rows)
    callback = GeneratorInTheLoop(
        Parrot("SUPPORTS"), top_k=[1], metrics=["accuracy", "macro_f1"], name="claims"
    )
    run = trainer(tmp_path, callbacks=[callback])
    questions = data(world)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    run.validate(reranker, datamodule=questions, verbose=False)
    # SUPPORTS: 2 * 1 / (2 + 1); REFUTES: 0
    expected = (2 / 3) / 2
    document = metrics(tmp_path)
    for system in ("retriever", "base", "tuned"):
        found = document["overall"]["validation"][system]
        assert found == {"claims_macro_f1@1": pytest.approx(expected)}
        groups = document["breakdown"]["validation"][system]["claims_accuracy by evidence@1"]
        right = [group["mean"] * group["questions"] for group in groups.values()]
        assert sum(right) == 1
        assert sum(group["questions"] for group in groups.values()) == 2
        assert set(groups) <= {"with evidence", "without evidence"}
    assert document["validation"]["tuned"]["claims_accuracy@1"] == 0.5
    logged = {"validation/claims_macro_f1@1", "validation/base/claims_macro_f1@1"}
    assert logged <= callback.logged_names("validation", questions)
    for name in logged:
        assert float(run.callback_metrics[name]) == pytest.approx(expected)


def test_a_number_of_all_questions_together_does_not_do_alone() -> None:
    with pytest.raises(InputError, match=r"found 'macro_f1' first.* such as accuracy"):
        GeneratorInTheLoop(Parrot(), metrics=["macro_f1"])
