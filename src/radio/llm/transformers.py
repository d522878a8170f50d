"""Language models on this machine."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from radio.cache import Cache
from radio.engines import Batch, Row, current
from radio.fingerprints import fingerprint
from radio.llm.base import Call, Failure, LanguageModel, Likelihood, Reply, Result
from radio.llm.copies import Answering, Copies, Judging
from radio.llm.likelihood import Answer, Judged, Judgement
from radio.llm.local import Prompts
from radio.llm.memory import shared_tokens
from radio.models.files import model_fingerprint
from radio.ranges import check
from radio.schema import InputError

PART = 64
"""Batches of a device that are sorted by length together: little padding, and no more prompts in
memory than a part has."""

Item = TypeVar("Item")


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
        self._stop = stop or []
        self._gguf_file = gguf_file
        self._adapter = adapter
        files = {"gguf_file": gguf_file, "adapter": adapter}
        self._copies = Copies(type(self).__name__, model, dtype, accelerator, devices, files)

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
        asked = {call.key: call for call in calls}
        failed: list[Result] = []
        work = Answering(self, self._copies, self._max_tokens, self._stop)
        for replies in current().map(work, self._prompted(calls, failed)):
            yield from failed
            failed.clear()
            for key, reply in replies.items():
                usage = {"input": reply["input"], "output": reply["output"]}
                made = Reply(reply["text"], reply["outcome"], usage, seconds=reply["seconds"])
                yield asked[key], made
        yield from failed

    def _prompted(self, calls: Sequence[Call], failed: list[Result]) -> Iterator[Batch]:
        """The tokens of prompts, a batch after the other, by the keys of their calls.

        Args:
            calls: whose.
            failed: gets those whose prompt is too long.
        """
        limit, size = self.window(), self._part_size()
        for start in range(0, len(calls), size):
            prompts: list[tuple[str, list[int]]] = []
            for call in calls[start : start + size]:
                tokens = self._prompts.prompt(call.system, call.user)
                if len(tokens) <= limit:
                    prompts.append((call.key, tokens))
                else:
                    message = f"the prompt has {len(tokens)} tokens, more than max_length {limit}"
                    failed.append((call, Failure(call.question_id, message)))
            prompts.sort(key=lambda prompt: -len(prompt[1]))
            shared = shared_tokens([tokens for _, tokens in prompts])
            for batch in self._in_batches(prompts):
                yield {key: {"prompt": tokens, "shared": shared} for key, tokens in batch}

    def _part_size(self) -> int:
        """How many prompts are sorted by their length together."""
        # on other machines each has a copy of its own, as one process here
        copies = 1 if current().elsewhere else len(self._copies.loaded())
        return PART * self._batch_size * copies

    def _in_batches(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        for start in range(0, len(items), self._batch_size):
            yield items[start : start + self._batch_size]

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
        asked: dict[str, deque[Judged]] = defaultdict(deque)
        certain: list[Judgement] = []
        batches = self._questioned(calls, continuations, list(plain_calls or []), asked, certain)
        work = Judging(self, self._copies, self._batch_size, alpha if plain_calls else None)
        for found in current().map(work, batches):
            yield from certain
            certain.clear()
            for key, row in found.items():
                judged = asked[key].popleft().answers.items()
                for (answer, numbers), total in zip(judged, row["totals"], strict=True):
                    likelihood = Likelihood(total, len(answer))
                    for number in numbers:
                        yield number, likelihood
        yield from certain

    def _questioned(
        self,
        calls: Sequence[Call],
        continuations: Sequence[str],
        plain: Sequence[Call],
        asked: dict[str, deque[Judged]],
        certain: list[Judgement],
    ) -> Iterator[Batch]:
        """The tokens of prompts with those of the answers after them, a batch after the other.

        Args:
            calls: the prompts.
            continuations: an answer for each.
            plain: for each the plain prompt, or none at all.
            asked: gets who asks, by the key of each row.
            certain: gets the answers without a token.
        """
        size = self._part_size()
        for start in range(0, len(calls), size):
            part: dict[tuple[Answer, Answer], Judged] = {}
            for number in range(start, min(start + size, len(calls))):
                one, answer = self._tokens(calls[number], continuations[number])
                if plain:
                    other, _ = self._tokens(plain[number], continuations[number])
                    one = replace(one, plain=other.prompt)
                if answer:
                    one = part.setdefault((tuple(one.prompt), tuple(one.plain)), one)
                    one.answers.setdefault(answer, []).append(number)
                else:
                    certain.append((number, Likelihood(0.0, 0)))
            yield from self._in_rows(list(part.values()), asked)

    def _in_rows(self, part: list[Judged], asked: dict[str, deque[Judged]]) -> Iterator[Batch]:
        # of like length together, and with them those that have the same plain prompt
        longest: dict[Answer, int] = {}
        for one in part:
            plain = tuple(one.plain)
            longest[plain] = max(one.length, longest.get(plain, 0))
        part.sort(key=lambda one: (-longest[tuple(one.plain)], one.plain, -one.length))
        shared = shared_tokens([one.prompt for one in part])
        plain_shared = shared_tokens([one.plain for one in part])
        for some in self._in_batches(part):
            batch: dict[str, Row] = {}
            for one in some:
                said = {"prompt": one.prompt, "first": one.first, "plain": one.plain}
                row = {**said, "answers": list(map(list, one.answers))}
                key = fingerprint(row)
                asked[key].append(one)
                batch[key] = {**row, "shared": shared, "plain_shared": plain_shared}
            yield batch

    def _tokens(self, call: Call, text: str) -> tuple[Judged, Answer]:
        """A prompt without answers yet, and the answer to judge, which fit together."""
        answer, first = self._prompts.answer(text)
        one = Judged(self._prompts.prompt(call.system, call.user), first)
        self._check_fits(call, one, len(answer))
        return one, tuple(answer)

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

    def release(self) -> None:
        self._copies.release()

    def __getstate__(self) -> dict[str, Any]:
        # another process reads the tokenizer for itself
        return {name: value for name, value in vars(self).items() if name != "_prompts"}
