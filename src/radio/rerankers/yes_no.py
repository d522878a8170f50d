"""Decoder language models that are asked whether a passage answers the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.models.loading import language_model_kind, load_model
from radio.models.tokenizers import check_token_ids
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.packing import pack, run_padded
from radio.schema import Group, GroupBatch, InputError


@dataclass(frozen=True)
class PromptShape:
    """How a question and a passage become the tokens after which the model says yes or no.

    Args:
        parts: texts that are tokenised one by one and joined. ``{question}`` and ``{passage}``
            stand for retrieved text, where nothing becomes a control token; in the parts without
            them ``<|im_end|>`` and the like do. The passage ends its part, because that is where it
            is cut; ``{instruction}`` may stand anywhere.
        positive: the word whose logit is the score (in YAML in quotes: a plain ``yes`` is a truth
            value).
        negative: the word whose logit is taken off; None takes none off.
        instruction: what the model is asked.

    Raises:
        InputError: the parts do not hold the question and the passage once, or something follows
            the passage.
    """

    parts: tuple[str, ...]
    positive: str = "yes"
    negative: str | None = "no"
    instruction: str = ""

    def __post_init__(self) -> None:
        text = "".join(self.parts)
        if text.count("{question}") != 1 or text.count("{passage}") != 1:
            raise InputError("prompt.parts: {question} and {passage} must each occur once")
        if not any(part.endswith("{passage}") for part in self.parts):
            raise InputError("prompt.parts: what follows {passage} must be a part of its own")
        if text.index("{question}") > text.index("{passage}"):
            raise InputError("prompt.parts: {question} must come before {passage}")


SHAPES = {
    # model card of Qwen3-Reranker; Zhang et al., arXiv 2506.05176, section 2
    "qwen3": PromptShape(
        parts=(
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the "
            "Query and the Instruct "
            'provided. Note that the answer can only be "yes" or '
            '"no".<|im_end|>\n<|im_start|>user\n',
            "<Instruct>: {instruction}\n<Query>: {question}\n<Document>: {passage}",
            "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        instruction="Given a web search query, retrieve relevant passages that answer the query",
    ),
    # model card of bge-reranker-v2-gemma
    "gemma": PromptShape(
        parts=("<bos>", "A: {question}", "\n", "B: {passage}", "\n", "{instruction}"),
        positive="Yes",
        negative=None,
        instruction="Given a query A and a passage B, determine whether the passage contains an answer to the query by "
        "providing a prediction of either 'Yes' or 'No'.",
    ),
}


class YesNoLM(Reranker):
    """A decoder language model; score = logit of "yes" minus logit of "no" after the prompt, or
    that of "Yes" alone.

    The two logits are products of the last hidden state and rows of the output layer (layers that
    cap or scale the logits afterwards are not known to it). Prompts are padded on the right, where
    a causal model does not look; with relative positions the published padding on the left gives
    the same scores.

    Args:
        prompt: ``qwen3`` (Qwen3-Reranker), ``gemma`` (bge-reranker-v2-gemma), or your own
            :class:`PromptShape`.
        instruction: replaces that of the prompt, which is about web search.
        kwargs: arguments of Reranker. ``max_length`` counts the whole prompt: the question is cut
            to half of the room that the prompt leaves, and the passage to the rest.
    """

    def __init__(
        self,
        model: str = "Qwen/Qwen3-Reranker-0.6B",
        prompt: Literal["qwen3", "gemma"] | PromptShape = "qwen3",
        instruction: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.prompt = SHAPES[prompt] if isinstance(prompt, str) else prompt
        self.instruction = self.prompt.instruction if instruction is None else instruction

    def build(self) -> nn.Module:
        kind = language_model_kind(self.model, decoder_only=True)
        # mistakes in the prompt show before the weights are loaded
        _ = self._answers, self._room
        network: nn.Module
        network, _ = load_model(kind, self.model, dtype=torch.float32)
        check_token_ids(self.model, self.tokenizer, network)
        self._cap_length(network)
        # again, for what the model's positions leave
        _ = self._room
        return network

    @cached_property
    def _answers(self) -> list[int]:
        """Token ids of the positive and, if there is one, the negative word."""
        words = [word for word in (self.prompt.positive, self.prompt.negative) if word is not None]
        ids = self.tokenizer(words, add_special_tokens=False)["input_ids"]
        for word, tokens in zip(words, ids, strict=True):
            if len(tokens) != 1:
                raise InputError(
                    f"prompt: {word!r} is {len(tokens)} tokens for the tokenizer of "
                    f"{self.model!r}, expected one"
                )
        return [tokens[0] for tokens in ids]

    @cached_property
    def _prompt_size(self) -> int:
        return sum(len(column[0]) for column in self._columns([""], [""]))

    @property
    def _room(self) -> int:
        """Tokens that the prompt leaves for question and passage."""
        size = self._prompt_size
        if self.max_length < size + 16:
            raise InputError(
                f"max_length: found {self.max_length}, but the prompt alone takes {size} tokens"
            )
        return self.max_length - size

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """The places behind the first character of each control token that stands in a text."""
        rest: dict[str, list[str]] = {}
        for token in self.tokenizer.get_added_vocab():
            # whitespace tokens, as Gemma has, are no more than text
            if len(token) > 1 and not token.isspace():
                rest.setdefault(token[0], []).append(re.escape(token[1:]))
        return re.compile(
            "|".join(f"(?<={re.escape(k)})(?={'|'.join(v)})" for k, v in rest.items()) or r"(?!)"
        )

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts that may come from anywhere: ``<|im_end|>`` in them is a few
        characters.

        Otherwise a passage could end its own part of the prompt and answer the question itself. The
        tokenizer's ``split_special_tokens`` is not enough: tokens such as ``<think>`` are added
        ones, but not special.
        """
        pieces = [self._control.split(text) for text in texts]
        flat = [piece for row in pieces for piece in row]
        ids = iter(
            self.tokenizer(flat, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        )
        return [[token for _ in row for token in next(ids)] for row in pieces]

    def _columns(self, questions: Sequence[str], passages: Sequence[str]) -> list[list[list[int]]]:
        """For each part of the prompt, its token ids in each of the N prompts."""
        columns = []
        for part in self.prompt.parts:
            part = part.replace("{instruction}", self.instruction)
            if "{question}" in part or "{passage}" in part:
                texts = [
                    _filled_in(part, question, passage)
                    for question, passage in zip(questions, passages, strict=True)
                ]
                columns.append(self._tokens(texts))
            else:
                columns.append(
                    [self.tokenizer(part, add_special_tokens=False)["input_ids"]] * len(questions)
                )
        return columns

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        passages = [p.contents for g in groups for p in g.passages]
        if not passages:
            return group_batch(groups, {})
        questions = [g.question.query for g in groups]
        for i, ids in enumerate(self._tokens(questions)):
            if len(ids) > self._room // 2:
                questions[i] = self.tokenizer.decode(ids[: self._room // 2])
        repeated = [q for q, g in zip(questions, groups, strict=True) for _ in g.passages]
        prompts = [
            self._joined(parts) for parts in zip(*self._columns(repeated, passages), strict=True)
        ]
        row, where = pack({"input_ids": prompts})
        return group_batch(groups, {"pairs": row, "order": {"where": where}})

    def _joined(self, parts: Sequence[list[int]]) -> list[int]:
        """One prompt; the part of the passage loses its end where all would be too long."""
        excess = max(0, sum(map(len, parts)) - self.max_length)
        cut = ["{passage}" in part for part in self.prompt.parts]
        return [
            t
            for ids, c in zip(parts, cut, strict=True)
            for t in (ids[: max(0, len(ids) - excess)] if c else ids)
        ]

    def score(self, batch: GroupBatch) -> Tensor:
        network = self.network
        body = partial(network.base_model, use_cache=False)
        last = []
        for output, lengths in run_padded(
            body, batch.inputs["pairs"], self.tokenizer.pad_token_id or 0
        ):
            hidden = output.last_hidden_state
            ends = torch.tensor(lengths, device=hidden.device) - 1
            last.append(hidden[torch.arange(len(lengths), device=hidden.device), ends])
        head = network.get_output_embeddings()
        hidden, weight = torch.cat(last).float(), head.weight[self._answers].float()
        bias = None if head.bias is None else head.bias[self._answers].float()
        # 16 bits would round logits of 20 to steps of 0.1, and make ties
        with torch.autocast(hidden.device.type, enabled=False):
            logits = nn.functional.linear(hidden, weight, bias)
        scores = logits[:, 0] - logits[:, 1] if logits.shape[1] > 1 else logits[:, 0]
        return scores[batch.inputs["order"]["where"]]

    def usage(self) -> str:
        text = "".join(self.prompt.parts).replace("{instruction}", self.instruction)
        words = [
            repr(word) for word in (self.prompt.positive, self.prompt.negative) if word is not None
        ]
        return (
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f"model = AutoModelForCausalLM.from_pretrained({FOLDER!r})\n"
            f"tokenizer = AutoTokenizer.from_pretrained({FOLDER!r})\n"
            f"prompt = {text!r}\n"
            f"# score: the logit after the prompt of {' minus that of '.join(words)}"
        )

    def save(self, folder: Path) -> None:
        # the published recipes read the logits at the last position; transformers saves what it was
        # given at first
        self.tokenizer.padding_side = self.tokenizer.init_kwargs["padding_side"] = "left"
        super().save(folder)


def _filled_in(part: str, question: str, passage: str) -> str:
    """A part of the prompt; in one pass, so that a question which holds "{passage}" is not filled
    in again."""
    values = {"question": question, "passage": passage}
    return re.sub(r"\{(question|passage)\}", lambda match: values[match[1]], part)
