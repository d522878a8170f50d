"""Batches in one piece, where processes have to keep step."""

from __future__ import annotations

import torch

from radio.models.packing import CPU_TOKENS, chunks, pack
from radio.models.pieces import undivided


def test_a_batch_that_a_cpu_divides_is_one_piece_inside() -> None:
    row = pack({"input_ids": [[1] * CPU_TOKENS, [2] * CPU_TOKENS]})
    assert len(list(chunks(row))) == 2
    with undivided():
        ((tokens, lengths),) = chunks(row)
    assert lengths == [CPU_TOKENS, CPU_TOKENS]
    assert torch.equal(tokens["input_ids"], row["input_ids"])
    assert len(list(chunks(row))) == 2
