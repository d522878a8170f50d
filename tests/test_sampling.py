"""Group samplers: the published groups, and groups that stay valid however few candidates there are."""

from __future__ import annotations

import pytest

from radio.sampling import FullList, GroupSampler, Iteration, Shift
from radio.schema import InputError

PUBLISHED = [3, 4, 6, 9, 13, 18]


def draw(sampler: GroupSampler, size: int, *, seed: int = 0, epoch: int = 0, question_id: str = "q") -> list[list[int]]:
    scores = [1 - rank / size for rank in range(size)]
    return sampler.groups(scores, seed=seed, epoch=epoch, question_id=question_id)


@pytest.mark.parametrize("size", [19, 20, 50])
def test_shift_takes_the_published_ranks(size: int) -> None:
    assert draw(Shift(), size) == [[0, *PUBLISHED]]


@pytest.mark.parametrize("size", range(2, 19))
def test_shift_replaces_ranks_beyond_the_end_by_the_lowest_free_ones(size: int) -> None:
    expected = [0, *(rank for rank in PUBLISHED if rank < size)]
    for _ in range(len(PUBLISHED) + 1 - len(expected)):
        free = set(range(size)) - set(expected)
        if free:
            expected.append(max(free))
    assert draw(Shift(), size) == [expected]


def test_shift_takes_everything_when_there_is_not_enough() -> None:
    (group,) = draw(Shift(), 5)
    assert sorted(group) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", range(2, 30))
@pytest.mark.parametrize(
    "sampler",
    [
        Shift(),
        Shift(positive=3, negatives=(1, 7)),
        Shift(positive=5, negatives=(0, 1, 2, 3)),
        Shift(negatives=(25, 1)),
        Iteration(),
        Iteration(block=2, depth=3),
        Iteration(per_epoch=2),
        FullList(),
        FullList(size=2),
    ],
    ids=lambda x: f"{type(x).__name__}{vars(x)}",
)
def test_groups_are_valid_for_every_number_of_candidates(sampler: GroupSampler, size: int) -> None:
    groups = draw(sampler, size)
    assert groups
    for group in groups:
        assert len(group) >= 2
        assert len(set(group)) == len(group)
        assert set(group) <= set(range(size))


@pytest.mark.parametrize("sampler", [Shift(), Iteration(), FullList()], ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("size", [0, 1])
def test_fewer_than_two_candidates_make_no_group(sampler: GroupSampler, size: int) -> None:
    assert draw(sampler, size) == []


def test_iteration_puts_each_candidate_of_a_block_against_those_below_it() -> None:
    assert draw(Iteration(block=3), 6) == [[0, 1, 2], [1, 2], [3, 4, 5], [4, 5]]


def test_iteration_joins_a_last_single_candidate_to_the_block_before() -> None:
    assert draw(Iteration(block=3), 4) == [[0, 1, 2, 3], [1, 2, 3], [2, 3]]
    assert draw(Iteration(block=3, depth=7), 20)[-3:] == [[3, 4, 5, 6], [4, 5, 6], [5, 6]]


@pytest.mark.parametrize("size", range(2, 27))
def test_iteration_equals_the_documented_blocks(size: int) -> None:
    ranks = list(range(min(size, 20)))
    blocks = [ranks[start : start + 5] for start in range(0, len(ranks), 5)]
    if len(blocks[-1]) == 1:
        single = blocks.pop()
        blocks[-1] += single
    expected = [block[i:] for block in blocks for i in range(len(block) - 1)]
    groups = draw(Iteration(block=5, depth=20), size)
    assert groups == expected
    assert {rank for group in groups for rank in group} == set(ranks)


def test_iteration_draws_some_groups_each_epoch() -> None:
    everything = draw(Iteration(), 20)
    sampler = Iteration(per_epoch=3)
    first = draw(sampler, 20)
    assert len(first) == 3
    assert all(group in everything for group in first)
    assert draw(sampler, 20) == draw(Iteration(per_epoch=3), 20) == first
    for change in ({"epoch": 1}, {"seed": 1}, {"question_id": "other"}):
        assert draw(sampler, 20, **change) != first  # type: ignore[arg-type]
    assert draw(Iteration(per_epoch=100), 20) == everything


def test_epochs_together_reach_every_group() -> None:
    sampler = Iteration(per_epoch=2)
    reached = {tuple(group) for epoch in range(60) for group in draw(sampler, 12, epoch=epoch)}
    assert reached == {tuple(group) for group in draw(Iteration(), 12)}


def test_full_list_keeps_the_best_and_samples_the_rest() -> None:
    assert draw(FullList(), 30) == [list(range(30))]
    assert draw(FullList(size=30), 30) == [list(range(30))]
    (group,) = draw(FullList(size=6), 30)
    assert len(group) == 6
    assert group[0] == 0
    assert draw(FullList(size=6), 30) == [group]
    assert draw(FullList(size=6), 30, epoch=1) != [group]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Shift, {"negatives": ()}),
        (Shift, {"negatives": (0, 1)}),
        (Shift, {"negatives": (3, 3)}),
        (Shift, {"negatives": (-1, 2)}),
        (Shift, {"positive": -1}),
        (Iteration, {"block": 1}),
        (Iteration, {"depth": 1}),
        (Iteration, {"per_epoch": 0}),
        (FullList, {"size": 1}),
    ],
)
def test_settings_that_make_no_group_are_refused(kind: type[GroupSampler], settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"{kind.__name__}: .*expected"):
        kind(**settings)
