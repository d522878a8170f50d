"""Language models on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from radio.cache import Cache
from radio.llm.base import Call, Failure, LanguageModel, Reply, Result
from radio.models.files import model_fingerprint
from radio.models.limits import positions
from radio.models.loading import language_model_kind, load_model
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import Tensor, device

PART = 64
"""Batches of a device that are sorted by length together: little padding, and no more prompts in
memory than a part has."""


class TransformersModel(LanguageModel):
    """Generates with a causal or sequence-to-sequence model, in batches of prompts of similar
    length.

    With several devices each has a copy of the model and takes every n-th batch.

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
        dtype: of the weights, for example ``bfloat16``; ``auto`` takes that of the folder.
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
    ) -> None:
        check(self, locals())
        super().__init__(model, sampling, max_tokens)
        self.dtype = dtype
        self._max_length = max_length
        self._batch_size = batch_size
        self._accelerator = accelerator
        self._devices = devices

    def depends_on(self) -> dict[str, Any]:
        weights = model_fingerprint(self.model)
        return {**super().depends_on(), "model": weights, "dtype": self.dtype}

    def estimate(self, calls: Sequence[Call]) -> str:
        tokens = len(calls) * self._max_tokens
        return f"written by {self.model} on this machine, at most {tokens:,} tokens"

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        copies = [LoadedModel(self.model, self.dtype, place) for place in self._places()]
        size = PART * self._batch_size * len(copies)
        with ThreadPoolExecutor(len(copies)) as pool:
            for start in range(0, len(calls), size):
                yield from self._complete_part(calls[start : start + size], copies, pool)

    def _complete_part(
        self, calls: Sequence[Call], copies: list[LoadedModel], pool: ThreadPoolExecutor
    ) -> Iterator[Result]:
        limit = self._prompt_limit(copies[0])
        prompts: list[tuple[Call, list[int]]] = []
        for call in calls:
            tokens = copies[0].prompt(call.system, call.user)
            if len(tokens) <= limit:
                prompts.append((call, tokens))
            else:
                message = f"the prompt has {len(tokens)} tokens, more than max_length {limit}"
                yield call, Failure(call.question_id, message)
        prompts.sort(key=lambda prompt: -len(prompt[1]))
        size = self._batch_size
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        for start in range(0, len(batches), len(copies)):
            # the devices work at the same time, a batch on each
            together = batches[start : start + len(copies)]
            jobs = []
            for copy, batch in zip(copies, together, strict=False):
                inputs = [tokens for _, tokens in batch]
                jobs.append(pool.submit(copy.generate, inputs, self._max_tokens, self.sampling))
            for batch, job in zip(together, jobs, strict=True):
                for (call, _), reply in zip(batch, job.result(), strict=True):
                    yield call, reply

    def _prompt_limit(self, copy: LoadedModel) -> int:
        """Tokens that a prompt may have: a decoder's positions hold its answer too."""
        if copy.positions is None:
            return self._max_length
        answer = self._max_tokens if copy.is_decoder else 0
        limit = min(self._max_length, copy.positions - answer)
        if limit < 1:
            raise InputError(
                f"{type(self).__name__}: max_tokens: found {self._max_tokens}, expected less than "
                f"the {copy.positions} positions of {self.model!r}"
            )
        return limit

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


class LoadedModel:
    """A model on a device, with its tokenizer."""

    def __init__(self, name: str, dtype: str, place: str | device) -> None:
        self._tokenizer: Any = load_tokenizer(name)
        kind = language_model_kind(name)
        self.is_decoder = kind == "AutoModelForCausalLM"
        network: Any = load_model(kind, name, dtype=dtype)[0]
        check_token_ids(name, self._tokenizer, network)
        self.positions = positions(network)
        self._network = network.to(place).eval()
        self._device = place
        self._pad = self._tokenizer.pad_token_id

    def prompt(self, system: str, user: str) -> list[int]:
        """Tokens of a prompt, in the chat format of the model if it has one."""
        merged = f"{system}\n\n{user}".strip()
        if not self._tokenizer.chat_template:
            plain: list[int] = self._tokenizer(merged)["input_ids"]
            return plain
        messages = [{"role": "user", "content": user}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        try:
            shown = self._in_chat_format(messages)
        except Exception:
            # whatever a template raises that knows no system part
            shown = self._in_chat_format([{"role": "user", "content": merged}])
        tokens: list[int] = self._tokenizer(shown, add_special_tokens=False)["input_ids"]
        return tokens

    def _in_chat_format(self, messages: list[dict[str, str]]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )

    def generate(
        self, prompts: list[list[int]], max_tokens: int, sampling: dict[str, Any]
    ) -> list[Reply]:
        """A reply for each prompt, ``truncated`` if it did not end by itself."""
        import torch

        ids, mask = self._padded(prompts)
        with torch.inference_mode():
            made = self._network.generate(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=max_tokens,
                pad_token_id=self._pad,
                **{"do_sample": False, **sampling},
            )
        # a decoder repeats its prompt; the other kind begins with one token of its own
        answers = made[:, ids.shape[1] :] if self.is_decoder else made[:, 1:]
        stops = self._network.generation_config.eos_token_id
        ends = set(stops if isinstance(stops, list) else [stops]) - {None}
        replies = []
        for prompt, answer in zip(prompts, answers.tolist(), strict=True):
            end = next((i for i, token in enumerate(answer) if token in ends), None)
            tokens = answer if end is None else answer[:end]
            text = self._tokenizer.decode(tokens, skip_special_tokens=True).strip()
            outcome = "truncated" if end is None else "written"
            usage = {"input": len(prompt), "output": len(tokens)}
            replies.append(Reply(text, outcome, usage))
        return replies

    def _padded(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask ``[B, L]``; a decoder is padded on the left, since it goes
        on from the right end."""
        import torch

        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self._pad, dtype=torch.long)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            start = width - len(prompt) if self.is_decoder else 0
            ids[row, start : start + len(prompt)] = torch.tensor(prompt)
            mask[row, start : start + len(prompt)] = 1
        return ids, mask
