"""Cross-encoder: question and passage read together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.encoders import resolve_model
from radio.packing import enable, pack, run, run_padded
from radio.rerankers.base import FOLDER, Reranker
from radio.schema import Group, GroupBatch, InputError


class CrossEncoder(Reranker):
    """Question and passage read together; one logit (``AutoModelForSequenceClassification``).

    A checkpoint without such a head, for example a plain encoder, gets a new one. The pairs of a step are computed
    longest first, without padding where the architecture allows it, else in chunks of similar length
    (:mod:`radio.packing`).
    """

    def build(self) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        try:
            network: nn.Module = AutoModelForSequenceClassification.from_pretrained(
                resolve_model(self.model), num_labels=1, dtype=torch.float32
            )
        except OSError as error:
            raise InputError(f"model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}") from None
        self._packed = enable(network, first_token_only=True)
        return network

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        questions = [g.question.query for g in groups for _ in g.passages]
        passages = [p.contents for g in groups for p in g.passages]
        if not questions:
            return group_batch(groups, {})
        row, where = pack(self.tokenizer(questions, passages, truncation=True, max_length=self.max_length))
        return group_batch(groups, {"pairs": row, "order": {"where": where}})

    def score(self, batch: GroupBatch) -> Tensor:
        row = batch.inputs["pairs"]
        outputs = run(self.network, row) if self._packed else run_padded(self.network, row, self.tokenizer.pad_token_id)
        logits = torch.cat([output.logits.squeeze(-1) for output, _ in outputs])
        return logits[batch.inputs["order"]["where"]]

    def usage(self) -> str:
        return f"from sentence_transformers import CrossEncoder\n\nmodel = CrossEncoder({FOLDER!r})"

    def save(self, folder: Path) -> None:
        # so that sentence_transformers.CrossEncoder returns these logits, cut at this length
        self.network.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length
        super().save(folder)
