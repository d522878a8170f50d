"""Attention without padding against the plain formula in fp32, sequence by sequence.

On a GPU, 16-bit tensors without dropout take flash attention over the packed row.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.gpu.rows import Row, at_most
from radio.rerankers.packing import attend

AIM = 2e-2
"""Of the largest value: bfloat16 has 8 bits, 4e-3, and a sum over keys adds some."""


def check(device: str, *, tiny: bool) -> Iterator[Row]:
    """The output and the gradients, for whole sequences and for one query a sequence."""
    heads, width, count, longest = (2, 16, 5, 20) if tiny else (16, 64, 64, 512)
    rng = random.Random(0)
    lengths = [1, longest, *(rng.randint(1, longest) for _ in range(count - 2))]
    generator = torch.Generator().manual_seed(0)
    for single in (False, True):
        queries = len(lengths) if single else sum(lengths)
        shapes = [(1, heads, tokens, width) for tokens in (queries, sum(lengths), sum(lengths))]
        inputs = [torch.randn(shape, generator=generator).bfloat16() for shape in shapes]
        weight = torch.randn((1, queries, heads, width), generator=generator)
        found = _with_gradients(inputs, weight, lengths, single, device, packed=True)
        expected = _with_gradients(inputs, weight, lengths, single, device, packed=False)
        gaps = [
            ((left.float() - right).abs().max() / right.abs().max()).item()
            for left, right in zip(found, expected, strict=True)
        ]
        what = "one query a sequence" if single else "whole sequences"
        detail = f"{len(lengths)} sequences of 1 to {longest} tokens, bf16 on {device}"
        yield at_most(f"packed attention, {what}: output", gaps[0], AIM, detail)
        yield at_most(f"packed attention, {what}: gradients", max(gaps[1:]), AIM, detail)


def _with_gradients(
    inputs: list[Tensor],
    weight: Tensor,
    lengths: list[int],
    single: bool,
    device: str,
    *,
    packed: bool,
) -> list[Tensor]:
    dtype = torch.bfloat16 if packed else torch.float32
    query, key, value = (x.clone().to(device, dtype).requires_grad_() for x in inputs)
    scale = query.shape[-1] ** -0.5
    if packed:
        output = attend(query, key, value, lengths, scale=scale)
    else:
        output = _plain(query, key, value, lengths, single, scale)
    (output.float() * weight.to(device)).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [x.grad for x in (query, key, value) if x.grad is not None]
    if len(gradients) != 3:
        raise RuntimeError("an input has no gradient")
    return [output.detach(), *gradients]


def _plain(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], single: bool, scale: float
) -> Tensor:
    keys, values = key.split(lengths, dim=2), value.split(lengths, dim=2)
    queries = query.split([1] * len(lengths) if single else lengths, dim=2)
    parts = [
        ((q * scale) @ k.transpose(-1, -2)).softmax(-1) @ v
        for q, k, v in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2)
