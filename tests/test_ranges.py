"""Ranges of settings: none is missing, the table is kept by the constructors, and what it refuses
is named."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from math import inf, nan
from typing import Any

import lightning as L
import pytest

import data_modules
import radio.callbacks
import radio.generators
import radio.losses
import radio.rationales
import radio.rerankers
import radio.retrievers
import radio.teachers
from radio.engines import Engine
from radio.fingerprints import Fingerprinted
from radio.llm.anthropic import AnthropicModel
from radio.llm.base import LanguageModel
from radio.llm.transformers import TransformersModel
from radio.losses import Huber, InfoNCE, Loss, WeightedSum
from radio.ranges import FREE, RANGES, Range, check
from radio.rerankers import CrossEncoder, LoRA, PromptShape, Reranker
from radio.samplers import GroupSampler
from radio.schema import InputError
from radio.trainer import RadioTrainer

PLAIN = (LoRA, PromptShape)
"""Settings that are no part of a family."""
PRICES = {"claude-haiku-4-5": {"input": 1.0, "output": 1.0}}
READER = {"model": TransformersModel("x")}
NEEDED: dict[str, dict[str, Any]] = {
    "WeightedSum": {"losses": {"a": Huber()}},
    "NoisyTeacher": {"loss": Huber()},
    "ExtractiveReader": {"model": "x", "stride": 4},
    "TransformersGenerator": {"model": "x"},
    "TransformersModel": {"model": "x"},
    "TransformersWriter": {"model": "x"},
    "Shift": {"positive": 9},
    "AnthropicModel": {"prices": PRICES},
    "RerankerTeacher": {"reranker": CrossEncoder("x")},
    "Listwise": {"model": TransformersModel("x"), "step": 1},
    "Utility": {"model": TransformersModel("x")},
    "AnswerFlip": {"generator": radio.generators.SpanReader()},
    **dict.fromkeys(("LeaveOneOut", "LikelihoodGain", "PerplexityDistillation"), READER),
}
"""What a constructor asks for besides the setting that is tried."""
STAND_INS = {
    "Reranker": radio.rerankers.CrossEncoder,
    "_Distribution": radio.losses.ListNet,
    "LanguageModel": AnthropicModel,
    "ApiModel": AnthropicModel,
    "BatchModel": AnthropicModel,
    "PromptWriter": radio.rationales.AnthropicWriter,
    "RationaleDataModule": data_modules.QuickstartDataModule,
    "Trainer": RadioTrainer,
}
"""A class that inherits the constructor of one that has abstract methods, or a large one."""
WRAPPED = {
    ("WeightedSum", "weights"): lambda value: {"a": value},
    ("ApiModel", "prices"): lambda value: {"claude-haiku-4-5": {"input": value, "output": 1.0}},
    ("RationaleDataModule", "max_questions"): lambda value: {"train": value},
    ("Shift", "negatives"): lambda value: [value],
    ("Blend", "weights"): lambda value: [value, 1.0],
    ("Hybrid", "weights"): lambda value: value if value == "learnt" else [value, 1.0],
    ("Fused", "weights"): lambda value: value if value == "learnt" else [value, 1.0],
}
"""Settings that are several numbers."""
ALONG: dict[tuple[str, str], dict[str, Any]] = {
    ("Blend", "temperature"): {"normalise": "softmax"},
    ("Blend", "entropy"): {"normalise": "entropy"},
    ("Blend", "k"): {"normalise": "reciprocal_rank"},
    ("Dense", "lists"): {"kind": "ivf"},
}
"""What a constructor asks for beside one setting alone."""
ELSEWHERE = {
    "EarlyStopping",
    "radio compare",
    "radio diagnose",
    "radio export",
    "radio predict",
    "radio report",
    "radio rationales review",
    "radio teachers report",
    "radio index",
    "radio transfer",
    "the run",
}
"""Entries of what is no class of ours: see the tests of what asks for them."""


def shipped() -> Iterator[type]:
    def below(kind: type) -> Iterator[type]:
        for found in kind.__subclasses__():
            yield found
            yield from below(found)

    families = (
        Reranker,
        Loss,
        GroupSampler,
        Fingerprinted,
        LanguageModel,
        Engine,
        L.Callback,
        data_modules.RationaleDataModule,
    )
    found = [kind for family in families for kind in (family, *below(family))]
    for kind in dict.fromkeys([*found, *PLAIN]):
        if kind.__module__.split(".")[0] in ("radio", "data_modules"):
            yield kind


def has_number(annotation: Any) -> bool:
    if annotation in (int, float):
        return True
    if typing.get_origin(annotation) is typing.Literal:
        return False
    return any(has_number(part) for part in typing.get_args(annotation))


def numeric(kind: type) -> list[str]:
    if "__init__" not in vars(kind):
        return []
    hints = typing.get_type_hints(kind.__init__)
    names = inspect.signature(kind.__init__).parameters
    return [name for name in names if has_number(hints.get(name))]


@pytest.mark.parametrize("kind", shipped(), ids=lambda kind: kind.__name__)
def test_every_number_that_a_shipped_class_takes_has_a_range(kind: type) -> None:
    known = {*RANGES.get(kind.__name__, ()), *FREE.get(kind.__name__, ())}
    assert set(numeric(kind)) <= known, "add it to RANGES in radio/ranges.py"


def test_the_table_holds_nothing_that_no_class_takes() -> None:
    by_name = {kind.__name__: kind for kind in shipped()} | {"Trainer": L.Trainer}
    for name, settings in {**RANGES, **FREE}.items():
        if name not in ELSEWHERE:
            assert set(settings) <= set(inspect.signature(by_name[name]).parameters), name


def outside(allowed: Range) -> list[Any]:
    """Values just outside a range."""
    values: list[Any] = [nan, inf, -inf, "1"]
    step = 1 if allowed.whole else 1e-6
    if allowed.low > -inf:
        low = int(allowed.low) if allowed.whole else allowed.low
        values += [low] if allowed.above else [low - step]
    if allowed.high < inf:
        high = int(allowed.high) if allowed.whole else allowed.high
        values += [high] if allowed.below else [high + step]
    if allowed.whole:
        values.append(allowed.low + 0.5)
    if allowed.share:
        values.append(1.5)
    return [value for value in values if value not in allowed.also]


def edges(allowed: Range) -> list[Any]:
    """Lowest and highest value of a range."""
    values: list[Any] = list(allowed.also)
    step = 1 if allowed.whole else 1e-6
    if allowed.low > -inf:
        low = int(allowed.low) if allowed.whole else float(allowed.low)
        values.append(low + step if allowed.above else low)
    if allowed.high < inf:
        high = int(allowed.high) if allowed.whole else float(allowed.high)
        values.append(high - step if allowed.below else high)
    return values


def build(name: str, setting: str, value: Any) -> object:
    kind = STAND_INS.get(name) or next(kind for kind in shipped() if kind.__name__ == name)
    if wrap := WRAPPED.get((name, setting)):
        value = wrap(value)
    more = NEEDED.get(kind.__name__, {}) | ALONG.get((name, setting), {})
    return kind(**{**more, setting: value})


TABLE = [
    pytest.param(name, setting, allowed, id=f"{name}.{setting}")
    for name, settings in RANGES.items()
    if name not in ELSEWHERE
    for setting, allowed in settings.items()
]


@pytest.mark.parametrize(("name", "setting", "allowed"), TABLE)
def test_a_value_just_outside_its_range_is_refused_by_name(
    name: str, setting: str, allowed: Range
) -> None:
    kind = STAND_INS.get(name)
    for value in outside(allowed):
        if name == "Trainer" and isinstance(value, str):
            continue
        with pytest.raises(InputError) as error:
            build(name, setting, value)
        message = str(error.value)
        shown = kind.__name__ if kind and kind is not RadioTrainer else name
        assert message.startswith(f"{shown}: {setting}"), value
        assert f"found {value!r}, expected {allowed}" in message


@pytest.mark.parametrize(
    ("name", "setting", "allowed"), [p for p in TABLE if p.values[0] != "Trainer"]
)
def test_a_value_at_the_edge_of_its_range_is_taken(name: str, setting: str, allowed: Range) -> None:
    for value in edges(allowed):
        assert build(name, setting, value)


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        (Range(0), "a number, 0 or more"),
        (Range(0, above=True), "a number above 0"),
        (Range(0, 1), "a number between 0 and 1"),
        (Range(0, 1, below=True), "a number at least 0 and below 1"),
        (Range(1, whole=True, also=(-1,)), "a whole number, 1 or more, or -1"),
        (Range(), "a number that is finite"),
        (Range(0, also=("learnt",)), "a number, 0 or more, or learnt"),
    ],
)
def test_a_range_says_what_it_takes(allowed: Range, text: str) -> None:
    assert str(allowed) == text


def test_numbers_of_other_libraries_count_as_numbers() -> None:
    import numpy as np

    check(Huber(), {"delta": np.float32(0.5)})
    check(InfoNCE(), {"positives": np.int64(2), "temperature": 10**400})


def test_a_class_of_the_users_own_keeps_the_ranges_of_its_base() -> None:
    class Gentle(InfoNCE):
        def __init__(self, strength: float = -3.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    with pytest.raises(InputError, match="Gentle: temperature: found 0, expected a number above 0"):
        Gentle(temperature=0)
    assert Gentle(strength=-9)


def test_weights_that_are_all_zero_are_refused() -> None:
    for weights in ({"a": 0.0, "b": [0.0, 0.0]}, {"a": 0, "b": 0}):
        with pytest.raises(InputError, match="WeightedSum: weights: found 0 for every loss"):
            WeightedSum({"a": Huber(), "b": Huber()}, weights)  # type: ignore[arg-type]
    WeightedSum({"a": Huber(), "b": Huber()}, {"a": 0, "b": [0, 1]})


@pytest.mark.parametrize("template", ["", "the answer", "{{question}}"])
def test_a_template_that_is_the_same_for_every_question_is_refused(template: str) -> None:
    with pytest.raises(
        InputError, match=r"RationaleSimilarity: template: found .*expected at least one of"
    ):
        radio.teachers.RationaleSimilarity(template=template)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--trainer.max_epochs", "0"], "max_epochs: found 0"),
        (["--trainer.max_epochs", "-5"], "max_epochs: found -5"),
        (["--trainer.accumulate_grad_batches", "0"], "accumulate_grad_batches: found 0"),
        (["--trainer.gradient_clip_val", "-1"], "gradient_clip_val: found -1"),
        (["--trainer.devices", "0"], "devices: found 0"),
        (["--trainer.limit_val_batches", "-1"], "limit_val_batches: found -1"),
        (["--trainer.limit_train_batches", "0"], "limit_train_batches: found 0"),
        (["--data.init_args.max_questions", "{train: -5}"], "max_questions.train: found -5"),
        (["--model.init_args.scale", "-20"], "BiEncoder: scale: found -20"),
        (["--model.init_args.lr", ".nan"], "BiEncoder: lr: found nan"),
        (["--model.init_args.warmup_ratio", "5"], "warmup_ratio: found 5"),
        (["--data.init_args.retriever.init_args.b", "5"], "BM25: b: found 5"),
        (["--data.init_args.teacher.init_args.template", "same"], "template: found 'same'"),
    ],
)
def test_a_command_with_such_a_value_ends_before_it_begins(
    arguments: list[str], expected: str, radio: Any, tiny_run: list[str], tmp_path: Any
) -> None:
    status, _, err = radio("fit", *tiny_run, *arguments)
    assert status == 2
    assert expected in err
    assert "expected" in err
    assert "Traceback" not in err
    assert not (tmp_path / ".radio_cache").exists()
    assert not (tmp_path / "runs/tiny").exists()


def test_a_negative_limit_does_not_hide_the_last_questions_from_a_review(
    radio: Any, tiny_run: list[str]
) -> None:
    status, _, err = radio("rationales", "review", *tiny_run, "--limit", "-1")
    assert status == 2
    assert "radio rationales review: limit: found -1, expected a whole number, 1 or more" in err


def test_the_table_needs_no_heavy_import() -> None:
    heavy = {"torch", "lightning", "numpy", "transformers"}
    code = f"import sys, radio.ranges; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
