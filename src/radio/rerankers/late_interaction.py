"""Late interaction: each token of the question looks for the token of the passage that suits it
best."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from radio.batching import group_batch, max_similarity
from radio.models.files import modules_of, side_file
from radio.models.loading import load_sentence_transformer
from radio.ranges import check
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.bi_encoder import _distinct
from radio.rerankers.exact import ExactLinear
from radio.rerankers.packing import enable, pack, run, run_padded
from radio.schema import Group, GroupBatch


class LateInteraction(Reranker):
    """ColBERT: score = sum over the question's tokens of the largest cosine with a token of the
    passage.

    Khattab and Zaharia, SIGIR 2020, eq. 3 (MaxSim). The network is a sentence-transformers
    ``MultiVectorEncoder``; it reads its own folders, those of PyLate and of Stanford's ColBERT, and
    gives a plain encoder a new projection. Each distinct text of a batch is encoded once.

    Args:
        dim: dimensions of a token's vector; None keeps the model's projection (128 for a new one),
            any other number than the model's own puts a new projection in its place.
        query_prefix: put before questions, for example ``[Q] ``; None as the model says, none for a
            plain encoder.
        passage_prefix: put before passages, for example ``[D] ``; None as above.
        query_tokens: length to which questions are cut, or filled with mask tokens that take part
            in the score (ColBERT: 32); 0 for none; None as the model says, none for a plain
            encoder.
        skip_punctuation: leave punctuation of the passage out; None as the model says, no for a
            plain encoder.
        similarity: ``maxsim``, or ``meanmaxsim`` with the mean instead of the sum, in [-1, 1]
            whatever the question's length: for losses with a low temperature. None as the model
            says, maxsim for a plain encoder.
        kwargs: arguments of Reranker.
    """

    def __init__(
        self,
        model: str = "colbert-ir/colbertv2.0",
        dim: int | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        query_tokens: int | None = None,
        skip_punctuation: bool | None = None,
        similarity: Literal["maxsim", "meanmaxsim"] | None = None,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(model, **kwargs)
        self.dim = dim
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.query_tokens = query_tokens
        self.skip_punctuation = skip_punctuation
        self.similarity = similarity

    def build(self) -> nn.Module:
        from sentence_transformers.base.modules import Dense, Normalize
        from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

        # Stanford's ColBERT keeps its projection among the weights of the body
        network: Any = load_sentence_transformer(
            self.model, "cpu", kind="MultiVectorEncoder", also=r"^linear\.weight$"
        )
        if not self._has_projection():
            self._note_new(network)
        for i, module in enumerate(network):
            if isinstance(module, Dense) and self.dim not in (None, module.out_features):
                name = module.module_input_name
                network[i] = Dense(
                    module.in_features,
                    self.dim,
                    bias=False,
                    activation_function=None,
                    module_input_name=name,
                )
                self._note_new(network)
        for module in network:
            # a passage is scored by few of its tokens, which would be alike in 16 bits
            if isinstance(module, Dense):
                module.linear.__class__ = ExactLinear
        for task, prefix in (("query", self.query_prefix), ("document", self.passage_prefix)):
            network.prompts[task] = (network.prompts.get(task) or "") if prefix is None else prefix
        if self.skip_punctuation is not None:
            mask = next(module for module in network if isinstance(module, MultiVectorMask))
            mask.skiplist_words = list(string.punctuation) if self.skip_punctuation else []
            mask.resolve_with_tokenizer(network.tokenizer)
        if self.similarity:
            network.similarity_fn_name = self.similarity
        self._cap_length(network)
        self._set_lengths(network[0])
        for name, parameter in network.named_parameters():
            # BERT's own pooler takes no part in the vectors; DDP would wait for its gradient
            if ".pooler." in name:
                parameter.requires_grad_(False)
        tokenwise = all(
            isinstance(module, (Dense, MultiVectorMask, Normalize)) for module in list(network)[1:]
        )
        self._packed = tokenwise and enable(network[0].auto_model, first_token_only=False)
        return network  # type: ignore[no-any-return]

    def _has_projection(self) -> bool:
        """Whether the model brings a projection of tokens, or needs none."""
        if any("Dense" in str(module.get("type")) for module in modules_of(self.model)):
            return True
        made = side_file(self.model, "config.json").get("architectures") or []
        return any(name == "HF_ColBERT" or name.endswith("ForRetrieval") for name in made)

    def _note_new(self, network: Any) -> None:
        from sentence_transformers.base.modules import Dense

        dense = [name for name, module in network.named_children() if isinstance(module, Dense)]
        self._new_weights = [f"{name}.linear.weight" for name in dense]

    def _set_lengths(self, transformer: Any) -> None:
        if self.query_tokens is not None:
            transformer.query_length = None
            expansion = {"strategy": "fixed", "length": self.query_tokens}
            transformer.query_expansion = expansion if self.query_tokens else None
        if transformer.query_expansion is None:
            transformer.query_length = self.max_length
        transformer.document_length = self.max_length

    @cached_property
    def tokenizer(self) -> Any:
        # the network's own, in which a marker such as [unused0] is one token
        self.configure_model()
        return self.network.tokenizer

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        questions, question_index = _distinct(
            [g.question.query for g in groups for _ in g.passages]
        )
        texts, passage_index = _distinct([p.contents for g in groups for p in g.passages])
        if not texts:
            return group_batch(groups, {})
        tokenizer, prompts = self.tokenizer, self.network.prompts
        row, where = pack(
            tokenizer(
                [prompts["document"] + text for text in texts],
                truncation=True,
                max_length=self.max_length,
            )
        )
        inputs = {
            "questions": self.network.preprocess(questions, prompt=prompts["query"], task="query"),
            "passages": {**row, "where": where},
            "pairs": {"question": question_index, "passage": passage_index},
        }
        return group_batch(groups, inputs)

    def score(self, batch: GroupBatch) -> Tensor:
        pairs = batch.inputs["pairs"]
        output = self.network(dict(batch.inputs["questions"]), task="query")
        questions, asked = output["token_embeddings"].float(), output["attention_mask"].float()
        passages, kept = self._passages(batch.inputs["passages"])
        asked = asked[pairs["question"]]
        best = max_similarity(questions, passages, kept, pairs["question"], pairs["passage"])
        total: Tensor = (best * asked).sum(dim=1)
        return (
            total / asked.sum(dim=1) if self.network.similarity_fn_name == "meanmaxsim" else total
        )

    def _passages(self, tokens: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Vectors ``[P, T, dim]`` of the distinct passages, fp32, and which of them take part,
        ``[P, T]``."""
        row = {name: value for name, value in tokens.items() if name != "where"}
        vectors: list[Tensor] = []
        kept: list[Tensor] = []
        if self._packed:
            hidden = torch.cat(
                [output.last_hidden_state for output, _ in run(self.network[0].auto_model, row)],
                dim=1,
            )
            ids = row["input_ids"][None]
            features = {
                "token_embeddings": hidden,
                "attention_mask": torch.ones_like(ids),
                "input_ids": ids,
            }
            # projection, mask and norm work on single tokens
            for module in list(self.network)[1:]:
                features = module(features)
            vectors = list(features["token_embeddings"][0].split(row["lengths"]))
            kept = list(features["attention_mask"][0].bool().split(row["lengths"]))
        else:
            network = self.network
            padding = self.tokenizer.pad_token_id
            for features, _ in run_padded(lambda **x: network(x, task="document"), row, padding):
                vectors += list(features["token_embeddings"])
                kept += list(features["attention_mask"].bool())
        where = tokens["where"]
        return pad_sequence(vectors, batch_first=True).float()[where], pad_sequence(
            kept, batch_first=True
        )[where]

    def usage(self) -> str:
        return f"from sentence_transformers import MultiVectorEncoder\n\nmodel = MultiVectorEncoder({FOLDER!r})"

    def save(self, folder: Path) -> None:
        self.network.save(str(folder), create_model_card=False, safe_serialization=True)
