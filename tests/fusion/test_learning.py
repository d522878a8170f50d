"""Weights learnt: the best of the grid by a plain nDCG, and said with what they rest on."""

from __future__ import annotations

import math
import random

import pytest

from radio.fusion import Judged, Merge, gains_of, learn, spread
from radio.fusion.learning import grid
from radio.schema import InputError, Passage, Question
from tests.fusion.test_merging import drawn, every_sum


class Part:
    """Who learns."""


def ndcg(order: list[str], gains: dict[str, float]) -> float:
    found = sum(gains.get(name, 0.0) / math.log2(n + 2) for n, name in enumerate(order[:10]))
    best = sorted(gains.values(), reverse=True)[:10]
    return found / sum(gain / math.log2(n + 2) for n, gain in enumerate(best))


def questions(count: int, lists: int) -> list[Judged]:
    made, rng = [], random.Random(lists)
    for seed in range(count):
        rankings = drawn(seed, lists)
        ids = sorted({name for ranking in rankings for name in ranking})
        relevant = rng.sample(ids, min(len(ids), 2))
        made.append(Judged(rankings, {name: float(1 + n) for n, name in enumerate(relevant)}))
    return made


@pytest.mark.parametrize("lists", [2, 3, 4])
@every_sum
def test_the_weights_are_the_best_of_the_grid(method: str, lists: int) -> None:
    judged = questions(8, lists)
    merge = Merge(method)  # type: ignore[arg-type]
    learnt = learn(Part(), merge, judged, lists)
    telling = [one for one in judged if one.gains]
    assert (learnt.used, learnt.asked) == (len(telling), 8)

    def value(weights: list[float]) -> float:
        weighed = Merge(merge.method, weights)
        values = [ndcg(list(weighed(one.rankings)), dict(one.gains)) for one in telling]
        return math.fsum(values) / len(values)

    rows = grid(lists).tolist()
    assert learnt.value == pytest.approx(max(map(value, rows)), abs=1e-9)
    assert learnt.value == pytest.approx(value(list(learnt.weights)), abs=1e-9)
    assert learnt.equal == pytest.approx(value([1 / lists] * lists), abs=1e-9)


@pytest.mark.parametrize(("lists", "rows"), [(2, 21), (3, 66), (4, 56), (5, 126)])
def test_the_grid_has_all_divisions_and_each_sums_to_1(lists: int, rows: int) -> None:
    found = grid(lists)
    assert found.shape == (rows, lists)
    assert found.sum(axis=1).tolist() == pytest.approx([1.0] * rows)
    assert len({tuple(row) for row in found.tolist()}) == rows


def test_a_list_that_is_always_right_gets_the_weight() -> None:
    right, wrong = {"c": 3.0, "b": 2.0, "a": 1.0}, {"a": 3.0, "b": 2.0, "c": 1.0}
    learnt = learn(Part(), Merge("min_max"), [Judged([wrong, right], {"c": 1.0})], 2)
    assert learnt.weights[1] > 0.5
    assert learnt.value == 1.0
    told = learnt.told(["BM25", "Dense"])
    assert told.startswith("weights learnt on 1 of 1 training questions: BM25 0.45, Dense 0.55")


def test_weights_that_make_no_difference_stay_equal() -> None:
    same = {"a": 2.0, "b": 1.0}
    learnt = learn(Part(), Merge("rank"), [Judged([same] * 3, {"a": 1.0})], 3)
    assert learnt.weights == pytest.approx([1 / 3] * 3)
    assert learnt.value == learnt.equal


def test_nothing_to_learn_from_is_refused() -> None:
    merge = Merge("min_max")
    with pytest.raises(InputError, match=r"^Part: weights: found 'learnt' with 0 training"):
        learn(Part(), merge, [], 2)
    with pytest.raises(InputError, match="with 1 training questions, none of them has a passage"):
        learn(Part(), merge, [Judged([{"a": 1.0}, {}], {})], 2)


def test_gains_are_grades_or_else_answers() -> None:
    passages = {"a": Passage("a", "A\nAda lit it."), "b": Passage("b", "B\nNobody.")}
    assert gains_of(Question("q", "Who?", ("Ada",)), passages, passages) == {"a": 1.0}
    graded = Question("q", "Who?", ("Ada",), metadata={"gold_ids": {"b": 2, "z": 1}})
    assert gains_of(graded, passages, passages) == {"b": 2.0}
    # a verdict stands in no passage
    assert gains_of(Question("q", "True?", ("yes",)), passages, passages) == {}


@pytest.mark.parametrize(("items", "count"), [(5, 10), (10, 10), (11, 10), (1000, 7)])
def test_questions_are_spread_over_all(items: int, count: int) -> None:
    found = spread(range(items), count)
    assert len(set(found)) == len(found) == min(items, count)
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] >= items - 1 - items // count
