"""Bi-encoder: question and passage embedded apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.cache import Cache
from radio.encoders import Encoder, default_prefixes, load_encoder, resolve_model
from radio.packing import enable, pack, run_padded, sentence_embeddings
from radio.rerankers.base import FOLDER, Reranker
from radio.schema import Group, GroupBatch, InputError, Passage


class BiEncoder(Reranker):
    """Question and passage embedded apart by one sentence-transformers model; score = ``scale`` times cosine.

    Each distinct text of a batch is embedded once, without padding where the architecture allows it.

    Args:
        scale: turns cosines into logits that a softmax at temperature 1 can use.
        query_prefix: put before questions; None takes what the model's folder says, or E5's.
        passage_prefix: put before passages; None as above.
        train_side: ``both``, or ``question``: passages keep the embeddings of the model given, computed once and
            cached, so that an index of the corpus stays valid and an epoch takes seconds. The exported folder then
            holds both models, for ``encode_query`` and ``encode_document``.
        kwargs: arguments of Reranker.
    """

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        scale: float = 20.0,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        train_side: Literal["both", "question"] = "both",
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.scale = scale
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.train_side = train_side
        self._vectors: dict[str, Tensor] = {}

    def build(self) -> nn.Module:
        network: Any = load_encoder(self.model, device="cpu")
        routes = getattr(network[0], "sub_modules", None)
        if routes is not None:
            if self.train_side == "both":
                raise InputError(
                    f"model {self.model!r} holds one model for questions and one for passages: set "
                    "model.init_args.train_side to question"
                )
            network = type(network)(modules=list(routes["query"]), device="cpu")
        for name, parameter in network.named_parameters():
            # BERT's own pooler takes no part in the embedding; DDP would wait for its gradient
            if ".pooler." in name:
                parameter.requires_grad_(False)
        body = getattr(network[0], "auto_model", None)
        self._packed = enable(body, first_token_only=False)
        return network  # type: ignore[no-any-return]

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Embed the passages once, if they are not trained."""
        missing = {i: p.contents for i, p in passages.items() if i not in self._vectors}
        if self.train_side == "question" and missing:
            # with the same settings as a retriever's or teacher's encoder, its cached embeddings serve
            encoder = Encoder(self.model, self.query_prefix, self.passage_prefix, self.max_length)
            vectors = encoder.encode(list(missing.values()), cache, title="embed passages")
            self._vectors.update(zip(missing, torch.from_numpy(vectors), strict=True))

    def tokenizer_folder(self) -> str:
        folder = resolve_model(self.model)
        router = Path(folder) / "router_config.json"
        if router.is_file():
            return str(Path(folder) / json.loads(router.read_text())["structure"]["query"][0])
        return folder

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """Query and passage prefix in use."""
        path = Path(resolve_model(self.model)) / "config_sentence_transformers.json"
        prompts = json.loads(path.read_text()).get("prompts", {}) if path.is_file() else {}
        query, passage = default_prefixes(self.model, prompts)
        return (
            query if self.query_prefix is None else self.query_prefix,
            passage if self.passage_prefix is None else self.passage_prefix,
        )

    def _tokens(self, texts: list[str]) -> dict[str, Any]:
        row, where = pack(self.tokenizer(texts, truncation=True, max_length=self.max_length))
        return {**row, "where": where}

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        query, passage = self.prefixes
        # neighbouring questions share candidates: each distinct text is embedded once in a batch
        questions, question_index = _distinct([g.question.query for g in groups for _ in g.passages])
        if self.train_side == "question":
            ids, passage_index = _distinct([p.id for g in groups for p in g.passages])
            lacking = [i for i in ids if i not in self._vectors]
            if lacking:
                raise InputError(f"passage {lacking[0]!r} has no embedding: call index() with all passages first")
            passages: dict[str, Any] = {"vectors": torch.stack([self._vectors[i] for i in ids])} if ids else {}
        else:
            texts, passage_index = _distinct([p.contents for g in groups for p in g.passages])
            passages = self._tokens([passage + text for text in texts])
        inputs = {
            "questions": self._tokens([query + text for text in questions]),
            "passages": passages,
            "pairs": {"question": question_index, "passage": passage_index},
        }
        return group_batch(groups, inputs)

    def score(self, batch: GroupBatch) -> Tensor:
        pairs, passages = batch.inputs["pairs"], batch.inputs["passages"]
        questions = self._embed(batch.inputs["questions"])[pairs["question"]]
        vectors = passages["vectors"] if "vectors" in passages else self._embed(passages)
        return self.scale * (questions * vectors[pairs["passage"]]).sum(dim=1)

    def _embed(self, tokens: dict[str, Any]) -> Tensor:
        """Unit-length embeddings ``[number of texts, dim]``, fp32."""
        row = {name: value for name, value in tokens.items() if name != "where"}
        vectors = sentence_embeddings(self.network, row) if self._packed else self._padded(row)
        return nn.functional.normalize(vectors.float(), dim=1)[tokens["where"]]

    def _padded(self, row: dict[str, Any]) -> Tensor:
        outputs = run_padded(lambda **x: self.network(x), row, self.tokenizer.pad_token_id)
        return torch.cat([features["sentence_embedding"] for features, _ in outputs])

    def usage(self) -> str:
        return (
            f"from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer({FOLDER!r})\n"
            "similarity = model.similarity(model.encode_query(questions), model.encode_document(passages))"
        )

    def save(self, folder: Path) -> None:
        query, passage = self.prefixes
        network = self.network
        network.max_seq_length = self.max_length
        if self.train_side == "question":
            from sentence_transformers.base.modules import Router

            given: Any = load_encoder(self.model, device="cpu")
            routes = getattr(given[0], "sub_modules", None)
            document = list(given) if routes is None else list(routes["document"])
            document[0].max_seq_length = self.max_length
            network = type(network)(modules=[Router.for_query_document(list(network), document)], device="cpu")
        network.prompts = {"query": query, "document": passage}
        network.save(str(folder), create_model_card=False, safe_serialization=True)


def _distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """Distinct texts in order of appearance, and for each text its index among them."""
    index = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(index), torch.tensor([index[text] for text in texts], dtype=torch.long)
