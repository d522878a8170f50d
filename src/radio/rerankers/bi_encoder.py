"""Bi-encoder: question and passage embedded apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.encoders import default_prefixes, load_encoder, resolve_model
from radio.rerankers.base import Reranker
from radio.schema import Group, GroupBatch


class BiEncoder(Reranker):
    """Question and passage embedded apart by one sentence-transformers model; score = ``scale`` times cosine.

    Args:
        scale: turns cosines into logits that a softmax at temperature 1 can use.
        query_prefix: put before questions; None takes what the model's folder says, or E5's.
        passage_prefix: put before passages; None as above.
        kwargs: arguments of Reranker.
    """

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        scale: float = 20.0,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.scale = scale
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix

    def build(self) -> nn.Module:
        network: nn.Module = load_encoder(self.model, device="cpu")
        for name, parameter in network.named_parameters():
            # BERT's own pooler takes no part in the embedding; DDP would wait for its gradient
            if ".pooler." in name:
                parameter.requires_grad_(False)
        return network

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """Query and passage prefix in use."""
        import json

        path = Path(resolve_model(self.model)) / "config_sentence_transformers.json"
        prompts = json.loads(path.read_text()).get("prompts", {}) if path.is_file() else {}
        query, passage = default_prefixes(self.model, prompts)
        return (
            query if self.query_prefix is None else self.query_prefix,
            passage if self.passage_prefix is None else self.passage_prefix,
        )

    def _tokens(self, texts: list[str]) -> dict[str, Tensor]:
        tokens = self.tokenizer(texts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        return dict(tokens)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        query, passage = self.prefixes
        # neighbouring questions share candidates: each distinct text is embedded once in a batch
        questions, question_index = _distinct([g.question.question for g in groups for _ in g.passages])
        passages, passage_index = _distinct([p.contents for g in groups for p in g.passages])
        inputs = {
            "questions": self._tokens([query + text for text in questions]),
            "passages": self._tokens([passage + text for text in passages]),
            "pairs": {"question": question_index, "passage": passage_index},
        }
        return group_batch(groups, inputs)

    def score(self, batch: GroupBatch) -> Tensor:
        pairs = batch.inputs["pairs"]
        questions = self._embed(batch.inputs["questions"])[pairs["question"]]
        passages = self._embed(batch.inputs["passages"])[pairs["passage"]]
        return self.scale * (questions * passages).sum(dim=1)

    def _embed(self, tokens: dict[str, Tensor]) -> Tensor:
        embeddings = self.network(dict(tokens))["sentence_embedding"].float()
        return nn.functional.normalize(embeddings, dim=1)

    def save(self, folder: Path) -> None:
        query, passage = self.prefixes
        self.network.max_seq_length = self.max_length
        self.network.prompts = {"query": query, "document": passage}
        self.network.save(str(folder), create_model_card=False, safe_serialization=True)


def _distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """Distinct texts in order of appearance, and for each text its index among them."""
    index = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(index), torch.tensor([index[text] for text in texts], dtype=torch.long)
