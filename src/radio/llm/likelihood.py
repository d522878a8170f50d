"""How likely a local model finds answers after a prompt, exactly.

The ids of the two are joined, not their texts; the logits at position ``t`` judge token ``t + 1``;
only the positions before an answer's tokens are put through the head. A prompt is read once,
however many answers are judged after it, and what all prompts begin with is read once for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from radio.llm.base import Likelihood
from radio.llm.memory import Beginning, can_share, positions_of, repeated, takes

if TYPE_CHECKING:
    from torch import Tensor

Answer = tuple[int, ...]
"""Tokens of an answer; one at least."""

Judgement = tuple[int, Likelihood]
"""The number of what was asked, and its likelihood."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A prompt and the answers that are judged after it."""

    prompt: list[int]
    first: list[int] = field(default_factory=list)
    """Tokens that a decoder with an encoder has in front of any answer, after its start token; they
    are not judged."""
    plain: list[int] = field(default_factory=list)
    """The prompt that is contrasted with this one, if there is one."""
    answers: dict[Answer, list[int]] = field(default_factory=dict)
    """Who asks for each answer: numbers."""

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.first) + max(map(len, self.answers), default=0)


class Judge:
    """A network on its device, as it judges answers.

    Args:
        network: a causal model or one with encoder and decoder, in evaluation mode.
        is_decoder: whether the network is causal.
        pad: id of the padding, which is masked.
    """

    def __init__(self, network: Any, is_decoder: bool, pad: int) -> None:
        self._network = network
        self._is_decoder = is_decoder
        self._pad = pad
        shares = is_decoder and can_share(network)
        self._beginning = Beginning(network, network.device) if shares else None

    def logits(
        self, asked: Sequence[Judged], rows: int, shared: int = 0
    ) -> Iterator[tuple[Judged, Answer, Tensor]]:
        """The logits ``[T, V]`` for the ``T`` tokens of each answer, in any order.

        Args:
            asked: prompts that are read together; each has an answer.
            rows: answers that are judged together, at most, after their prompts were read.
            shared: tokens that all prompts, also of the next calls, begin with.
        """
        if not self._is_decoder:
            yield from self._behind_encoder(asked, rows)
        elif self._beginning is not None:
            yield from self._after_prompts(self._beginning, asked, rows, shared)
        else:
            yield from self._one_by_one(asked, rows)

    # Causal models

    def _after_prompts(
        self, beginning: Beginning, asked: Sequence[Judged], most: int, shared: int
    ) -> Iterator[tuple[Judged, Answer, Tensor]]:
        """Each prompt is read with the longest of its answers, and the others after it."""
        import torch

        memory, shared = beginning.start(asked[0].prompt[:shared], len(asked))
        longest = [max(one.answers, key=len) for one in asked]
        rows = []
        for one, answer in zip(asked, longest, strict=True):
            # the last token judges nothing that is asked for
            rows.append([*one.prompt[shared:], *answer[:-1]])
        # on the left: the answers end together, and their logits are the last ones
        ids, mask = padded(rows, self._pad, left=True)
        mask = torch.nn.functional.pad(mask, (shared, 0), value=1).to(self._network.device)
        logits = self._read(ids, mask, memory, max(map(len, longest)))
        left: list[tuple[int, Answer]] = []
        for place, (one, answer) in enumerate(zip(asked, longest, strict=True)):
            yield one, answer, logits[place, -len(answer) :]
            left += [(place, other) for other in one.answers if other != answer]
            # to the other answers it does not belong
            mask[place, mask.shape[1] - len(answer) + 1 :] = 0
        # the token after the prompt judges the first one of any answer
        firsts = [logits[place, -len(answer)].clone() for place, answer in enumerate(longest)]
        del logits
        for place, answer in left:
            if len(answer) == 1:
                yield asked[place], answer, firsts[place].unsqueeze(0)
        left = [(place, answer) for place, answer in left if len(answer) > 1]
        for part in _parts(left, most):
            places = [place for place, _ in part]
            rows = [list(answer[:-1]) for _, answer in part]
            ids, own = padded(rows, self._pad, left=False)
            whole = torch.cat([mask[places], own.to(mask.device)], dim=1)
            rest = self._read(ids, whole, repeated(self._network, memory, places), ids.shape[1])
            for row, (place, answer) in zip(rest, part, strict=True):
                logits_of = torch.cat([firsts[place].unsqueeze(0), row[: len(answer) - 1]])
                yield asked[place], answer, logits_of

    def _read(self, ids: Tensor, mask: Tensor, memory: Any, kept: int) -> Tensor:
        """Logits ``[B, kept, V]`` at the last positions, after ``ids`` are in the memory too."""
        logits: Tensor = self._network(
            input_ids=ids.to(self._network.device),
            attention_mask=mask,
            position_ids=positions_of(mask, ids.shape[1]),
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=kept,
        ).logits
        return logits

    def _one_by_one(
        self, asked: Sequence[Judged], most: int
    ) -> Iterator[tuple[Judged, Answer, Tensor]]:
        """Each answer with its whole prompt: where a model keeps more than keys and values,
        that cannot be repeated."""
        options: dict[str, Any] = {}
        for part in _parts(_pairs(asked), most):
            rows = [[*asked[place].prompt, *answer[:-1]] for place, answer in part]
            ids, mask = padded(rows, self._pad, left=True)
            mask = mask.to(self._network.device)
            if takes(self._network, "position_ids"):
                options["position_ids"] = positions_of(mask, ids.shape[1])
            if takes(self._network, "logits_to_keep"):
                options["logits_to_keep"] = max(len(answer) for _, answer in part)
            logits = self._network(
                input_ids=ids.to(self._network.device),
                attention_mask=mask,
                use_cache=False,
                **options,
            ).logits
            for row, (place, answer) in zip(logits, part, strict=True):
                yield asked[place], answer, row[-len(answer) :]

    # Models with an encoder

    def _behind_encoder(
        self, asked: Sequence[Judged], most: int
    ) -> Iterator[tuple[Judged, Answer, Tensor]]:
        """Each prompt is encoded once; the model itself puts its start token before the labels."""
        from transformers.modeling_outputs import BaseModelOutput

        network = self._network
        ids, mask = padded([one.prompt for one in asked], self._pad, left=False)
        ids, mask = ids.to(network.device), mask.to(network.device)
        encoded: Tensor | None = None
        if takes(network, "encoder_outputs"):
            encoded = network.get_encoder()(input_ids=ids, attention_mask=mask)[0]
        for part in _parts(_pairs(asked), most):
            places = [place for place, _ in part]
            rows = [[*asked[place].first, *answer] for place, answer in part]
            labels, _ = padded(rows, self._pad, left=False)
            started = network.prepare_decoder_input_ids_from_labels(
                labels=labels.to(network.device)
            )
            source: dict[str, Any] = {"input_ids": ids[places]}
            if encoded is not None:
                source = {"encoder_outputs": BaseModelOutput(last_hidden_state=encoded[places])}
            # what is padded comes after all that is judged, and the decoder looks back only
            logits = network(
                attention_mask=mask[places], decoder_input_ids=started, use_cache=False, **source
            ).logits
            for row, (place, answer) in zip(logits, part, strict=True):
                start = len(asked[place].first)
                yield asked[place], answer, row[start : start + len(answer)]


def _pairs(asked: Sequence[Judged]) -> list[tuple[int, Answer]]:
    """Place of the prompt, and answer."""
    return [(place, answer) for place, one in enumerate(asked) for answer in one.answers]


def _parts(pairs: Sequence[tuple[int, Answer]], most: int) -> Iterator[list[tuple[int, Answer]]]:
    """Answers of like length, no more together than there may be."""
    ordered = sorted(pairs, key=lambda pair: -len(pair[1]))
    for start in range(0, len(ordered), most):
        yield ordered[start : start + most]


def log_likelihoods(
    judge: Judge, asked: Sequence[Judged], rows: int, shared: int = 0
) -> list[Judgement]:
    """The likelihood of each answer of some prompts, with the arguments of :meth:`Judge.logits`."""
    import torch

    found: list[Judgement] = []
    with torch.inference_mode():
        for one, answer, logits in judge.logits(asked, rows, shared):
            likelihood = Likelihood(_total(_exact(logits), answer), len(answer))
            found += [(number, likelihood) for number in one.answers[answer]]
    return found


def contrasted(
    judge: Judge,
    asked: Sequence[Judged],
    rows: int,
    shared: int,
    alpha: float,
    plain_judge: Judge,
    plain_shared: int,
) -> list[Judgement]:
    """As :func:`log_likelihoods`, of ``(1 + alpha) * logits - alpha * plain logits``: those after a
    prompt, and those after its plain one.

    Args:
        judge: reads the prompts.
        asked: those that are read together.
        rows: answers that are judged together, at most.
        shared: tokens that the prompts begin with.
        alpha: how much the plain prompts count.
        plain_judge: reads the plain prompts; remembers what these begin with.
        plain_shared: tokens that the plain prompts begin with.
    """
    import torch

    plain: dict[Answer, Judged] = {}
    for one in asked:
        # many prompts have the same plain one
        other = plain.setdefault(tuple(one.plain), Judged(one.plain, one.first))
        for answer in one.answers:
            other.answers.setdefault(answer, [])
    found: list[Judgement] = []
    with torch.inference_mode():
        without: dict[tuple[Answer, Answer], Tensor] = {}
        for other, answer, logits in plain_judge.logits(list(plain.values()), rows, plain_shared):
            without[tuple(other.prompt), answer] = _exact(logits)
        for one, answer, logits in judge.logits(asked, rows, shared):
            mixed = (1 + alpha) * _exact(logits) - alpha * without[tuple(one.plain), answer]
            likelihood = Likelihood(_total(mixed, answer), len(answer))
            found += [(number, likelihood) for number in one.answers[answer]]
    return found


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


def _exact(logits: Tensor) -> Tensor:
    """Logits of one answer in fp32 at least; a batch of them would be large."""
    import torch

    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _total(logits: Tensor, answer: Answer) -> float:
    """Sum of the logarithms of the probabilities of an answer's tokens."""
    import torch

    wanted = torch.tensor(answer, device=logits.device).unsqueeze(1)
    chosen = logits.gather(1, wanted).squeeze(1)
    return float((chosen - logits.logsumexp(-1)).double().sum())
