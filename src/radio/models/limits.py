"""What a model and a machine allow: positions, devices and number formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radio.models.messages import say_once
from radio.schema import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn


def positions(network: nn.Module) -> int | None:
    """The longest input of a network in tokens; None if its positions are relative.

    RoBERTa and its kin count positions from the padding index on, so their table is longer.
    """
    from torch import nn

    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in (
            "position_embeddings",
            "wpe",
        ):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - first
    for module in network.modules():
        config = getattr(module, "config", None)
        limit = getattr(config, "max_position_embeddings", None)
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def capped(max_length: int, limit: int | None, name: str) -> int:
    """``max_length``, or the positions of the model where it has fewer, which is then said."""
    if limit is None or max_length <= limit:
        return max_length
    say_once(
        f"max_length {max_length}: {name!r} has {limit} positions, so texts are cut after {limit} "
        "tokens"
    )
    return limit


def padded_length(longest: int, limit: int, device: torch.device) -> int:
    """To how many tokens a batch is padded.

    A GPU plans its attention anew for each length that it has not met, which takes the layers of a
    language model up to two seconds; so lengths are few there: multiples of 64.

    Args:
        longest: tokens of the longest sequence.
        limit: of the model.
        device: that computes.
    """
    if device.type != "cuda":
        return longest
    return max(longest, min(-(-longest // 64) * 64, limit))


def place(device: str | None = None) -> str:
    """A device that is there: the one given, else a GPU if there is one.

    Raises:
        InputError: the one given is unknown or absent.
    """
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise InputError(
            f"device: found {device!r}, expected for example cuda, cuda:1 or cpu"
        ) from None
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    count = there.get(wanted.type)
    if count is not None and (wanted.index or 0) >= count:
        raise InputError(
            f"device: found {device!r}, but torch sees {count} of that kind here; take cpu, or "
            "leave it out"
        )
    return device


def computes_in_bf16(kind: str) -> bool:
    """Whether devices of a kind (``cuda``, ``cpu``, ...) have instructions for bfloat16: elsewhere
    it is emulated, and slower than fp32."""
    import torch

    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
