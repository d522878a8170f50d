"""Late interaction: each token of the question looks for its best token of the passage."""

from __future__ import annotations

import copy
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from radio.batching import group_batch
from radio.models.files import modules_of, side_file
from radio.models.loading import load_sentence_transformer
from radio.models.packing import Row, enable, pack, run, run_padded
from radio.ranges import check
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.collating import Collator, without_weights
from radio.rerankers.exact import ExactLinear
from radio.rerankers.similarity import distinct, max_similarity
from radio.schema import Group, GroupBatch


class TextReader(Protocol):
    """The first module of a sentence-transformers model, as far as it tokenises."""

    tokenizer: PreTrainedTokenizerBase

    def preprocess(self, inputs: list[str], *, prompt: str, task: str) -> dict[str, Any]: ...


class TokenCollator(Collator):
    """Questions as the model's own code reads them, passages packed; each distinct text once.

    Args:
        reader: of the network, without its weights.
        prompts: put before a text: ``query`` and ``document``.
        max_length: tokens after which a passage is cut.
    """

    def __init__(self, reader: TextReader, prompts: Mapping[str, str], max_length: int) -> None:
        self.reader = reader
        self.tokenizer = reader.tokenizer
        self.prompts = dict(prompts)
        self.max_length = max_length

    def apart(self) -> Self:
        other = copy.copy(self)
        # it holds the tokenizer in several places
        other.reader = copy.deepcopy(self.reader)
        other.tokenizer = other.reader.tokenizer
        return other

    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        asked = [group.question.query for group in groups for _ in group.passages]
        if not asked:
            return group_batch(groups, {})
        questions, question = distinct(asked)
        texts, passage = distinct([one.contents for group in groups for one in group.passages])
        query, document = self.prompts["query"], self.prompts["document"]
        whole = [document + text for text in texts]
        tokens = self.tokenizer(whole, truncation=True, max_length=self.max_length)
        inputs = {
            "questions": self.reader.preprocess(questions, prompt=query, task="query"),
            "passages": pack(tokens),
            "places": {"question": question, "passage": passage},
        }
        return group_batch(groups, inputs)


class LateInteraction(Reranker):
    """ColBERT: score = sum over the question's tokens of the largest cosine with a passage token.

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
        self._collator: TokenCollator | None = None
        """Made by ``build``, since the network says how texts are read."""

    def build(self) -> nn.Module:
        from sentence_transformers.base.modules import Dense, Normalize
        from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

        # Stanford's ColBERT keeps its projection among the weights of the body
        network: Any = load_sentence_transformer(
            self.model, "cpu", kind="MultiVectorEncoder", also=r"^linear\.weight$"
        )
        if not self._has_projection():
            self._note_new(network)
        for place, module in enumerate(network):
            if isinstance(module, Dense) and self.dim not in (None, module.out_features):
                network[place] = Dense(
                    module.in_features,
                    self.dim,
                    bias=False,
                    activation_function=None,
                    module_input_name=module.module_input_name,
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
        self._collator = TokenCollator(_reader(network[0]), network.prompts, self.max_length)
        return network  # type: ignore[no-any-return]

    def _has_projection(self) -> bool:
        """Whether the model brings a projection of tokens, or needs none."""
        if any("Dense" in str(module.get("type")) for module in modules_of(self.model)):
            return True
        made = side_file(self.model, "config.json").get("architectures") or []
        return any(name == "HF_ColBERT" or name.endswith("ForRetrieval") for name in made)

    def _note_new(self, network: nn.Module) -> None:
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
    def tokenizer(self) -> PreTrainedTokenizerBase:
        # the network's own, in which a marker such as [unused0] is one token
        return self.plain_collator().tokenizer

    def plain_collator(self) -> TokenCollator:
        self.configure_model()
        assert self._collator is not None, "build makes it"
        return self._collator

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        return self.plain_collator()(groups)

    def score(self, batch: GroupBatch) -> Tensor:
        places = batch.inputs["places"]
        output = self.network(dict(batch.inputs["questions"]), task="query")
        questions = output["token_embeddings"].float()
        asked: Tensor = output["attention_mask"].float()
        passages, kept = self._passages(batch.inputs["passages"])
        best = max_similarity(questions, passages, kept, places["question"], places["passage"])
        counts = asked[places["question"]]
        total: Tensor = (best * counts).sum(dim=1)
        if self.network.similarity_fn_name == "meanmaxsim":
            return total / counts.sum(dim=1)
        return total

    def _passages(self, tokens: Row) -> tuple[Tensor, Tensor]:
        """Vectors ``[P, T, dim]`` of the passages, fp32, and which take part, ``[P, T]``."""
        if self._packed:
            vectors, kept = self._embed_packed(tokens)
        else:
            vectors, kept = self._embed_padded(tokens)
        where = tokens["where"]
        return (
            pad_sequence(vectors, batch_first=True).float()[where],
            pad_sequence(kept, batch_first=True)[where],
        )

    def _embed_packed(self, tokens: Row) -> tuple[list[Tensor], list[Tensor]]:
        """For each passage the vectors ``[T, dim]`` of its tokens, and which take part, ``[T]``."""
        body, *others = self.network
        outputs = [output.last_hidden_state for output, _ in run(body.auto_model, tokens)]
        ids = tokens["input_ids"][None]
        features = {
            "token_embeddings": torch.cat(outputs, dim=1),
            "attention_mask": torch.ones_like(ids),
            "input_ids": ids,
        }
        # projection, mask and norm work on single tokens
        for module in others:
            features = module(features)
        vectors = features["token_embeddings"][0].split(tokens["lengths"])
        kept = features["attention_mask"][0].bool().split(tokens["lengths"])
        return list(vectors), list(kept)

    def _embed_padded(self, tokens: Row) -> tuple[list[Tensor], list[Tensor]]:
        """The same for any architecture; vectors of padding do not take part."""
        vectors: list[Tensor] = []
        kept: list[Tensor] = []
        network, padding = self.network, self.tokenizer.pad_token_id
        rows = run_padded(lambda **x: network(x, task="document"), tokens, padding, self.max_length)
        for features, _ in rows:
            vectors += list(features["token_embeddings"])
            kept += list(features["attention_mask"].bool())
        return vectors, kept

    def usage(self) -> str:
        return (
            "from sentence_transformers import MultiVectorEncoder\n\n"
            f"model = MultiVectorEncoder({FOLDER!r})"
        )

    def save(self, folder: Path) -> None:
        self.network.save(str(folder), create_model_card=False, safe_serialization=True)


def _reader(transformer: Any) -> Any:
    """The first module of a network without its weights: it tokenises, and no more."""
    reader = without_weights(transformer)
    # it looks into the configuration for the kind of model
    reader.__dict__["model"] = SimpleNamespace(config=transformer.auto_model.config)
    return reader
