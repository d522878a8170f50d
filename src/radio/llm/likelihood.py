"""How likely a local model finds an answer after a prompt, exactly.

The ids of the two are joined, not their texts; the logits at position ``t`` judge token ``t + 1``;
only the positions before the answer's tokens are put through the head.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from radio.llm.base import Likelihood

if TYPE_CHECKING:
    from torch import Tensor


class Judged(NamedTuple):
    """The tokens of a prompt and of an answer."""

    prompt: list[int]
    answer: list[int]
    first: list[int]
    """Tokens that a decoder with an encoder has in front of any answer, after its start token; they
    are not judged."""

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.first) + len(self.answer)


def log_likelihoods(
    network: Any, pairs: Sequence[Judged], is_decoder: bool, pad: int
) -> list[Likelihood]:
    """The likelihood of each answer; an empty one has no tokens and is certain.

    Args:
        network: a causal model or one with encoder and decoder, in evaluation mode.
        pairs: judged together, in one batch.
        is_decoder: whether the network is causal.
        pad: id of the padding, which is masked.
    """
    import torch

    told = [pair for pair in pairs if pair.answer]
    if not told:
        return [Likelihood(0.0, 0) for _ in pairs]
    with torch.inference_mode():
        logits = _causal(network, told, pad) if is_decoder else _decoder(network, told, pad)
        found = iter([_total(row, pair.answer) for row, pair in zip(logits, told, strict=True)])
    return [
        Likelihood(next(found), len(pair.answer)) if pair.answer else Likelihood(0.0, 0)
        for pair in pairs
    ]


def padded(rows: Sequence[list[int]], pad: int, *, left: bool) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask ``[B, L]``."""
    import torch

    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        start = width - len(row) if left else 0
        ids[number, start : start + len(row)] = torch.tensor(row, dtype=torch.long)
        mask[number, start : start + len(row)] = 1
    return ids, mask


def takes(network: Any, argument: str) -> bool:
    """Whether a network's ``forward`` has an argument."""
    return argument in inspect.signature(network.forward).parameters


def _causal(network: Any, pairs: Sequence[Judged], pad: int) -> list[Tensor]:
    """Logits ``[T, V]`` for the ``T`` tokens of each answer."""
    # the last token judges nothing that is asked for
    rows = [pair.prompt + pair.answer[:-1] for pair in pairs]
    # on the left: the answers end together, and their logits are the last ones
    ids, mask = padded(rows, pad, left=True)
    most = max(len(pair.answer) for pair in pairs)
    options: dict[str, Any] = {}
    if takes(network, "position_ids"):
        options["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0).to(network.device)
    if takes(network, "logits_to_keep"):
        options["logits_to_keep"] = most
    logits = network(
        input_ids=ids.to(network.device),
        attention_mask=mask.to(network.device),
        use_cache=False,
        **options,
    ).logits
    return [row[-len(pair.answer) :] for row, pair in zip(logits, pairs, strict=True)]


def _decoder(network: Any, pairs: Sequence[Judged], pad: int) -> list[Tensor]:
    """As :func:`_causal`; the model itself puts its start token before the labels."""
    ids, mask = padded([pair.prompt for pair in pairs], pad, left=False)
    labels, _ = padded([pair.first + pair.answer for pair in pairs], pad, left=False)
    started = network.prepare_decoder_input_ids_from_labels(labels=labels.to(network.device))
    # what is padded comes after all that is judged, and the decoder looks back only
    logits = network(
        input_ids=ids.to(network.device),
        attention_mask=mask.to(network.device),
        decoder_input_ids=started,
        use_cache=False,
    ).logits
    found = []
    for row, pair in zip(logits, pairs, strict=True):
        start = len(pair.first)
        found.append(row[start : start + len(pair.answer)])
    return found


def _total(logits: Tensor, answer: list[int]) -> float:
    """Sum of the logarithms of the probabilities of an answer's tokens, of one row at a time: a
    batch of them in fp32 would be large."""
    import torch

    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wanted = torch.tensor(answer, device=logits.device).unsqueeze(1)
    chosen = exact.gather(1, wanted).squeeze(1)
    return float((chosen - exact.logsumexp(-1)).double().sum())
