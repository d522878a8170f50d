"""Decoder language models that are asked whether a passage answers the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from radio.batching import group_batch
from radio.models.loading import language_model_kind, load_model
from radio.models.packing import pack, run_padded
from radio.models.tokenizers import check_token_ids
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.collating import Collator
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

    @property
    def words(self) -> list[str]:
        """The words whose logits are read: the positive and, if there is one, the negative."""
        return [self.positive] if self.negative is None else [self.positive, self.negative]


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
        instruction="Given a query A and a passage B, determine whether the passage contains an "
        "answer to the query by providing a prediction of either 'Yes' or 'No'.",
    ),
}


class PromptCollator(Collator):
    """One prompt for each pair.

    The question is cut to half of the room that the prompt leaves, the passage to the rest.

    Args:
        tokenizer: of the language model.
        max_length: tokens of a whole prompt.
        prompt: its shape.
        instruction: what the model is asked.

    Raises:
        InputError: the prompt alone takes all of ``max_length``.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        prompt: PromptShape,
        instruction: str,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.parts = [part.replace("{instruction}", instruction) for part in prompt.parts]
        self._control = _control_tokens(tokenizer)
        size = sum(len(column[0]) for column in self._columns([""], [""]))
        if max_length < size + 16:
            raise InputError(
                f"max_length: found {max_length}, but the prompt alone takes {size} tokens"
            )
        self.room = max_length - size
        """Tokens that the prompt leaves for question and passage."""

    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        questions: list[str] = []
        passages: list[str] = []
        for group, question in zip(groups, self._cut_questions(groups), strict=True):
            for passage in group.passages:
                questions.append(question)
                passages.append(passage.contents)
        if not passages:
            return group_batch(groups, {})
        columns = self._columns(questions, passages)
        prompts = [self._joined(pieces) for pieces in zip(*columns, strict=True)]
        return group_batch(groups, {"pairs": pack({"input_ids": prompts})})

    def _cut_questions(self, groups: Sequence[Group]) -> list[str]:
        """The questions of the groups, those that are too long without their end."""
        questions = [group.question.query for group in groups]
        if not questions:
            return []
        longest = self.room // 2
        for number, ids in enumerate(self._tokens(questions)):
            if len(ids) > longest:
                questions[number] = str(self.tokenizer.decode(ids[:longest]))
        return questions

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts from anywhere: ``<|im_end|>`` in them is a few characters.

        Otherwise a passage could end its own part of the prompt and answer the question itself. The
        tokenizer's ``split_special_tokens`` is not enough: tokens such as ``<think>`` are added
        ones, but not special.
        """
        pieces_of = [self._control.split(text) for text in texts]
        flat = list(chain.from_iterable(pieces_of))
        ids = iter(
            self.tokenizer(flat, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        )
        joined = []
        for pieces in pieces_of:
            tokens: list[int] = []
            for _ in pieces:
                tokens += next(ids)
            joined.append(tokens)
        return joined

    def _columns(self, questions: Sequence[str], passages: Sequence[str]) -> list[list[list[int]]]:
        """For each part of the prompt, its token ids in each of the N prompts."""
        columns = []
        for part in self.parts:
            if "{question}" in part or "{passage}" in part:
                pairs = zip(questions, passages, strict=True)
                texts = [_filled_in(part, question, passage) for question, passage in pairs]
                columns.append(self._tokens(texts))
            else:
                ids = self.tokenizer(part, add_special_tokens=False)["input_ids"]
                columns.append([ids] * len(questions))
        return columns

    def _joined(self, pieces: Sequence[list[int]]) -> list[int]:
        """One prompt; the part of the passage loses its end where all would be too long."""
        excess = max(0, sum(map(len, pieces)) - self.max_length)
        prompt: list[int] = []
        for part, ids in zip(self.parts, pieces, strict=True):
            kept = max(0, len(ids) - excess) if "{passage}" in part else len(ids)
            prompt += ids[:kept]
        return prompt


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """The places behind the first character of each control token that stands in a text."""
    rest_of: dict[str, list[str]] = {}
    for token in tokenizer.get_added_vocab():
        # whitespace tokens, as Gemma has, are no more than text
        if len(token) > 1 and not token.isspace():
            rest_of.setdefault(token[0], []).append(re.escape(token[1:]))
    places = [f"(?<={re.escape(first)})(?={'|'.join(rest)})" for first, rest in rest_of.items()]
    # without control tokens a pattern that stands nowhere
    return re.compile("|".join(places) or r"(?!)")


class YesNoLM(Reranker):
    """A decoder language model; score = logit of "yes" minus that of "no", or "Yes" alone.

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
        _ = self._answers, self.plain_collator()
        network: nn.Module
        network, _ = load_model(kind, self.model, dtype=torch.float32)
        check_token_ids(self.model, self.tokenizer, network)
        self._cap_length(network)
        # again, for what the model's positions leave
        self.plain_collator()
        return network

    @cached_property
    def _answers(self) -> list[int]:
        """Token ids of the positive and, if there is one, the negative word."""
        words = self.prompt.words
        ids = self.tokenizer(words, add_special_tokens=False)["input_ids"]
        for word, tokens in zip(words, ids, strict=True):
            if len(tokens) != 1:
                raise InputError(
                    f"prompt: {word!r} is {len(tokens)} tokens for the tokenizer of "
                    f"{self.model!r}, expected one"
                )
        return [tokens[0] for tokens in ids]

    def plain_collator(self) -> PromptCollator:
        return PromptCollator(self.tokenizer, self.max_length, self.prompt, self.instruction)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        return self.plain_collator()(groups)

    def score(self, batch: GroupBatch) -> Tensor:
        network, pairs = self.network, batch.inputs["pairs"]
        body = partial(network.base_model, use_cache=False)
        last = []
        padding = self.tokenizer.pad_token_id or 0
        for output, lengths in run_padded(body, pairs, padding, self.max_length):
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
        return scores[pairs["where"]]

    def usage(self) -> str:
        text = "".join(self.prompt.parts).replace("{instruction}", self.instruction)
        words = map(repr, self.prompt.words)
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
    """A part of the prompt; in one pass: "{passage}" in a question is not filled in again."""
    values = {"question": question, "passage": passage}
    return re.sub(r"\{(question|passage)\}", lambda match: values[match[1]], part)
