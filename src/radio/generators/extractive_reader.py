"""A neural reader that copies a span from the passages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.generators.base import Generator, Prompt, what_is_read
from radio.metrics.answers import normalise_answer
from radio.models.files import model_fingerprint
from radio.models.limits import capped, place, positions
from radio.models.loading import load_model
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.ranges import check
from radio.schema import InputError, Passage

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BatchEncoding

Spans = list[tuple[str, float]]
"""The best spans of a passage and their logits, best first."""

Pair = tuple[str, Passage]
"""A question's text and a passage."""

Places = dict[tuple[int, int], float]
"""First and last character of spans of a text, and their logits."""


class ExtractiveReader(Generator):
    """Any ``AutoModelForQuestionAnswering``: the best span over the passages, those first in the
    order trusted most.

    A long passage is read in overlapping windows. Span logits of different passages cannot be
    compared (each passage was a training example of its own), so they are normalised over the
    ``spans`` best spans of each passage: a span of the passage at 0-based rank r counts
    ``rank_discount ** r`` times its probability there, and equal answers (after normalisation, as
    EM does) add up over the passages.

    Args:
        model: transformers name or folder.
        max_length: tokens of question and window; at most the model's positions.
        stride: tokens that two windows of a passage share, less than half of ``max_length``.
        max_answer_tokens: longest span.
        spans: best spans of a passage that are kept.
        rank_discount: in [0, 1]; 0 reads the first passage alone, 1 trusts all alike.
        batch_size: windows computed together.
        device: for example ``cuda``; None takes the best there is.

    Raises:
        InputError: ``stride`` is half of ``max_length`` or more, or the model cannot be loaded.
    """

    identity = "ExtractiveReader"
    copies_spans = True

    def __init__(
        self,
        model: str,
        max_length: int = 384,
        stride: int = 96,
        max_answer_tokens: int = 20,
        spans: int = 10,
        rank_discount: float = 0.5,
        batch_size: int = 32,
        device: str | None = None,
    ) -> None:
        check(self, locals())
        if 2 * stride >= max_length:
            raise InputError(
                f"ExtractiveReader: stride: found {stride}, expected less than half of {max_length}"
            )
        self.model = model
        self.max_length = max_length
        self.stride = stride
        self.max_answer_tokens = max_answer_tokens
        self.spans = spans
        self.rank_discount = rank_discount
        self._batch_size = batch_size
        self._device = device
        self._identity: str | None = None
        self._loaded: tuple[Any, Any, int] | None = None
        # rankings that are compared share most of their passages
        self._read: dict[tuple[str, str], Spans] = {}

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), "model": model_fingerprint(self.model)}

    def fingerprint(self) -> str:
        # once: the key of each prompt asks for it
        self._identity = self._identity or super().fingerprint()
        return self._identity

    def asked(self, prompt: Prompt) -> list[Any]:
        return what_is_read(prompt)

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        unread = self._unread(prompts)
        self._read.update(zip(map(_texts, unread), self._spans_of(unread), strict=True))
        return [self._best(prompt) for prompt in prompts]

    def prefetch(self, prompts: Sequence[Prompt], cache: Cache) -> None:
        """Read each passage once for a question, whatever the rankings are that it stands in."""
        unread = self._unread(prompts)
        # all settings but the discount, which only weighs what was read
        settings = self.depends_on()
        settings.pop("rank_discount")
        identity = [self._code(), settings]
        keys = [fingerprint(["spans/2", *identity, *_texts(pair)]) for pair in unread]
        pairs = dict(zip(keys, unread, strict=True))
        stored = cache.get_json(keys, _as_spans)
        for key, spans in stored.items():
            self._read[_texts(pairs[key])] = spans
        missing = [key for key in keys if key not in stored]
        if not missing:
            return
        from tqdm import tqdm

        size = self._batch_size * 8
        with tqdm(total=len(missing), desc="read passages", unit="passage", leave=False) as bar:
            for start in range(0, len(missing), size):
                part = missing[start : start + size]
                found = self._spans_of([pairs[key] for key in part])
                cache.put_json("spans", dict(zip(part, found, strict=True)))
                for key, spans in zip(part, found, strict=True):
                    self._read[_texts(pairs[key])] = spans
                bar.update(len(part))

    def confidence(self, prompts: Sequence[Prompt], cache: Cache) -> list[list[float]]:
        """How sure it is to have found an answer: the logit of the best span in each passage of
        each prompt.

        A passage without a span has ``-inf``. The passages shown are those of :meth:`answer`.
        """
        self.prefetch(prompts, cache)
        return [[self._highest(pair) for pair in self._pairs(prompt)] for prompt in prompts]

    def release(self) -> None:
        self._loaded = None
        self._read = {}

    def _highest(self, pair: Pair) -> float:
        spans = self._read[_texts(pair)]
        return spans[0][1] if spans else float("-inf")

    def _unread(self, prompts: Sequence[Prompt]) -> list[Pair]:
        """Questions and passages that were not read yet, each once."""
        unread: dict[tuple[str, str], Pair] = {}
        for prompt in prompts:
            for pair in self._pairs(prompt):
                if _texts(pair) not in self._read:
                    unread[_texts(pair)] = pair
        return list(unread.values())

    def _pairs(self, prompt: Prompt) -> list[Pair]:
        """The question with each passage that is read for it."""
        shown = prompt.passages[:1] if self.rank_discount == 0 else prompt.passages
        return [(prompt.question.question, passage) for passage in shown]

    def _best(self, prompt: Prompt) -> str:
        totals: dict[str, float] = {}
        texts: dict[str, str] = {}
        for rank, pair in enumerate(self._pairs(prompt)):
            spans = self._read[_texts(pair)]
            trust = self.rank_discount**rank
            probabilities = _softmax([logit for _, logit in spans])
            for (text, _), probability in zip(spans, probabilities, strict=True):
                answer = normalise_answer(text)
                if answer:
                    totals[answer] = totals.get(answer, 0.0) + trust * probability
                    texts.setdefault(answer, text)
        # on a tie the one met first: the order of the passages decides
        return texts[max(totals, key=lambda answer: totals[answer])] if totals else ""

    def _load(self) -> tuple[Any, Any, int]:
        """Tokenizer, network and the length of a window."""
        if self._loaded is None:
            import torch

            tokenizer = load_tokenizer(self.model)
            network, _ = load_model(
                "AutoModelForQuestionAnswering", self.model, dtype=torch.float32
            )
            check_token_ids(self.model, tokenizer, network)
            length = capped(self.max_length, positions(network), self.model)
            self._loaded = tokenizer, network.to(place(self._device)).eval(), length
        return self._loaded

    def _spans_of(self, pairs: Sequence[Pair]) -> list[Spans]:
        if not pairs:
            return []
        # title and text are one line, as readers are trained; offsets point into this text
        texts = [passage.contents.replace("\n", " ") for _, passage in pairs]
        windows = self._windows([question for question, _ in pairs], texts)
        found = self._places_in(windows, len(pairs))
        spans_of_all = []
        for text, places in zip(texts, found, strict=True):
            best = sorted(places.items(), key=lambda item: -item[1])[: self.spans]
            spans = [(text[start:end].strip(), logit) for (start, end), logit in best]
            spans_of_all.append(spans)
        return spans_of_all

    def _windows(self, questions: Sequence[str], texts: Sequence[str]) -> Any:
        """The tokenizer's encoding of all windows; ``overflow_to_sample_mapping`` says of which
        pair each is."""
        tokenizer, _, length = self._load()
        return tokenizer(
            [self._cut(question) for question in questions],
            texts,
            truncation="only_second",
            max_length=length,
            # a window that was capped keeps room for what is new in it
            stride=self.stride if length == self.max_length else min(self.stride, length // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )

    def _places_in(self, windows: BatchEncoding, count: int) -> list[Places]:
        """The best places in each of ``count`` texts."""
        import torch

        owners = windows["overflow_to_sample_mapping"]
        found: list[Places] = [{} for _ in range(count)]
        # of similar length together: little padding
        order = sorted(range(len(owners)), key=lambda window: len(windows["input_ids"][window]))
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            starts, ends = self._logits(windows, batch)
            for row, window in enumerate(batch):
                inside = torch.tensor([part == 1 for part in windows.sequence_ids(window)])
                width = len(inside)
                offsets = windows["offset_mapping"][window]
                places = found[owners[window]]
                spans = self._best_spans(starts[row, :width], ends[row, :width], inside)
                for left, right, logit in spans:
                    span = (offsets[left][0], offsets[right][1])
                    # windows overlap: the same place may be found twice
                    places[span] = max(logit, places.get(span, logit))
        return found

    def _logits(self, windows: BatchEncoding, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Logits of starts and ends ``[B, L]`` of some windows, on the CPU."""
        import torch

        tokenizer, network, _ = self._load()
        names = [name for name in tokenizer.model_input_names if name in windows]
        unpadded = {name: [windows[name][window] for window in batch] for name in names}
        padded = tokenizer.pad(unpadded, return_tensors="pt")
        inputs = {name: tensor.to(network.device) for name, tensor in padded.items()}
        with torch.inference_mode():
            output = network(**inputs)
        return output.start_logits.float().cpu(), output.end_logits.float().cpu()

    def _cut(self, question: str) -> str:
        """The question, at most as long as leaves half of a window to the passage."""
        tokenizer, _, length = self._load()
        limit = length // 2 - 4
        tokens = tokenizer(question, add_special_tokens=False)["input_ids"]
        return question if len(tokens) <= limit else str(tokenizer.decode(tokens[:limit]))

    def _best_spans(
        self, starts: Tensor, ends: Tensor, inside: Tensor
    ) -> list[tuple[int, int, float]]:
        """First and last token and score of the best spans in a window; logits ``[L]``."""
        pairs = starts[:, None] + ends[None, :]
        # from the question or padding, backwards, or too long
        allowed = (inside[:, None] & inside[None, :]).triu().tril(self.max_answer_tokens - 1)
        scores = pairs.masked_fill(~allowed, float("-inf"))
        best = scores.flatten().topk(min(self.spans, scores.numel()))
        width = len(inside)
        spans = []
        for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if value != float("-inf"):
                spans.append((index // width, index % width, value))
        return spans


def _as_spans(value: Any) -> Spans:
    """The spans of an entry of the cache."""
    return [(str(text), float(logit)) for text, logit in value]


def _texts(pair: Pair) -> tuple[str, str]:
    question, passage = pair
    return question, passage.contents


def _softmax(logits: list[float]) -> list[float]:
    highest = max(logits, default=0.0)
    weights = [math.exp(logit - highest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
