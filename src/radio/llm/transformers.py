"""Rationales from a model on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from radio.cache import Cache
from radio.llm.prompts import PromptTemplate
from radio.models.files import model_fingerprint
from radio.models.limits import positions
from radio.models.loading import language_model_kind, load_model
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.ranges import check
from radio.rationales.base import Failure, RationaleWriter, Request, shown_by_prompts
from radio.schema import InputError, Question, Rationale


class TransformersWriter(RationaleWriter):
    """Generates with a causal or sequence-to-sequence model, in batches of prompts of similar
    length.

    With several devices each has a copy of the model and takes every n-th batch.

    Args:
        model: transformers name or folder.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        sampling: arguments of ``generate``, for example ``{do_sample: true, temperature: 0.2}``;
            greedy if empty.
        passages: candidates to show, if the prompt has ``{passages}``.
        max_tokens: limit of an answer; one that reaches it is ``truncated``.
        max_length: limit of a prompt in tokens; longer ones fail, because a cut would lose the
            question.
        batch_size: prompts generated together.
        accelerator: as Lightning's Trainer takes it.
        devices: as Lightning's Trainer takes it.
        dtype: of the weights, for example ``bfloat16``; ``auto`` takes that of the folder.
    """

    identity = "TransformersWriter"

    def __init__(
        self,
        model: str,
        prompt: str = "published",
        sampling: dict[str, Any] | None = None,
        passages: int = 5,
        max_tokens: int = 300,
        max_length: int = 4096,
        batch_size: int = 8,
        accelerator: str = "auto",
        devices: int | list[int] | str = 1,
        dtype: str = "auto",
    ) -> None:
        check(self, locals())
        self._template = PromptTemplate(prompt)
        self.model = model
        self.prompt = self._template.fingerprint
        self.sampling = sampling or {}
        self.passages_shown = passages if self._template.shows_passages else 0
        self.dtype = dtype
        self._max_tokens = max_tokens
        self._max_length = max_length
        self._batch_size = batch_size
        self._accelerator = accelerator
        self._devices = devices
        self._identity: str | None = None

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), "model": model_fingerprint(self.model)}

    def fingerprint(self) -> str:
        # once: the key of each question asks for it
        self._identity = self._identity or super().fingerprint()
        return self._identity

    def asked(self, question: Question) -> list[Any]:
        return shown_by_prompts(question)

    def outdated(self, rationale: Rationale) -> bool:
        return (
            rationale.outcome == "truncated" and rationale.usage.get("output", 0) < self._max_tokens
        )

    def estimate(self, requests: Sequence[Request]) -> str:
        return f"written by {self.model} on this machine, at most {len(requests) * self._max_tokens:,} tokens"

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        copies = [_Copy(self.model, self.dtype, device) for device in self._places()]
        # sorted by length in parts: little padding, and no more prompts in memory than a part has
        part = 64 * self._batch_size * len(copies)
        with ThreadPoolExecutor(len(copies)) as pool:
            for start in range(0, len(requests), part):
                yield from self._part(requests[start : start + part], copies, pool)

    def _part(
        self, requests: Sequence[Request], copies: list[_Copy], pool: ThreadPoolExecutor
    ) -> Iterator[Rationale | Failure]:
        todo = []
        limit = self._prompt_limit(copies[0])
        for request in requests:
            text = self._template.render(request.question, request.passages)
            prompt = copies[0].prompt(self._template.system, text)
            if len(prompt) <= limit:
                todo.append((request, prompt))
            else:
                message = f"the prompt has {len(prompt)} tokens, more than max_length {limit}"
                yield Failure(request.question.id, message)
        todo.sort(key=lambda item: -len(item[1]))
        batches = [todo[i : i + self._batch_size] for i in range(0, len(todo), self._batch_size)]
        for start in range(0, len(batches), len(copies)):
            together = list(zip(copies, batches[start : start + len(copies)], strict=False))
            jobs = [
                pool.submit(
                    copy.generate, [prompt for _, prompt in batch], self._max_tokens, self.sampling
                )
                for copy, batch in together
            ]
            for (_, batch), job in zip(together, jobs, strict=True):
                for (request, prompt), (text, written, ended) in zip(
                    batch, job.result(), strict=True
                ):
                    usage = {"input": len(prompt), "output": written}
                    outcome = "written" if ended else "truncated"
                    yield Rationale(
                        request.question.id, text, self.model, self.prompt, usage, outcome
                    )

    def _prompt_limit(self, copy: _Copy) -> int:
        """Tokens that a prompt may have: a decoder's positions hold its answer too."""
        if copy.positions is None:
            return self._max_length
        limit = min(self._max_length, copy.positions - (self._max_tokens if copy.decoder else 0))
        if limit < 1:
            raise InputError(
                f"TransformersWriter: max_tokens: found {self._max_tokens}, expected less than the "
                f"{copy.positions} positions of {self.model!r}"
            )
        return limit

    def _places(self) -> list[Any]:
        """Devices by Lightning's own rules."""
        from lightning.fabric import Fabric

        try:
            strategy = Fabric(accelerator=self._accelerator, devices=self._devices).strategy
        except Exception as error:
            # whatever Lightning raises: an unknown accelerator, or one that is absent
            raise InputError(
                f"TransformersWriter: accelerator {self._accelerator!r} with devices "
                f"{self._devices!r}: {str(error).splitlines()[0]}"
            ) from error
        return list(getattr(strategy, "parallel_devices", None) or [strategy.root_device])


class _Copy:
    """A model on a device, with its tokenizer."""

    def __init__(self, name: str, dtype: str, device: Any) -> None:
        self.tokenizer: Any = load_tokenizer(name)
        kind = language_model_kind(name)
        self.decoder = kind == "AutoModelForCausalLM"
        self.model: Any = load_model(kind, name, dtype=dtype)[0]
        check_token_ids(name, self.tokenizer, self.model)
        self.positions = positions(self.model)
        self.model = self.model.to(device).eval()
        self.device = device
        self.pad = self.tokenizer.pad_token_id

    def prompt(self, system: str, text: str) -> list[int]:
        """Tokens of a prompt, in the chat format of the model if it has one."""
        if not self.tokenizer.chat_template:
            ids: list[int] = self.tokenizer(f"{system}\n\n{text}".strip())["input_ids"]
            return ids
        messages = [{"role": "user", "content": text}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        try:
            shown = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except Exception:
            merged = [{"role": "user", "content": f"{system}\n\n{text}"}]
            shown = self.tokenizer.apply_chat_template(
                merged, tokenize=False, add_generation_prompt=True
            )
        tokens: list[int] = self.tokenizer(shown, add_special_tokens=False)["input_ids"]
        return tokens

    def generate(
        self, prompts: list[list[int]], max_tokens: int, sampling: dict[str, Any]
    ) -> list[tuple[str, int, bool]]:
        """Text, tokens and whether it ended by itself, for each prompt."""
        import torch

        width = max(map(len, prompts))
        # a decoder goes on from the right end
        left = self.decoder
        pads = [[self.pad] * (width - len(p)) for p in prompts]
        ids = torch.tensor(
            [pad + p if left else p + pad for pad, p in zip(pads, prompts, strict=True)]
        )
        masks = [([0] * len(pad), [1] * len(p)) for pad, p in zip(pads, prompts, strict=True)]
        mask = torch.tensor([zeros + ones if left else ones + zeros for zeros, ones in masks])
        with torch.inference_mode():
            made = self.model.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=max_tokens,
                pad_token_id=self.pad,
                **{"do_sample": False, **sampling},
            )
        stops = self.model.generation_config.eos_token_id
        ends = set(stops if isinstance(stops, list) else [stops]) - {None}
        results = []
        for row in made[:, width:].tolist() if left else made[:, 1:].tolist():
            end = next((i for i, token in enumerate(row) if token in ends), None)
            tokens = row if end is None else row[:end]
            text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
            results.append((text, len(tokens), end is not None))
        return results
