"""How a local model writes: a batch of prompts at a time, each row until it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from radio.llm.likelihood import padded
from radio.llm.memory import Beginning, positions_of

if TYPE_CHECKING:
    from torch import Tensor, device

IsOver = Callable[[list[int]], bool]
"""Whether an answer of these tokens has ended."""


class Greedy:
    """Takes the likeliest token each time, of a causal model.

    What ``generate`` of transformers does, with three differences that save time and change no
    token: what all prompts begin with is read once, an answer that has ended leaves the batch, and
    whether it has is asked of each by itself.

    Args:
        network: a causal model in evaluation mode, for which ``can_share`` holds.
        place: its device.
        pad: id of the padding, which is masked.
    """

    def __init__(self, network: Any, place: device, pad: int) -> None:
        self._network = network
        self._device = place
        self._pad = pad
        self._beginning = Beginning(network, place)

    def answers(
        self, prompts: Sequence[list[int]], max_tokens: int, is_over: IsOver, shared: int = 0
    ) -> list[list[int]]:
        """The tokens of each answer, with the one that ended it.

        Args:
            prompts: tokens of each.
            max_tokens: limit of an answer.
            is_over: asked after each token.
            shared: tokens that these prompts, and those of the next calls, begin with.
        """
        import torch

        answers: list[list[int]] = [[] for _ in prompts]
        with torch.inference_mode():
            memory, shared = self._beginning.start(prompts[0][:shared], len(prompts))
            ids, mask = padded([prompt[shared:] for prompt in prompts], self._pad, left=True)
            mask = torch.nn.functional.pad(mask, (shared, 0), value=1)
            ids, mask = ids.to(self._device), mask.to(self._device)
            rows = list(range(len(prompts)))  # those that have not ended, by place in the batch
            for _ in range(max_tokens):
                chosen = self._next(ids, mask, memory)
                going_on = []
                for place, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
                    answers[row].append(token)
                    if not is_over(answers[row]):
                        going_on.append(place)
                if not going_on:
                    break
                if len(going_on) < len(rows):
                    left = torch.tensor(going_on, device=self._device)
                    memory.batch_select_indices(left)
                    mask, chosen = mask[left], chosen[left]
                    rows = [rows[place] for place in going_on]
                ids = chosen.unsqueeze(1)
                mask = torch.nn.functional.pad(mask, (0, 1), value=1)
        return answers

    def _next(self, ids: Tensor, mask: Tensor, memory: Any) -> Tensor:
        """The likeliest token of each row ``[B]``, after ``ids`` are in the memory too."""
        logits = self._network(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions_of(mask, ids.shape[1]),
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        chosen: Tensor = logits[:, -1].float().argmax(-1)
        return chosen


def generate(
    network: Any,
    prompts: Sequence[list[int]],
    *,
    is_decoder: bool,
    pad: int,
    is_over: IsOver,
    **options: Any,
) -> list[list[int]]:
    """The tokens of each answer by ``generate`` of transformers: sampling, and models that are not
    :class:`Greedy`'s.

    Args:
        network: the model.
        prompts: tokens of each.
        is_decoder: whether it is causal: padded on the left, since it goes on from the right end.
        pad: id of the padding, which is masked.
        is_over: asked after each token.
        options: of ``generate``.
    """
    import torch
    from transformers import StoppingCriteriaList

    ids, mask = padded(prompts, pad, left=is_decoder)
    # a decoder repeats its prompt; the other kind begins with one token of its own
    start = ids.shape[1] if is_decoder else 1

    def have_ended(made: Tensor, scores: Any, **_: Any) -> Tensor:
        rows = [is_over(row) for row in made[:, start:].tolist()]
        return torch.tensor(rows, device=made.device)

    with torch.inference_mode():
        made = network.generate(
            input_ids=ids.to(network.device),
            attention_mask=mask.to(network.device),
            pad_token_id=pad,
            stopping_criteria=StoppingCriteriaList([have_ended]),
            **options,
        )
    answers = []
    for row in made[:, start:].tolist():
        # a row that has ended is filled up until all have
        end = next((n for n in range(1, len(row)) if is_over(row[:n])), len(row))
        answers.append(row[:end])
    return answers
