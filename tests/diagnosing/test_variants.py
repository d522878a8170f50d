"""Other orders of the same passages, and passages of other questions between them."""

from __future__ import annotations

import pytest

from radio.diagnosing.variants import BEST_FIRST, BEST_LAST, ORDERS, SHUFFLED, Distractors, ordered

PASSAGES = [f"p{n}" for n in range(6)]
POOL = {f"q{n}": [f"{n}-{place}" for place in range(4)] for n in range(5)}


def test_orders_hold_the_same_passages() -> None:
    for how in ORDERS:
        assert sorted(ordered("q", PASSAGES, how, 0)) == PASSAGES
    assert ordered("q", PASSAGES, BEST_FIRST, 0) == PASSAGES
    assert ordered("q", PASSAGES, BEST_LAST, 0) == PASSAGES[::-1]


def test_a_shuffle_hangs_on_seed_question_and_passages_alone() -> None:
    shuffled = ordered("q", PASSAGES, SHUFFLED, 0)
    # as another system has them
    assert ordered("q", PASSAGES[::-1], SHUFFLED, 0) == shuffled
    others = [ordered("q", PASSAGES, SHUFFLED, 1), ordered("r", PASSAGES, SHUFFLED, 0)]
    assert shuffled not in [*others, PASSAGES, PASSAGES[::-1]]


def test_distractors_are_allowed_distinct_and_of_others() -> None:
    drawn = Distractors(POOL, lambda question, passage: passage.endswith(("1", "2")), 0)
    for name in POOL:
        found = drawn.of(name, 6)
        assert len(set(found)) == 6
        assert not set(found) & set(POOL[name])
        assert all(passage.endswith(("1", "2")) for passage in found)
        # two are two of the six
        assert drawn.of(name, 2) == found[:2]
    assert drawn.of("q0", 6) != Distractors(POOL, drawn.allowed, 1).of("q0", 6)
    # of eight that are allowed there are no nine
    assert len(drawn.of("q0", 9)) == 8
    assert Distractors({"q0": ["a"]}, lambda *_: True, 0).of("q0", 2) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_passages_keep_their_order_between_distractors(count: int) -> None:
    drawn = Distractors(POOL, lambda *_: True, 0)
    others = drawn.of("q0", count)
    mixed = drawn.mixed("q0", PASSAGES, others)
    assert [passage for passage in mixed if passage in PASSAGES] == PASSAGES
    assert [passage for passage in mixed if passage in others] == others
    assert len(mixed) == 6 + count
    # at the same places for another order
    backwards = drawn.mixed("q0", PASSAGES[::-1], others)
    places = [passage in others for passage in mixed]
    assert [passage in others for passage in backwards] == places
