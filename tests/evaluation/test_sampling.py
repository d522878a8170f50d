"""Which questions a page has room for."""

from __future__ import annotations

from radio.evaluation.sampling import sampled

IDS = [f"q{number}" for number in range(1000)]


def test_all_are_kept_where_there_is_room() -> None:
    assert sampled(IDS, {"q3"}, 1000) == IDS


def test_flips_come_first_and_the_order_stays() -> None:
    flips = {"q999", "q500", "q0"}
    kept = sampled(IDS, flips, 100)
    assert len(kept) == 100
    assert flips <= set(kept)
    assert kept == [question for question in IDS if question in set(kept)]


def test_more_flips_than_room_are_drawn_from() -> None:
    kept = sampled(IDS, set(IDS[:500]), 100)
    assert set(kept) <= set(IDS[:500])
    assert max(IDS.index(question) for question in kept) > 300


def test_the_draw_hangs_on_the_seed_alone() -> None:
    assert sampled(IDS, (), 50, seed=1) == sampled(IDS, (), 50, seed=1)
    assert sampled(IDS, (), 50, seed=1) != sampled(IDS, (), 50, seed=2)
    smaller = set(sampled(IDS, (), 25, seed=1))
    assert smaller < set(sampled(IDS, (), 50, seed=1))
