"""The metrics for other modules: the mean over distinct questions, whoever has seen them."""

from __future__ import annotations

import json
import math
import os
import socket
import sys
from pathlib import Path

import pytest

from radio.metrics.modules import (
    AnswerInContext,
    AnswerInOutput,
    ChoiceAccuracy,
    LabelAccuracy,
    LabelMacroF1,
    Ranking,
    Support,
)
from tests.conftest import PATIENCE, ROOT
from tests.forked import Forked
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


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
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
        command = [sys.executable, "-m", "tests.metrics.uneven", json.dumps(SPLITS)]
        with (tmp_path / f"{rank}.json").open("w") as out:
            processes.append(Forked(command, cwd=ROOT, env=environment, stdout=out.fileno()))
    for rank, process in enumerate(processes):
        assert process.wait(PATIENCE) == 0
        printed = json.loads((tmp_path / f"{rank}.json").read_text())
        for (first, second), found in zip(SPLITS, printed, strict=True):
            alone = measured(sorted({*first, *second}))
            assert found == json.loads(json.dumps(alone)), (first, second)


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
    with pytest.raises(ValueError, match="finite"):
        Ranking("RR").update(["a"], [[math.nan]])
