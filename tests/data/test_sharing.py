"""Processes share out the questions, and machines agree on who prepares."""

from __future__ import annotations

import math

import pytest
from torch.utils.data import BatchSampler

from radio.data import sharing
from radio.data.sharing import EvaluationSampler


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize(("size", "batch_size"), [(1, 4), (4, 4), (5, 2), (7, 3), (12, 2)])
def test_each_batch_of_one_process_is_ranked_by_one_of_several(
    ranks: int, size: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "process_count", lambda: ranks)
    batches = math.ceil(size / batch_size)
    whole = [
        [(0, index) for index in range(start, min(start + batch_size, size))]
        for start in range(0, size, batch_size)
    ]
    own, lengths = [], set()
    for rank in range(ranks):
        monkeypatch.setattr(sharing, "process_number", lambda rank=rank: rank)
        sampler = EvaluationSampler(size, batch_size)
        # as torch's loader makes them of the single items
        made = list(BatchSampler(sampler, batch_size, drop_last=False))
        assert len(sampler) == sum(map(len, made))
        lengths.add(len(made))
        assert all(batch in whole for batch in made)
        own += [batch for n, batch in enumerate(made) if not sampler.is_repeat(n)]
    assert sorted(own) == whole
    assert lengths == {math.ceil(batches / ranks)}
