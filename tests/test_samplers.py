"""Group samplers: the published groups, and groups that stay valid however few candidates there
are."""

from __future__ import annotations

from typing import Any

import pytest

from radio.samplers import (
    AllNegatives,
    FullList,
    GroupSampler,
    HardNegatives,
    Iteration,
    MultiPositive,
    RetrieverNegatives,
    Shift,
    TeacherMargin,
    TopVsRandom,
)
from radio.schema import InputError

PUBLISHED = [3, 4, 6, 9, 13, 18]


SAMPLERS = [
    Shift(),
    Shift(positive=3, negatives=(1, 7)),
    Shift(positive=5, negatives=(0, 1, 2, 3)),
    Shift(negatives=(25, 1)),
    Iteration(),
    Iteration(block=2, depth=3),
    Iteration(per_epoch=2),
    FullList(),
    FullList(size=2),
    AllNegatives(),
    AllNegatives(skip=4, negatives=3),
    TopVsRandom(),
    TopVsRandom(top=1, negatives=1),
    TopVsRandom(top=30, negatives=30),
    TeacherMargin(),
    TeacherMargin(margin=1),
    TeacherMargin(margin=0.3, negatives=2),
    MultiPositive(),
    MultiPositive(positives=1, negatives=1),
    MultiPositive(positives=40, negatives=40),
    HardNegatives(),
    HardNegatives(negatives=1, margin=0, skip=9),
    HardNegatives(margin=1),
    RetrieverNegatives(),
    RetrieverNegatives(negatives=6, first=3, last=9),
    RetrieverNegatives(negatives=40, last=0, margin=0.2),
    RetrieverNegatives(first=50, margin=1),
]


def name(value: object) -> str:
    return f"{type(value).__name__}{vars(value)}" if isinstance(value, GroupSampler) else str(value)


def falling(size: int) -> list[float]:
    return [1 - rank / size for rank in range(size)]


def tied(size: int) -> list[float]:
    return [0.5] * size


def draw(
    sampler: GroupSampler,
    size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    question_id: str = "q",
    scores: list[float] | None = None,
    student: list[float] | None = None,
    ranks: list[int] | None = None,
) -> list[list[int]]:
    student = student or [float(rank * 7 % 11) for rank in range(size)]
    return sampler.groups(
        scores or falling(size),
        seed=seed,
        epoch=epoch,
        question_id=question_id,
        student=student,
        # the teacher's order backwards
        ranks=ranks or list(range(size))[::-1],
    )


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


@pytest.mark.parametrize("teacher", [falling, tied])
@pytest.mark.parametrize("size", range(2, 30))
@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_groups_are_valid_for_every_number_of_candidates(
    sampler: GroupSampler, size: int, teacher: Any
) -> None:
    for epoch in range(3):
        groups = draw(sampler, size, epoch=epoch, scores=teacher(size))
        assert groups
        for group in groups:
            assert len(group) >= 2
            assert len(set(group)) == len(group)
            assert set(group) <= set(range(size))
        assert groups == draw(sampler, size, epoch=epoch, scores=teacher(size))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
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


def test_all_negatives_begin_at_their_rank() -> None:
    assert draw(AllNegatives(), 5) == [[0, 1, 2, 3, 4]]
    assert draw(AllNegatives(skip=3), 5) == [[0, 3, 4]]
    assert draw(AllNegatives(skip=5), 5) == [[0, 4]]
    (group,) = draw(AllNegatives(skip=3, negatives=4), 30)
    assert group[0] == 0
    assert len(group) == 5
    assert min(group[1:]) >= 3
    assert draw(AllNegatives(skip=3, negatives=4), 30, epoch=1) != [group]


@pytest.mark.parametrize("size", range(2, 12))
def test_top_vs_random_draws_both_sides_anew_each_epoch(size: int) -> None:
    sampler = TopVsRandom(top=3, negatives=2)
    top = min(3, size - 1)
    groups = [draw(sampler, size, epoch=epoch)[0] for epoch in range(200)]
    assert {group[0] for group in groups} == set(range(top))
    assert {rank for group in groups for rank in group[1:]} == set(range(top, size))
    assert {len(group) for group in groups} == {1 + min(2, size - top)}


@pytest.mark.parametrize("margin", [0, 0.1, 0.25, 0.9, 1])
def test_teacher_margin_takes_no_negative_near_the_positive(margin: float) -> None:
    scores = [0.9, 0.9, 0.8, 0.65, 0.4, 0.4, 0.0]
    expected = [rank for rank, score in enumerate(scores) if 0.9 - score > margin] or [6]
    assert draw(TeacherMargin(margin), 7, scores=scores) == [[0, *expected]]
    (group,) = draw(TeacherMargin(margin, negatives=2), 7, scores=scores)
    assert len(group) == 1 + min(2, len(expected))
    assert set(group[1:]) <= set(expected)
    assert draw(TeacherMargin(margin), 4, scores=tied(4)) == [[0, 3]]


def test_multi_positive_begins_with_the_positives() -> None:
    sampler = MultiPositive(positives=3, negatives=2)
    assert sampler.positives == 3
    groups = [draw(sampler, 8, epoch=epoch)[0] for epoch in range(50)]
    assert all(group[:3] == [0, 1, 2] and len(group) == 5 for group in groups)
    assert {rank for group in groups for rank in group[3:]} == {3, 4, 5, 6, 7}
    assert draw(sampler, 4) == [[0, 1, 2, 3]]
    assert draw(sampler, 3) == [[0, 1, 2]]
    assert {
        kind.positives for kind in (Shift, Iteration, FullList, AllNegatives, HardNegatives)
    } == {1}


def test_hard_negatives_are_those_that_the_student_scores_highest() -> None:
    student = [0.0, 9.0, 1.0, 7.0, 3.0, 7.0]
    scores = [1.0, 0.95, 0.8, 0.6, 0.3, 0.1]
    assert draw(HardNegatives(3, margin=0.1), 6, scores=scores, student=student) == [[0, 3, 5, 4]]
    assert draw(HardNegatives(3, margin=0), 6, scores=scores, student=student) == [[0, 1, 3, 5]]
    assert draw(HardNegatives(9, margin=0, skip=3), 6, scores=scores, student=student) == [
        [0, 3, 5, 4]
    ]
    assert draw(HardNegatives(3, skip=99), 6, scores=scores, student=student) == [[0, 5]]
    with pytest.raises(ValueError, match="student"):
        HardNegatives().groups(scores, seed=0, epoch=0, question_id="q")


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
        (AllNegatives, {"skip": 0}),
        (AllNegatives, {"negatives": 0}),
        (TopVsRandom, {"top": 0}),
        (TopVsRandom, {"negatives": 0}),
        (TeacherMargin, {"margin": -0.1}),
        (TeacherMargin, {"margin": float("nan")}),
        (MultiPositive, {"positives": 0}),
        (MultiPositive, {"negatives": 0}),
        (HardNegatives, {"negatives": 0}),
        (HardNegatives, {"margin": -1}),
        (HardNegatives, {"skip": 0}),
    ],
)
def test_settings_that_make_no_group_are_refused(
    kind: type[GroupSampler], settings: dict[str, object]
) -> None:
    with pytest.raises(InputError, match=f"{kind.__name__}: .*expected"):
        kind(**settings)


def test_negatives_are_the_top_of_the_retrievers_list_that_is_not_positive() -> None:
    # teacher's order; the retriever's first is the positive itself, its second ties with it
    scores, ranks = [0.9, 0.9, 0.7, 0.4, 0.2, 0.1], [0, 1, 4, 2, 5, 3]
    sampler = RetrieverNegatives(negatives=9, last=3)
    assert draw(sampler, 6, scores=scores, ranks=ranks) == [[0, 3, 5]]
    # what stands too high to be trusted is left out, and what the teacher likes nearly as much
    sampler = RetrieverNegatives(negatives=9, first=3, margin=0.3)
    assert draw(sampler, 6, scores=scores, ranks=ranks) == [[0, 4, 5]]


def test_negatives_of_the_retriever_are_drawn_anew_each_epoch_and_all_of_them_in_time() -> None:
    scores, ranks = falling(30), [(7 * place) % 30 for place in range(30)]
    sampler = RetrieverNegatives(negatives=1, first=2, last=9)
    drawn = [draw(sampler, 30, scores=scores, ranks=ranks, epoch=epoch) for epoch in range(200)]
    negatives = {group[1] for groups in drawn for group in groups}
    assert {ranks[place] for place in negatives} == set(range(2, 10))
    assert drawn == [draw(sampler, 30, scores=scores, ranks=ranks, epoch=e) for e in range(200)]


def test_without_a_negative_at_these_ranks_the_teachers_last_is_the_only_one() -> None:
    sampler = RetrieverNegatives(negatives=3, first=8)
    assert draw(sampler, 4, ranks=[2, 0, 1, 3]) == [[0, 3]]
    assert draw(RetrieverNegatives(), 2, ranks=[1, 0]) == [[0, 1]]
    assert draw(RetrieverNegatives(), 1) == []


def test_ranks_that_are_missing_or_backwards_are_refused() -> None:
    with pytest.raises(InputError, match=r"RetrieverNegatives: last: found 2, expected 5 or more"):
        RetrieverNegatives(first=5, last=2)
    with pytest.raises(ValueError, match="needs the retriever's rank of every candidate"):
        RetrieverNegatives().groups(falling(3), seed=0, epoch=0, question_id="q")
