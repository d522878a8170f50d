"""The metrics for other modules: the mean over distinct questions, whoever has seen them."""

from __future__ import annotations

import io
import json
import math
import os
import socket
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from torchmetrics import MetricCollection

from radio.metrics.modules import (
    AnswerInContext,
    AnswerInOutput,
    ChoiceAccuracy,
    ExactMatch,
    LabelAccuracy,
    LabelMacroF1,
    Ranking,
    Support,
    TokenF1,
)
from tests.conftest import PATIENCE, ROOT
from tests.metrics.uneven import measured

SPLITS = [
    # uneven; the second process has none; one question; the first has none; as DistributedSampler
    # fills up the shares
    [[0, 1, 2, 3, 4], [5, 6]],
    [[0, 1, 2, 3, 4, 5, 6], []],
    [[3], []],
    [[], [6, 2]],
    [[0, 2, 4, 6], [1, 3, 5, 0]],
]


def test_two_processes_give_the_numbers_of_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.metrics.uneven", json.dumps(SPLITS)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        for (first, second), found in zip(SPLITS, json.loads(out), strict=True):
            alone = measured(sorted({*first, *second}))
            assert found == json.loads(json.dumps(alone)), (first, second)


def test_the_mean_is_exact_and_a_question_counts_once() -> None:
    torch.manual_seed(0)
    metric = Ranking("nDCG@1")
    gains = torch.rand(2_000, 2).tolist()
    for start in range(0, 2_000, 100):
        part = gains[start : start + 100]
        metric.update([f"q{start + n}" for n in range(100)], part)
    metric.update(["q0", "q1"], [[0.0], [0.0]])
    values = metric.values()
    assert list(values) == [f"q{n}" for n in range(2_000)]
    assert values["q0"] == gains[0][0] / max(gains[0])
    exact = float(sum(map(Fraction, values.values())) / 2_000)
    assert metric.compute().dtype == torch.float64
    assert abs(metric.compute().item() - exact) <= math.ulp(exact)


def test_forward_gives_the_batch_and_keeps_all() -> None:
    metric = ExactMatch()
    assert metric(["a"], ["x"], [["x"]]) == 1.0
    assert metric(["b", "c"], ["x", None], [["y"], ["x"]]) == 0.0
    assert metric.compute() == 1 / 3
    assert metric.values() == {"a": 1.0, "b": 0.0, "c": 0.0}
    metric.reset()
    metric.update([], [], [])
    assert metric.values() == {}
    assert metric.compute().isnan()


def test_a_state_is_saved_moved_and_cast_without_loss() -> None:
    metric = TokenF1()
    metric.persistent(True)
    metric.update(["é", "b"], ["one two three", "lamp"], [["two"], ["rope"]])
    buffer = io.BytesIO()
    torch.save(metric.state_dict(), buffer)
    buffer.seek(0)
    other = TokenF1()
    other.persistent(True)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    module = torch.nn.ModuleDict({"f1": other}).to(torch.bfloat16).half()
    assert other.values() == {"é": 0.5, "b": 0.0}
    module.to("meta")
    assert other.records.device.type == "meta"


def test_a_collection_does_not_take_two_metrics_for_one() -> None:
    both = MetricCollection({"em": ExactMatch(), "f1": TokenF1(), "again": ExactMatch()})
    both.update(["a"], ["lamp"], [["lamp"]])
    both.update(["b"], ["big lamp"], [["lamp"]])
    assert {name: float(value) for name, value in both.compute().items()} == {
        "em": 0.5,
        "f1": (1 + 2 / 3) / 2,
        "again": 0.5,
    }


def test_passages_are_searched_to_a_depth_and_for_what_they_can_hold() -> None:
    passages = [["Lamps\nwind", "Ada"], ["yes"]]
    metric = AnswerInContext(1)
    metric.update(["q", "verdict"], passages, [["Ada"], ["yes"]])
    assert (metric.name, metric.values()) == ("answer_in_context@1", {"q": 0.0})
    deeper = AnswerInContext()
    deeper.update(["q", "verdict"], passages, [["Ada"], ["yes"]])
    assert (deeper.name, deeper.values()) == ("answer_in_context", {"q": 1.0})
    output = AnswerInOutput()
    output.update(["a", "b"], ["I know.", "It is no."], [["no"], ["no"]])
    assert output.values() == {"a": 0.0, "b": 1.0}


def test_choices_by_subject_and_category() -> None:
    metric = ChoiceAccuracy()
    subjects = ["anatomy", "astronomy", "astronomy", "virology", "no subject of MMLU"]
    metric.update(list("abcde"), ["x", "y", "y", "x", "x"], [["x"]] * 5, [["x", "y"]] * 5, subjects)
    assert metric.by_subject()["astronomy"] == (0.0, 2)
    assert metric.by_category() == {"STEM": (1 / 3, 3), "Other": (1.0, 1)}
    assert metric.by_category("macro") == {"STEM": (1 / 2, 3), "Other": (1.0, 1)}
    metric.categories = "hendrycks"
    assert metric.by_category() == {"Other": (1.0, 2), "STEM": (0.0, 2)}


def test_labels_with_and_without_evidence() -> None:
    answers, golden = ["SUPPORTS", None, "refutes"], [["SUPPORTS"], ["SUPPORTS"], ["REFUTES"]]
    evidence = [True, True, False]
    accuracy, macro = LabelAccuracy(), LabelMacroF1()
    for metric in (accuracy, macro):
        metric.update(["a", "b", "c"], answers, golden, evidence)
    assert accuracy.by_evidence() == {"with evidence": (0.5, 2), "without evidence": (1.0, 1)}
    assert float(macro.compute()) == (2 / 3 + 1) / 2
    assert macro.by_evidence() == {"with evidence": (2 / 3, 2), "without evidence": (1.0, 1)}


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="support_f2"):
        Support("support_f2")
    with pytest.raises(ValueError, match="did you mean 'nDCG@5'"):
        Ranking("ndcg@5")
    with pytest.raises(ValueError, match="expected strings"):
        ExactMatch().update([1], ["x"], [["x"]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="zip"):
        ExactMatch().update(["a", "b"], ["x"], [["x"]])
    with pytest.raises(ValueError, match="finite"):
        Ranking("RR").update(["a"], [[math.nan]])
