"""Supporting passages: as MuSiQue and HotpotQA count right and wrong ones."""

from __future__ import annotations

import pytest

from radio.metrics.support import support_metrics


def official_support(read: set[str], golden: set[str]) -> tuple[float, float, float]:
    right, wrong, missed = len(read & golden), len(read - golden), len(golden - read)
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


@pytest.mark.parametrize("read", ["", "a", "ab", "abc", "cd", "dcba"])
@pytest.mark.parametrize("golden", ["a", "ab", "abx", "x"])
def test_supporting_passages_are_counted_as_by_musique(read: str, golden: str) -> None:
    ours = support_metrics(list(read), set(golden))
    three = tuple(ours[f"support_{name}"] for name in ("precision", "recall", "f1"))
    assert three == pytest.approx(official_support(set(read), set(golden)), abs=1e-15)
    assert ours["all_hops"] == float(set(golden) <= set(read))


def test_a_question_without_supporting_passages_has_no_value() -> None:
    # MuSiQue's script gives 1 where nothing is wanted and nothing is given
    assert support_metrics([], []) == {}
    assert support_metrics(["a"], []) == {}
