"""Cross-encoder: question and passage read together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.encoders import resolve_model
from radio.rerankers.base import Reranker
from radio.schema import Group, GroupBatch, InputError


class CrossEncoder(Reranker):
    """Question and passage read together; one logit (``AutoModelForSequenceClassification``).

    A checkpoint without such a head, for example a plain encoder, gets a new one.
    """

    def build(self) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        try:
            network: nn.Module = AutoModelForSequenceClassification.from_pretrained(
                resolve_model(self.model), num_labels=1, dtype=torch.float32
            )
        except OSError as error:
            raise InputError(f"model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}") from None
        return network

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        questions = [g.question.question for g in groups for _ in g.passages]
        passages = [p.contents for g in groups for p in g.passages]
        pairs = self.tokenizer(
            questions, passages, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt"
        )
        return group_batch(groups, {"pairs": dict(pairs)})

    def score(self, batch: GroupBatch) -> Tensor:
        logits: Tensor = self.network(**batch.inputs["pairs"]).logits
        return logits.squeeze(-1)

    def save(self, folder: Path) -> None:
        # so that sentence_transformers.CrossEncoder returns these logits, cut at this length
        self.network.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length
        super().save(folder)
