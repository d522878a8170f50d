"""Bi-encoder: question and passage embedded apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from radio.batching import group_batch, max_similarity, padded
from radio.cache import Cache
from radio.encoders import (
    Encoder,
    default_prefixes,
    load_encoder,
    model_prompts,
    model_similarity,
    note_passage_model,
    passage_model,
)
from radio.models.exported import exported
from radio.models.files import modules_of, resolve_model, side_file
from radio.ranges import check
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.packing import enable, pack, run_padded, sentence_embeddings
from radio.schema import Group, GroupBatch, InputError, Passage


class BiEncoder(Reranker):
    """Question and passage embedded apart by one sentence-transformers model; score = ``scale``
    times similarity.

    The similarity of the two texts is that of the model, cosine or dot product, plus
    ``multi_vector`` times that of their tokens: the mean over the question's tokens of the largest
    cosine with a token of the passage (BGE-M3 adds its scores alike: Chen et al., arXiv 2402.03216,
    section 3.3). It sees names and numbers that are blurred in the vector of a whole passage.

    Each distinct text of a batch is embedded once, without padding where the architecture allows
    it.

    Args:
        scale: turns similarities into logits that a softmax at temperature 1 can use; None is 20
            for cosines, 1 for dot products, or what an exported folder says.
        query_prefix: put before questions; None takes what the model's folder says, or E5's.
        passage_prefix: put before passages; None as above.
        train_side: ``both``, or ``question``: passages keep the embeddings of the model given,
            computed once and cached, so that an index of the corpus stays valid and an epoch takes
            seconds. The exported folder then holds both models, for ``encode_query`` and
            ``encode_document``.
        multi_vector: weight of the tokens' similarity, 0 for none. With ``train_side: question``
            the vectors of all tokens are kept in memory and in the cache: about 100 kB for a
            passage of 100 words.
        train_tokens: whether the loss sees the tokens' similarity too. Without, it is added when
            ranking alone: tokens follow what the vector of their text learns.
        similarity: ``cosine`` or ``dot``; None as the model says.
        kwargs: arguments of Reranker.
    """

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        scale: float | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        train_side: Literal["both", "question"] = "both",
        multi_vector: float = 0.0,
        train_tokens: bool = True,
        similarity: Literal["cosine", "dot"] | None = None,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(model, **kwargs)
        self._scale = scale
        self._similarity = similarity
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.train_side = train_side
        self.multi_vector = multi_vector
        self.train_tokens = train_tokens
        self._fixed = train_side == "question"
        """Whether passages have the embeddings of the model given, from the cache."""
        self._vectors: dict[str, Tensor] = {}
        self._tokens_of: dict[str, Tensor] = {}

    @cached_property
    def similarity(self) -> str:
        """``cosine`` or ``dot``."""
        return self._similarity or model_similarity(self.model)

    @cached_property
    def scale(self) -> float:
        """The factor of the similarity."""
        if self._scale is not None:
            return self._scale
        usual = 1.0 if self.similarity == "dot" else 20.0
        return float(exported(self.model).get("init_args", {}).get("scale", usual))

    def build(self) -> nn.Module:
        network: Any = load_encoder(self.model, device="cpu")
        routes = getattr(network[0], "sub_modules", None)
        if routes is not None:
            if self.train_side == "both":
                raise InputError(
                    f"model {self.model!r} holds one model for questions and one for passages: set "
                    "model.init_args.train_side to question"
                )
            network = self._assembled(network, list(routes["query"]))
        network.similarity_fn_name = self.similarity
        for name, parameter in network.named_parameters():
            # BERT's own pooler takes no part in the embedding; DDP would wait for its gradient
            if ".pooler." in name:
                parameter.requires_grad_(False)
        body = getattr(network[0], "auto_model", None)
        self._packed = enable(body, first_token_only=False)
        return network  # type: ignore[no-any-return]

    def _assembled(self, network: Any, modules: list[Any]) -> Any:
        """Another model of these parts, which compares texts as this one does."""
        return type(network)(
            modules=modules,
            device="cpu",
            similarity_fn_name=self.similarity,
            truncate_dim=network.truncate_dim,
        )

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Embed the passages once, if they are not trained."""
        missing = {i: p.contents for i, p in passages.items() if i not in self._vectors}
        if self._fixed and missing:
            # with the same settings as a retriever's or teacher's encoder, its cached embeddings
            # serve
            prefixes = self.query_prefix, self.passage_prefix
            encoder = Encoder(self.model, *prefixes, self.max_length, similarity=self._similarity)
            vectors = encoder.encode(list(missing.values()), cache, title="embed passages")
            self._vectors.update(zip(missing, torch.from_numpy(vectors), strict=True))
            if self.multi_vector:
                tokens = encoder.encode_tokens(list(missing.values()), cache)
                # a copy: torch wants memory that may be written to
                self._tokens_of.update(
                    (i, torch.tensor(t)) for i, t in zip(missing, tokens, strict=True)
                )

    def tokenizer_folder(self) -> str:
        folder = resolve_model(self.model)
        if not Path(folder).is_dir():
            return folder
        parts = side_file(self.model, "router_config.json").get("structure", {}).get("query")
        parts = parts or [part.get("path", "") for part in modules_of(self.model)] or [""]
        return str(Path(folder) / parts[0])

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """Query and passage prefix in use."""
        query, passage = default_prefixes(self.model, model_prompts(self.model))
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
        questions, question_index = _distinct(
            [g.question.query for g in groups for _ in g.passages]
        )
        if not questions:
            return group_batch(groups, {})
        if self._fixed:
            ids, passage_index = _distinct([p.id for g in groups for p in g.passages])
            lacking = [i for i in ids if i not in self._vectors]
            if lacking:
                raise InputError(
                    f"passage {lacking[0]!r} has no embedding: call index() with all passages first"
                )
            passages: dict[str, Any] = {"vectors": torch.stack([self._vectors[i] for i in ids])}
            if self.multi_vector:
                passages["tokens"], passages["kept"] = padded([self._tokens_of[i] for i in ids])
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
        asked, vectors = self._embed(batch.inputs["questions"]), passages
        if "vectors" not in passages:
            vectors = self._embed(passages)
        question, passage = pairs["question"], pairs["passage"]
        similarity = (asked["vectors"][question] * vectors["vectors"][passage]).sum(dim=1)
        if self._compares_tokens:
            best = max_similarity(
                asked["tokens"], vectors["tokens"], vectors["kept"], question, passage
            )
            kept = asked["kept"].float()[question]
            similarity = similarity + self.multi_vector * (best * kept).sum(dim=1) / kept.sum(dim=1)
        result: Tensor = self.scale * similarity
        return result

    @property
    def _compares_tokens(self) -> bool:
        return self.multi_vector > 0 and (self.train_tokens or not self.training)

    def _embed(self, tokens: dict[str, Any]) -> dict[str, Tensor]:
        """Embeddings in fp32: ``vectors [N, dim]`` of the texts, of unit length for cosines, and
        unit-length ``tokens [N, T, hidden]`` of their tokens with ``kept [N, T]``, if they are
        wanted."""
        row = {name: value for name, value in tokens.items() if name != "where"}
        vectors, words = (
            sentence_embeddings(self.network, row) if self._packed else self._padded(row)
        )
        vectors = vectors.float()[:, : self.network.truncate_dim]
        found = {
            "vectors": vectors
            if self.similarity == "dot"
            else nn.functional.normalize(vectors, dim=1)
        }
        if self._compares_tokens:
            found["tokens"], found["kept"] = padded(
                [nn.functional.normalize(w.float(), dim=1) for w in words]
            )
        return {name: value[tokens["where"]] for name, value in found.items()}

    def _padded(self, row: dict[str, Any]) -> tuple[Tensor, list[Tensor]]:
        vectors: list[Tensor] = []
        words: list[Tensor] = []
        for features, lengths in run_padded(
            lambda **x: self.network(x), row, self.tokenizer.pad_token_id
        ):
            vectors.append(features["sentence_embedding"])
            words += [t[:n] for t, n in zip(features["token_embeddings"], lengths, strict=True)]
        return torch.cat(vectors), words

    def usage(self) -> str:
        if self.multi_vector:
            return (
                "from sentence_transformers import SentenceTransformer\n"
                "from sentence_transformers.util import cos_sim\n\n"
                f"model = SentenceTransformer({FOLDER!r})\n"
                "\ndef similarity(question, passage):\n"
                "    whole = model.similarity(model.encode_query(question), "
                "model.encode_document(passage))\n"
                '    asked = model.encode_query(question, output_value="token_embeddings")\n'
                '    read = model.encode_document(passage, output_value="token_embeddings")\n'
                f"    return whole + {self.multi_vector:g} * cos_sim(asked, "
                "read).max(dim=1).values.mean()"
            )
        return (
            "from sentence_transformers import SentenceTransformer\n\nmodel = "
            f"SentenceTransformer({FOLDER!r})\n"
            "similarity = model.similarity(model.encode_query(questions), "
            "model.encode_document(passages))"
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
            network = self._assembled(network, [Router.for_query_document(list(network), document)])
        network.prompts = {"query": query, "document": passage}
        network.save(str(folder), create_model_card=False, safe_serialization=True)
        if self.train_side == "question" and self.passage_prefix is None:
            note_passage_model(folder, passage_model(self.model, self.max_length), self.max_length)


def _distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """Distinct texts in order of appearance, and for each text its index among them."""
    index = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(index), torch.tensor([index[text] for text in texts], dtype=torch.long)
