"""A language model of this machine: how it reads a prompt, and its weights on a device."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from radio.llm.base import Reply
from radio.llm.generation import Greedy, generate
from radio.llm.head import ExactHead
from radio.llm.likelihood import Judge, Judged, Judgement, contrasted, log_likelihoods
from radio.llm.memory import can_share
from radio.models.limits import computes_in_bf16
from radio.models.loading import add_adapter, language_model_kind, load_config, load_model
from radio.models.onednn import lay_out
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import device

TOKENS_OF_A_FOLDER = ("bos", "eos", "pad", "decoder_start", "forced_bos", "forced_eos")
"""What counts of a folder's generation_config.json, beside suppressed tokens: a sampling that its
authors recommend is no part of a greedy answer."""


class Prompts:
    """The tokens of texts as a model reads them; loads no weights.

    Args:
        name: transformers name or folder.
        gguf_file: the model's file, where it is in that format.
    """

    def __init__(self, name: str, gguf_file: str | None = None) -> None:
        self.name = name
        self.kind = language_model_kind(name, gguf_file=gguf_file)
        self.is_decoder = self.kind == "AutoModelForCausalLM"
        self.tokenizer: Any = load_tokenizer(name, gguf_file=gguf_file)
        config = load_config(name, gguf_file).get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        self.positions: int | None = limit if isinstance(limit, int) and limit > 0 else None
        """The longest input in tokens; None where positions are relative."""
        control = {str(token) for token in self.tokenizer.all_special_tokens}
        for token in self.tokenizer.added_tokens_decoder.values():
            if token.special:
                control.add(token.content)
        long = sorted((token for token in control if len(token) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, long)) or r"(?!)")

    def prompt(self, system: str, user: str) -> list[int]:
        """Tokens of a prompt, in the chat format of the model if it has one; never none, since a
        model goes on from something."""
        system, user = self._harmless(system), self._harmless(user)
        merged = f"{system}\n\n{user}".strip()
        if not self.tokenizer.chat_template:
            return self._plain(merged)
        messages = [{"role": "user", "content": user}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        try:
            shown = self._in_chat_format(messages)
        except Exception:
            # whatever a template raises that knows no system part
            shown = self._in_chat_format([{"role": "user", "content": merged}])
        # the template has written the first token already
        return self._ids(shown)

    def answer(self, text: str) -> tuple[list[int], list[int]]:
        """Tokens of an answer, and those that the model has in front of any answer.

        The tokens of the answer are its own, however the prompt ends, so that none is lost where
        the two meet. A base model goes on within a line, so that a blank stands in front of its
        answer; the answer to a chat, and that of a decoder with its own encoder, begins a text.
        """
        text = self._harmless(text)
        if not self.is_decoder:
            row = self.tokenizer(text, return_special_tokens_mask=True)
            marked = zip(row["input_ids"], row["special_tokens_mask"], strict=True)
            first = [token for token, _ in takewhile(lambda pair: pair[1], marked)]
            return self._ids(text), first if self._ids(text) else []
        if not self.tokenizer.chat_template and not self._has_own_blank and text.strip():
            text = f" {text.lstrip()}"
        return self._ids(text), []

    def first_tokens(self, text: str, count: int) -> str:
        """The longest beginning of a text that has no more tokens, unaltered."""
        while len(self._ids(text)) > count > 0:
            text = text[: self._cut(text, count)]
            # cut off, the last word may have other tokens
            if len(self._ids(text)) > count:
                count -= 1
        return text if count > 0 else ""

    def _cut(self, text: str, count: int) -> int:
        """Characters that the first tokens of a text stand for."""
        if self.tokenizer.is_fast:
            row = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            offsets: list[tuple[int, int]] = row["offset_mapping"]
            # several tokens may stand for one character, which is whole or not there
            return min(offsets[count][0], offsets[count - 1][1])
        return bisect_right(range(len(text)), count, key=lambda end: len(self._ids(text[:end]))) - 1

    def _plain(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text)["input_ids"]
        end = self.tokenizer.eos_token_id
        if self.is_decoder and tokens and tokens[-1] == end:
            # put there by the tokenizer: the text would be over
            tokens = tokens[:-1]
        if tokens:
            return tokens
        start = self.tokenizer.bos_token_id
        if start is None:
            start = end
        if start is None:
            raise InputError(
                f"model {self.name!r}: an empty prompt, and its tokenizer has neither bos_token "
                "nor eos_token to begin with"
            )
        return [start]

    def _ids(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    @property
    def _has_own_blank(self) -> bool:
        """Whether the tokenizer itself puts a blank before each text, as SentencePiece does."""
        pieces = self.tokenizer.convert_ids_to_tokens(self._ids("a"))
        return bool(pieces) and pieces[0].startswith("▁")

    def _harmless(self, text: str) -> str:
        """A text whose control tokens, such as the end of a turn, are nothing but characters.

        The sentinels of an encoder-decoder are left: prompts are written with them.
        """
        if not self.is_decoder:
            return text
        return self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _in_chat_format(self, messages: list[dict[str, str]]) -> str:
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )


class LoadedModel(Prompts):
    """A model on a device.

    Args:
        name: transformers name or folder.
        dtype: of the weights; ``auto`` is bfloat16 where the device computes in it, else float32.
        place: the device.
        gguf_file: the model's file, where it is in that format.
        adapter: folder or hub name of LoRA weights.
    """

    def __init__(
        self,
        name: str,
        dtype: str,
        place: str | device,
        gguf_file: str | None = None,
        adapter: str | None = None,
    ) -> None:
        import torch

        super().__init__(name, gguf_file)
        if dtype == "auto":
            dtype = "bfloat16" if computes_in_bf16(torch.device(place).type) else "float32"
        network: Any = load_model(self.kind, name, dtype=dtype, gguf_file=gguf_file)[0]
        check_token_ids(name, self.tokenizer, network)
        if adapter is not None:
            network = add_adapter(name, network, adapter)
        self._network = network.to(place).eval()
        self._head = ExactHead(self._network)
        lay_out(self._network)
        self._device = torch.device(place)
        self._pad = self.tokenizer.pad_token_id
        self._network.generation_config = self._tokens_alone(network.generation_config)
        ends = self._network.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends]) - {None}
        self._greedy = Greedy(self._network, self._device, self._pad)
        self._can_share = can_share(self._network)
        self._judge = Judge(self._network, self.is_decoder, self._pad)
        # of its own: the plain prompts begin with something else
        self._plain_judge = Judge(self._network, self.is_decoder, self._pad)

    def generate(
        self,
        prompts: Sequence[list[int]],
        max_tokens: int,
        sampling: dict[str, Any],
        stop: Sequence[str] = (),
        shared: int = 0,
    ) -> list[Reply]:
        """A reply for each prompt, ``truncated`` if it did not end by itself.

        Args:
            prompts: their tokens.
            max_tokens: limit of a reply.
            sampling: arguments of ``generate``; greedy if empty.
            stop: texts that end a reply, and are no part of it.
            shared: tokens that all prompts, also of later calls, begin with.
        """
        is_over = self._is_over(stop)
        if self.is_decoder and not sampling and self._can_share:
            made = self._greedy.answers(prompts, max_tokens, is_over, shared)
        else:
            made = generate(
                self._network,
                prompts,
                is_decoder=self.is_decoder,
                pad=self._pad,
                is_over=is_over,
                max_new_tokens=max_tokens,
                **{"do_sample": False, **sampling},
            )
        pairs = zip(prompts, made, strict=True)
        return [self._reply(prompt, answer, stop) for prompt, answer in pairs]

    def _is_over(self, stop: Sequence[str]) -> Callable[[list[int]], bool]:
        """Whether a reply of these tokens has ended."""

        def is_over(tokens: list[int]) -> bool:
            if tokens[-1] in self._ends:
                return True
            if not stop:
                return False
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            return any(word in text for word in stop)

        return is_over

    def _reply(self, prompt: list[int], answer: list[int], stop: Sequence[str]) -> Reply:
        end = next((n for n, token in enumerate(answer) if token in self._ends), None)
        tokens = answer if end is None else answer[:end]
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        cuts = [text.index(word) for word in stop if word in text]
        text = text[: min(cuts, default=len(text))].strip()
        outcome = "truncated" if end is None and not cuts else "written"
        return Reply(text, outcome, {"input": len(prompt), "output": len(tokens)})

    def judge(
        self,
        asked: Sequence[Judged],
        rows: int,
        shared: int = 0,
        alpha: float | None = None,
        plain_shared: int = 0,
    ) -> list[Judgement]:
        """How likely each answer is after its prompt, by the numbers of those who ask.

        Args:
            asked: the prompts of a batch.
            rows: answers that are judged together, at most.
            shared: tokens that all prompts, also of later calls, begin with.
            alpha: how much the plain prompts count that these are contrasted with; None if there
                are none.
            plain_shared: tokens that all plain prompts begin with.
        """
        with self._head.computed():
            if alpha is None:
                return log_likelihoods(self._judge, asked, rows, shared)
            plain = (self._plain_judge, plain_shared)
            return contrasted(self._judge, asked, rows, shared, alpha, *plain)

    @staticmethod
    def _tokens_alone(config: Any) -> Any:
        from transformers import GenerationConfig

        names = [f"{name}_token_id" for name in TOKENS_OF_A_FOLDER]
        names += ["suppress_tokens", "begin_suppress_tokens"]
        alone: Any = GenerationConfig()  # type: ignore[no-untyped-call]
        for name in names:
            if getattr(config, name, None) is not None:
                setattr(alone, name, getattr(config, name))
        return alone
