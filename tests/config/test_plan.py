"""A run whose parts do not fit each other ends before anything is prepared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.losses import InfoNCE, ListNet, Loss, MarginMSE, NoisyTeacher, WeightedSum
from radio.samplers import (
    AllNegatives,
    FullList,
    GroupSampler,
    HardNegatives,
    Iteration,
    MultiPositive,
    Shift,
    TeacherMargin,
    TopVsRandom,
    check_groups,
)
from tests.conftest import World, read_jsonl, write_jsonl
from tests.rerankers.test_contracts import refused

Radio = Callable[..., tuple[int, str, str]]

ONE_POSITIVE = [
    Shift(),
    Shift(positive=2, negatives=(3, 4, 6)),
    Iteration(),
    AllNegatives(),
    TopVsRandom(),
    TeacherMargin(),
    HardNegatives(),
    MultiPositive(positives=1),
]


def named(part: object) -> str:
    return type(part).__name__


@pytest.mark.parametrize("sampler", [*ONE_POSITIVE, FullList()], ids=named)
@pytest.mark.parametrize(
    "loss", [InfoNCE(), NoisyTeacher(InfoNCE()), WeightedSum({"nce": InfoNCE()})], ids=named
)
def test_one_positive_goes_with_every_sampler_that_draws_one(
    sampler: GroupSampler, loss: Loss
) -> None:
    check_groups(sampler, loss)


@pytest.mark.parametrize("sampler", ONE_POSITIVE, ids=named)
@pytest.mark.parametrize(
    "loss",
    [
        InfoNCE(positives=2),
        NoisyTeacher(InfoNCE(positives=2)),
        WeightedSum({"nce": InfoNCE(positives=2)}),
    ],
)
def test_two_positives_are_refused_where_the_sampler_draws_one(
    sampler: GroupSampler, loss: Loss
) -> None:
    with refused(
        f"{named(sampler)} and {named(loss)}: found 1 positives in a group, of which the loss "
        "takes 2"
    ):
        check_groups(sampler, loss)


@pytest.mark.parametrize(
    "loss", [InfoNCE(), WeightedSum({"kl": ListNet(), "nce": InfoNCE()})], ids=named
)
def test_several_positives_need_a_loss_that_takes_as_many(loss: Loss) -> None:
    with refused(
        "MultiPositive and", "found 2 positives", "the loss takes 1", "loss.init_args.positives 2"
    ):
        check_groups(MultiPositive(positives=2), loss)
    check_groups(MultiPositive(positives=2), InfoNCE(positives=2))


def test_a_plain_list_may_have_any_number_of_positives() -> None:
    for positives in (1, 2, 5):
        check_groups(FullList(), InfoNCE(positives=positives))


@pytest.mark.parametrize("negatives", [(0, 3), (5, 1), (0, 1, 3, 4)])
def test_a_negative_above_the_positive_is_refused_for_a_loss_that_takes_the_best(
    negatives: tuple[int, ...],
) -> None:
    sampler = Shift(positive=2, negatives=negatives)
    for loss in (
        InfoNCE(),
        NoisyTeacher(InfoNCE()),
        WeightedSum({"kl": ListNet(), "nce": InfoNCE()}),
    ):
        with refused(
            f"Shift and {named(loss)}: found a negative that the teacher ranks above the positive"
        ):
            check_groups(sampler, loss)
    # what follows the teacher's scores does not care which one is called the positive
    for graded in (ListNet(), MarginMSE(), MarginMSE("best")):
        check_groups(sampler, graded)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["ModelCheckpoint", "monitor", "validation/nDCG@5", "mode", "min"],
            ["mode: found 'min'", "expected 'max'"],
        ),
        (
            ["ModelCheckpoint", "monitor", "validation/nDCG@5"],
            ["mode: found 'min'", "'validation/nDCG@5'"],
        ),
        (
            ["ModelCheckpoint", "monitor", "validation/base/RR@10"],
            ["mode: found 'min'", "higher is better"],
        ),
        (
            ["ModelCheckpoint", "monitor", "validation/loss", "mode", "max"],
            ["mode: found 'max'", "lower is better"],
        ),
        (
            ["EarlyStopping", "monitor", "train/loss", "mode", "max"],
            ["EarlyStopping: mode", "expected 'min'"],
        ),
        (
            ["EarlyStopping", "monitor", "validation/em", "mode", "min"],
            ["EarlyStopping: mode", "expected 'max'"],
        ),
        (
            ["EarlyStopping", "monitor", "val/nDCG@5", "mode", "max"],
            ["monitor: found 'val/nDCG@5'", "did you mean"],
        ),
        (
            ["EarlyStopping", "monitor", "nDCG@5", "mode", "max"],
            ["did you mean 'validation/nDCG@5'?"],
        ),
        (
            ["EarlyStopping", "monitor", "validation/nDCG@7", "mode", "max"],
            ["which nothing computes in training"],
        ),
        (
            ["EarlyStopping", "monitor", "test/nDCG@5", "mode", "max"],
            ["did you mean 'validation/nDCG@5'"],
        ),
        (
            ["EarlyStopping", "monitor", "validation/em@5", "mode", "max"],
            ["did you mean 'validation/em'"],
        ),
        (["EarlyStopping", "monitor", "validation/loss", "patience", "-1"], ["patience: found -1"]),
    ],
    ids=lambda value: " ".join(value[2:]) if "monitor" in value else "",
)
def test_a_monitor_that_nothing_computes_or_in_the_wrong_direction_is_refused(
    arguments: list[str], expected: list[str], radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    kind, *settings = arguments
    callback = {
        "class_path": kind,
        "init_args": dict(zip(settings[::2], settings[1::2], strict=True)),
    }
    if "patience" in callback["init_args"]:
        callback["init_args"]["patience"] = -1
    path = tmp_path / "more.yaml"
    path.write_text(json.dumps({"trainer": {"callbacks+": [callback]}}))
    # what is paid for by prepare is of no use to a run that is refused
    status, _, err = radio(
        "prepare" if "patience" in settings else "fit", *tiny_run, "--config", str(path)
    )
    assert status == 2, err
    assert kind in err
    assert all(part in err for part in expected), err
    assert not (tmp_path / ".radio_cache").exists()


def relabel(world: World, split: str, change: dict[str, Any]) -> None:
    path = world.folder / f"{split}.jsonl"
    write_jsonl(path, [{**row, **change} for row in read_jsonl(path)])


READERS = [
    {"class_path": "SpanReader"},
    {"class_path": "ExtractiveReader", "init_args": {"model": "unused"}},
]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader["class_path"])
@pytest.mark.parametrize(
    "label",
    [
        {"golden_answers": ["SUPPORTS"], "choices": ["SUPPORTS", "REFUTES"]},
        {"golden_answers": ["no"]},
        {"golden_answers": ["captain5"], "choices": ["captain5", "captain6"]},
    ],
    ids=["claim", "yes or no", "choice"],
)
def test_a_reader_of_spans_is_not_asked_for_labels(
    reader: dict[str, Any],
    label: dict[str, Any],
    radio: Radio,
    tiny_run: list[str],
    world: World,
    tmp_path: Path,
) -> None:
    relabel(world, "test", label)
    callbacks = [{"class_path": "GeneratorInTheLoop", "init_args": {"generator": reader}}]
    command = "prepare" if "choices" in label else "test"
    status, _, err = radio(command, *tiny_run, "--trainer.callbacks", json.dumps(callbacks))
    assert status == 2, err
    assert (
        f"GeneratorInTheLoop: generator: found {reader['class_path']}, which copies a span" in err
    )
    assert "all 2 questions of test are labels" in err
    assert not (tmp_path / ".radio_cache/radio.sqlite").exists()


def test_a_monitor_that_no_validation_question_has_a_number_for_is_refused(
    radio: Radio, tiny_run: list[str], world: World
) -> None:
    monitor = ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.init_args.mode", "max"]
    name = "--trainer.callbacks.init_args.monitor"
    status, _, err = radio("fit", *tiny_run, *monitor, name, "validation/gold_nDCG@5")
    assert status == 2
    assert "none of the 2 validation questions are annotated" in err
    relabel(world, "validation", {"golden_answers": ["REFUTES"]})
    callbacks = [{"class_path": "RankEvaluation"}]
    callbacks.append(
        {
            "class_path": "ModelCheckpoint",
            "init_args": {"monitor": "validation/RR@10", "mode": "max"},
        }
    )  # type: ignore[dict-item]
    status, _, err = radio("fit", *tiny_run, "--trainer.callbacks", json.dumps(callbacks))
    assert status == 2
    assert (
        "ModelCheckpoint: monitor: found 'validation/RR@10', but none of the 2 validation "
        "questions have" in err
    )


def test_a_loss_that_takes_no_weights_is_refused_where_questions_have_some(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "weightless.py").write_text(
        "from radio.losses import Loss\n\n\nclass Sum(Loss):\n"
        "    def __call__(self, scores, targets, mask):\n        return scores.sum()\n"
    )
    own = ("--model.init_args.loss", "weightless.Sum", "--data.init_args.confidence", "Margin")
    status, _, err = radio("fit", *tiny_run, *own)
    assert status == 2
    assert "Sum and Margin: found a loss, or a part of one, whose __call__ has no argument" in err


@pytest.mark.parametrize("inside", ["", ".init_args.teacher"], ids=["alone", "gated"])
def test_a_teacher_that_asks_for_another_kind_of_answer_is_refused(
    inside: str, radio: Radio, tiny_run: list[str]
) -> None:
    teacher = f"--data.init_args.teacher{inside}"
    gate = ["--data.init_args.teacher", "Gated"] if inside else []
    asked = [*gate, teacher, "DownstreamMetric", f"{teacher}.init_args.generator", "SpanReader"]
    # without the settings of its own teacher
    given = tiny_run[: tiny_run.index("--data.init_args.teacher.init_args.encoder.init_args.model")]
    status, _, err = radio("fit", *given, *asked, f"{teacher}.init_args.task", "multi_hop")
    assert status == 2
    assert "DownstreamMetric: task: found 'multi_hop', but the task of JsonlDataModule is" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model.init_args.lr", "-1"],
        ["--trainer.accumulate_grad_batches", "0"],
        ["--data.init_args.sampler", "MultiPositive", "--model.init_args.loss", "InfoNCE"],
        [
            "--data.init_args.sampler",
            "Shift",
            "--data.init_args.sampler.init_args.negatives",
            "[0, 0]",
        ],
    ],
    ids=lambda arguments: arguments[-2],
)
def test_a_run_that_is_refused_has_not_replaced_an_earlier_one(
    arguments: list[str], radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs/tiny"
    assert radio("fit", *tiny_run, "--trainer.max_steps", "1", "--test_after_fit", "false")[0] == 0
    before = sorted(
        (path, path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file() and path.suffix
    )
    status, _, err = radio("fit", *tiny_run, "--overwrite", "true", *arguments)
    assert status == 2
    assert "expected" in err
    after = sorted(
        (path, path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file() and path.suffix
    )
    assert after == before
