"""Bi-encoder: question and passage embedded apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from radio.batching import group_batch
from radio.cache import Cache
from radio.encoders import Encoder, load_encoder
from radio.models.exported import exported
from radio.models.files import modules_of, resolve_model, side_file
from radio.models.packing import Row, enable, pack, run_padded, sentence_embeddings
from radio.models.passage_side import note_passage_model, passage_model
from radio.models.prompts import default_prefixes, model_prompts, model_similarity
from radio.ranges import check
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.collating import Collator
from radio.rerankers.similarity import distinct, max_similarity, padded
from radio.schema import Group, GroupBatch, InputError, Passage


@dataclass
class FixedPassages:
    """Embeddings of passages that are not trained, by passage id.

    Arrays, since a process that is started anew would get a file handle for each tensor.
    """

    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """``[dim]`` each."""
    tokens: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    """``[T, hidden]`` each, of unit length; empty where tokens are not compared."""

    def batch(self, ids: Sequence[str]) -> dict[str, Tensor]:
        """What a batch holds of these passages.

        Returns:
            ``vectors [P, dim]``; where tokens are compared, ``tokens [P, T, hidden]`` too, and
            ``kept``, bool ``[P, T]``.

        Raises:
            InputError: one is not known.
        """
        for name in ids:
            if name not in self.vectors:
                raise InputError(
                    f"passage {name!r} has no embedding: call index() with all passages first"
                )
        found = {"vectors": torch.from_numpy(np.stack([self.vectors[name] for name in ids]))}
        if self.tokens:
            # copies: torch wants memory that may be written to
            found["tokens"], found["kept"] = padded(
                [torch.tensor(self.tokens[name]) for name in ids]
            )
        return found


class TextCollator(Collator):
    """Questions and passages as texts of their own, each distinct one once in a batch.

    Neighbouring questions share candidates.

    Args:
        tokenizer: of the encoder.
        max_length: tokens after which a text is cut.
        prefixes: of questions and of passages.
        fixed: embeddings that take the place of the passages' tokens.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        prefixes: tuple[str, str],
        fixed: FixedPassages | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.query_prefix, self.passage_prefix = prefixes
        self.fixed = fixed

    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        asked = [group.question.query for group in groups for _ in group.passages]
        if not asked:
            return group_batch(groups, {})
        read = [passage for group in groups for passage in group.passages]
        questions, question = distinct(asked)
        if self.fixed is None:
            texts, passage = distinct([one.contents for one in read])
            passages = self._tokens(self.passage_prefix, texts)
        else:
            ids, passage = distinct([one.id for one in read])
            passages = self.fixed.batch(ids)
        inputs = {
            "questions": self._tokens(self.query_prefix, questions),
            "passages": passages,
            "places": {"question": question, "passage": passage},
        }
        return group_batch(groups, inputs)

    def _tokens(self, prefix: str, texts: Sequence[str]) -> Row:
        whole = [prefix + text for text in texts]
        return pack(self.tokenizer(whole, truncation=True, max_length=self.max_length))


class BiEncoder(Reranker):
    """Question and passage embedded apart by one model; score = ``scale`` times similarity.

    The model is one of sentence-transformers, made of Transformer, Pooling, Dense, LayerNorm and
    Normalize, as for example ANCE (Xiong et al., arXiv 2007.00808: a projection and a layer norm
    after the first token). All of them are trained, and exported as they were found.

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
        self._fixed_passages = FixedPassages()
        """With ``train_side: question``, embeddings by the model given, from the cache."""

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
        if self.train_side == "both":
            return
        known = self._fixed_passages.vectors
        missing = {name: one.contents for name, one in passages.items() if name not in known}
        if not missing:
            return
        # with the same settings as a retriever's or teacher's encoder, its cached embeddings serve
        prefixes = self.query_prefix, self.passage_prefix
        encoder = Encoder(self.model, *prefixes, self.max_length, similarity=self._similarity)
        texts = list(missing.values())
        vectors = encoder.encode(texts, cache, title="embed passages")
        known.update(zip(missing, vectors, strict=True))
        if self.multi_vector:
            tokens = encoder.encode_tokens(texts, cache)
            self._fixed_passages.tokens.update(zip(missing, tokens, strict=True))

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

    def plain_collator(self) -> TextCollator:
        fixed = self._fixed_passages if self.train_side == "question" else None
        return TextCollator(self.tokenizer, self.max_length, self.prefixes, fixed)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        return self.plain_collator()(groups)

    def score(self, batch: GroupBatch) -> Tensor:
        places, passages = batch.inputs["places"], batch.inputs["passages"]
        asked = self._embed(batch.inputs["questions"])
        read = passages if "vectors" in passages else self._embed(passages)
        question, passage = places["question"], places["passage"]
        similarity = (asked["vectors"][question] * read["vectors"][passage]).sum(dim=1)
        if self._compares_tokens:
            best = max_similarity(asked["tokens"], read["tokens"], read["kept"], question, passage)
            kept = asked["kept"].float()[question]
            similarity = similarity + self.multi_vector * (best * kept).sum(dim=1) / kept.sum(dim=1)
        result: Tensor = self.scale * similarity
        return result

    @property
    def _compares_tokens(self) -> bool:
        return self.multi_vector > 0 and (self.train_tokens or not self.training)

    def _embed(self, tokens: Row) -> dict[str, Tensor]:
        """Embeddings of N texts in fp32.

        Returns:
            ``vectors [N, dim]``, of unit length for cosines; if they are compared, unit-length
            ``tokens [N, T, hidden]`` and ``kept``, bool ``[N, T]``.
        """
        if self._packed:
            vectors, tokens_of = sentence_embeddings(self.network, tokens)
        else:
            vectors, tokens_of = self._embed_padded(tokens)
        vectors = vectors.float()[:, : self.network.truncate_dim]
        if self.similarity == "cosine":
            vectors = nn.functional.normalize(vectors, dim=1)
        embeddings = {"vectors": vectors}
        if self._compares_tokens:
            unit = [nn.functional.normalize(each.float(), dim=1) for each in tokens_of]
            embeddings["tokens"], embeddings["kept"] = padded(unit)
        return {name: each[tokens["where"]] for name, each in embeddings.items()}

    def _embed_padded(self, tokens: Row) -> tuple[Tensor, list[Tensor]]:
        """As :func:`radio.models.packing.sentence_embeddings`, for any architecture."""
        vectors: list[Tensor] = []
        tokens_of: list[Tensor] = []
        padding = self.tokenizer.pad_token_id
        rows = run_padded(lambda **x: self.network(x), tokens, padding, self.max_length)
        for features, lengths in rows:
            vectors.append(features["sentence_embedding"])
            for embedded, length in zip(features["token_embeddings"], lengths, strict=True):
                tokens_of.append(embedded[:length])
        return torch.cat(vectors), tokens_of

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
