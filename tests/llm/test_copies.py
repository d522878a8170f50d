"""Copies of a model on devices, and the work that is done with them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence

import pytest

from radio.engines import Batch, Row
from radio.llm.copies import Copies, Judging
from radio.llm.local import LoadedModel
from radio.llm.transformers import TransformersModel
from radio.schema import InputError


def copies(model: str, devices: int = 1, accelerator: str = "cpu") -> Copies:
    return Copies("TransformersModel", model, "float32", accelerator, devices, {})


def test_each_device_takes_the_next_batch_and_results_are_in_order(tiny_generator: str) -> None:
    made, taken, by = copies(tiny_generator, devices=2), [], []

    def given() -> Iterator[Batch]:
        for number in range(3):
            taken.append(number)
            yield {f"key{number}": {"number": number}}

    def work(copy: LoadedModel, rows: Sequence[Row]) -> list[Row]:
        by.append(made.loaded().index(copy))
        return [{"double": 2 * row["number"]} for row in rows]

    results = made.on_each(given(), work)
    assert next(results) == {"key0": {"double": 0}}
    assert taken == [0, 1]
    assert list(results) == [{"key1": {"double": 2}}, {"key2": {"double": 4}}]
    assert sorted(by) == [0, 0, 1]


def test_another_process_loads_its_own_on_one_device(tiny_generator: str) -> None:
    made = copies(tiny_generator, devices=2)
    first = made.loaded()
    assert len(first) == 2
    assert len(pickle.dumps(made)) < 1000
    assert len(pickle.loads(pickle.dumps(made.elsewhere())).loaded()) == 1
    made.release()
    assert made.loaded()[0] is not first[0]


def test_a_device_that_is_not_there_is_told(tiny_generator: str) -> None:
    with pytest.raises(InputError, match="TransformersModel: accelerator 'tpu' with devices 1"):
        copies(tiny_generator, accelerator="tpu").loaded()


def test_rows_of_numbers_are_judged_as_prompts_are(tiny_generator: str) -> None:
    model = TransformersModel(tiny_generator, accelerator="cpu")
    (copy,) = model._copies.loaded()
    answers = ["lamp", "the keeper"]
    prompt = copy.prompt("", "Who lit it?")
    said = [copy.answer(answer)[0] for answer in answers]
    row = {"prompt": prompt, "first": [], "plain": [], "answers": said}
    judging = Judging(model, model._copies, 8, None)
    (found,) = judging([{**row, "shared": 0, "plain_shared": 0}])
    for tokens, total in zip(said, found["totals"], strict=True):
        (alone,) = judging([{**row, "answers": [tokens], "shared": 0, "plain_shared": 0}])
        assert alone["totals"] == [pytest.approx(total, abs=1e-5)]
