"""Language models on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from radio.cache import Cache
from radio.llm.base import Call, Failure, LanguageModel, Likelihood, Reply, Result
from radio.llm.likelihood import Answer, Judged, Judgement
from radio.llm.local import LoadedModel, Prompts
from radio.llm.memory import shared_tokens
from radio.models.files import model_fingerprint
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import device

PART = 64
"""Batches of a device that are sorted by length together: little padding, and no more prompts in
memory than a part has."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class TransformersModel(LanguageModel):
    """Generates with a causal or sequence-to-sequence model, in batches of prompts of similar
    length.

    With several devices each has a copy of the model and takes every n-th batch. Of the folder's
    own generation_config.json the ids of tokens count alone: an answer is greedy unless
    ``sampling`` says otherwise.

    Args:
        model: transformers name or folder.
        sampling: arguments of ``generate``, for example ``{do_sample: true, temperature: 0.2}``;
            greedy if empty.
        max_tokens: limit of an answer; one that reaches it is ``truncated``.
        max_length: limit of a prompt in tokens; longer ones fail, because a cut would lose the
            question.
        batch_size: prompts generated together.
        accelerator: as Lightning's Trainer takes it.
        devices: as Lightning's Trainer takes it.
        dtype: of the weights, for example ``bfloat16``; ``auto`` takes that where the device
            computes in it, else ``float32``.
        stop: texts that end an answer, and are no part of it.
        gguf_file: name of the file in the folder or at the hub, where the weights are in that
            format; needs ``pip install 'radio-rag[gguf]'``.
        adapter: folder or hub name of LoRA weights to add; needs ``pip install 'radio-rag[lora]'``.
    """

    def __init__(
        self,
        model: str,
        sampling: dict[str, Any] | None = None,
        max_tokens: int = 300,
        max_length: int = 4096,
        batch_size: int = 8,
        accelerator: str = "auto",
        devices: int | list[int] | str = 1,
        dtype: str = "auto",
        stop: list[str] | None = None,
        gguf_file: str | None = None,
        adapter: str | None = None,
    ) -> None:
        check(self, locals())
        super().__init__(model, sampling, max_tokens)
        if "" in (stop or []):
            raise InputError(
                f"{type(self).__name__}: stop: found an empty text, which ends nothing"
            )
        self.dtype = dtype
        self._max_length = max_length
        self._batch_size = batch_size
        self._accelerator = accelerator
        self._devices = devices
        self._stop = stop or []
        self._gguf_file = gguf_file
        self._adapter = adapter
        self._copies: list[LoadedModel] = []

    def depends_on(self) -> dict[str, Any]:
        weights = model_fingerprint(self.model, self._gguf_file)
        found = {**super().depends_on(), "model": weights, "dtype": self.dtype}
        # only where they are set: answers from before these settings stay valid
        if self._adapter is not None:
            found["adapter"] = model_fingerprint(self._adapter)
        if self._stop:
            found["stop"] = self._stop
        return found

    def estimate(self, calls: Sequence[Call]) -> str:
        tokens = len(calls) * self._max_tokens
        return f"written by {self.model} on this machine, at most {tokens:,} tokens"

    # Generation

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        copies = self._loaded()
        size = PART * self._batch_size * len(copies)
        for start in range(0, len(calls), size):
            yield from self._complete_part(calls[start : start + size])

    def _complete_part(self, calls: Sequence[Call]) -> Iterator[Result]:
        limit = self.window()
        prompts: list[tuple[Call, list[int]]] = []
        for call in calls:
            tokens = self._prompts.prompt(call.system, call.user)
            if len(tokens) <= limit:
                prompts.append((call, tokens))
            else:
                message = f"the prompt has {len(tokens)} tokens, more than max_length {limit}"
                yield call, Failure(call.question_id, message)
        prompts.sort(key=lambda prompt: -len(prompt[1]))
        shared = shared_tokens([tokens for _, tokens in prompts])

        def answer(copy: LoadedModel, batch: Sequence[tuple[Call, list[int]]]) -> list[Result]:
            start = time.perf_counter()
            inputs = [tokens for _, tokens in batch]
            replies = copy.generate(inputs, self._max_tokens, self.sampling, self._stop, shared)
            share = (time.perf_counter() - start) / len(batch)
            results: list[Result] = []
            for (call, _), reply in zip(batch, replies, strict=True):
                timed = Reply(reply.text, reply.outcome, reply.usage, seconds=share)
                results.append((call, timed))
            return results

        for results in self._on_all_devices(prompts, answer):
            yield from results

    def _on_all_devices(
        self, items: Sequence[Item], work: Callable[[LoadedModel, Sequence[Item]], Made]
    ) -> Iterator[Made]:
        """What comes of each batch, in order; the devices work at the same time, a batch on
        each."""
        copies, size = self._loaded(), self._batch_size
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        with ThreadPoolExecutor(len(copies)) as pool:
            for start in range(0, len(batches), len(copies)):
                together = batches[start : start + len(copies)]
                jobs = []
                for copy, batch in zip(copies, together, strict=False):
                    jobs.append(pool.submit(work, copy, batch))
                for job in jobs:
                    yield job.result()

    # Likelihoods

    def log_likelihood(
        self, calls: Sequence[Call], continuations: Sequence[str]
    ) -> list[Likelihood]:
        found = dict(self.judged(calls, continuations))
        return [found[number] for number in range(len(calls))]

    def contrasted_log_likelihood(
        self,
        calls: Sequence[Call],
        plain_calls: Sequence[Call],
        continuations: Sequence[str],
        alpha: float,
    ) -> list[Likelihood]:
        found = dict(self.judged(calls, continuations, plain_calls, alpha))
        return [found[number] for number in range(len(calls))]

    def judged(
        self,
        calls: Sequence[Call],
        continuations: Sequence[str],
        plain_calls: Sequence[Call] | None = None,
        alpha: float = 0.0,
    ) -> Iterator[Judgement]:
        plain = list(plain_calls or [])
        size = PART * self._batch_size * len(self._loaded())
        for start in range(0, len(calls), size):
            asked: dict[tuple[Answer, Answer], Judged] = {}
            for number in range(start, min(start + size, len(calls))):
                one, answer = self._tokens(calls[number], continuations[number])
                if plain:
                    other, _ = self._tokens(plain[number], continuations[number])
                    one = replace(one, plain=other.prompt)
                if answer:
                    one = asked.setdefault((tuple(one.prompt), tuple(one.plain)), one)
                    one.answers.setdefault(answer, []).append(number)
                else:
                    # it has no tokens, and is certain
                    yield number, Likelihood(0.0, 0)
            yield from self._judged_part(list(asked.values()), alpha if plain else None)

    def _tokens(self, call: Call, text: str) -> tuple[Judged, Answer]:
        """A prompt without answers yet, and the answer to judge, which fit together."""
        answer, first = self._prompts.answer(text)
        one = Judged(self._prompts.prompt(call.system, call.user), first)
        self._check_fits(call, one, len(answer))
        return one, tuple(answer)

    def _judged_part(self, asked: list[Judged], alpha: float | None) -> Iterator[Judgement]:
        # of like length together, and with them those that have the same plain prompt
        longest: dict[Answer, int] = {}
        for one in asked:
            plain = tuple(one.plain)
            longest[plain] = max(one.length, longest.get(plain, 0))
        asked.sort(key=lambda one: (-longest[tuple(one.plain)], one.plain, -one.length))
        shared = shared_tokens([one.prompt for one in asked])
        plain_shared = shared_tokens([one.plain for one in asked])

        def judge(copy: LoadedModel, batch: Sequence[Judged]) -> list[Judgement]:
            return copy.judge(batch, self._batch_size, shared, alpha, plain_shared)

        for found in self._on_all_devices(asked, judge):
            yield from found

    def _check_fits(self, call: Call, one: Judged, answer: int) -> None:
        """Refuse what the model cannot read whole: a likelihood of less would be another one.

        Raises:
            InputError: names the question and what it has too many of.
        """
        name = f"{type(self).__name__}: question {call.question_id!r}"
        if len(one.prompt) > self._max_length:
            raise InputError(
                f"{name}: the prompt has {len(one.prompt)} tokens, more than max_length "
                f"{self._max_length}"
            )
        positions = self._prompts.positions
        # an encoder-decoder has as many for each of the two
        prompt = len(one.prompt)
        parts = [prompt + answer] if self._prompts.is_decoder else [prompt, answer]
        if positions is not None and max(parts) > positions:
            raise InputError(
                f"{name}: prompt and answer have {max(parts)} tokens, more than the {positions} "
                f"positions of {self.model!r}"
            )

    # Tokens

    def window(self) -> int:
        """Tokens that a prompt may have: a decoder's positions hold its answer too."""
        positions = self._prompts.positions
        if positions is None:
            return self._max_length
        answer = self._max_tokens if self._prompts.is_decoder else 0
        limit = min(self._max_length, positions - answer)
        if limit < 1:
            raise InputError(
                f"{type(self).__name__}: max_tokens: found {self._max_tokens}, expected less than "
                f"the {positions} positions of {self.model!r}"
            )
        return limit

    def prompt_tokens(self, system: str, user: str) -> int:
        return len(self._prompts.prompt(system, user))

    def first_tokens(self, text: str, count: int) -> str:
        return self._prompts.first_tokens(text, count)

    # What is loaded

    @cached_property
    def _prompts(self) -> Prompts:
        return Prompts(self.model, self._gguf_file)

    def _loaded(self) -> list[LoadedModel]:
        """The model on each device, loaded when it is first needed."""
        if not self._copies:
            files = {"gguf_file": self._gguf_file, "adapter": self._adapter}
            for place in self._places():
                self._copies.append(LoadedModel(self.model, self.dtype, place, **files))
        return self._copies

    def release(self) -> None:
        import torch

        self._copies = []
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _places(self) -> list[device]:
        """Devices by Lightning's own rules."""
        from lightning.fabric import Fabric

        try:
            strategy = Fabric(accelerator=self._accelerator, devices=self._devices).strategy
        except Exception as error:
            # whatever Lightning raises: an unknown accelerator, or one that is absent
            raise InputError(
                f"{type(self).__name__}: accelerator {self._accelerator!r} with devices "
                f"{self._devices!r}: {str(error).splitlines()[0]}"
            ) from error
        return list(getattr(strategy, "parallel_devices", None) or [strategy.root_device])
