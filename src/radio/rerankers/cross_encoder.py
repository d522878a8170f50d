"""Cross-encoder: question and passage read together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from radio.batching import group_batch
from radio.models.loading import load_config, load_model
from radio.models.messages import say_once
from radio.models.packing import enable, pack, run, run_padded
from radio.models.tokenizers import can_pad, check_token_ids
from radio.rerankers.base import FOLDER, Reranker
from radio.rerankers.collating import Collator
from radio.rerankers.exact import ExactLinear
from radio.schema import Group, GroupBatch, InputError

IRRELEVANT = r"(?i)^(not?|non|un|ir|neg|false|0)"
"""How the label of a passage begins that is of no use."""

BEFORE_LAST = r"(^|\.)(pooler(\.dense)?|classifier\.dense|pre_classifier)$"
"""Names of the layers between which and the last one there is nothing but an activation."""


class PairCollator(Collator):
    """Question and passage as one text, cut at ``max_length`` tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length

    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        questions: list[str] = []
        passages: list[str] = []
        for group in groups:
            for passage in group.passages:
                questions.append(group.question.query)
                passages.append(passage.contents)
        if not questions:
            return group_batch(groups, {})
        tokens = self.tokenizer(questions, passages, truncation=True, max_length=self.max_length)
        return group_batch(groups, {"pairs": pack(tokens)})


class CrossEncoder(Reranker):
    """Question and passage read together; one logit (``AutoModelForSequenceClassification``).

    A checkpoint without such a head, for example a plain encoder, gets a new one to be trained; of
    a head with two labels the difference of their logits is taken. The head is computed in fp32.
    The pairs of a step are computed longest first, without padding where the architecture allows
    it, else in chunks of similar length (:mod:`radio.models.packing`).
    """

    def build(self) -> nn.Module:
        config = load_config(self.model)
        made_as = config.architectures or []
        has_head = any(name.endswith("ForSequenceClassification") for name in made_as)
        count = config.num_labels if has_head else 1
        if count > 2:
            names = ", ".join(map(str, config.id2label.values()))
            raise InputError(
                f"model {self.model!r} has a head with {count} labels ({names}), expected one "
                "logit, or two labels"
            )
        network, self._new_weights = load_model(
            "AutoModelForSequenceClassification",
            self.model,
            new_head=True,
            num_labels=count,
            dtype=torch.float32,
        )
        check_token_ids(self.model, self.tokenizer, network)
        head = _last_layer(network, count)
        if count == 2:
            head = self._difference(network, head)
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear) and (module is head or re.search(BEFORE_LAST, name)):
                module.__class__ = ExactLinear
        self._let_pad(network)
        self._packed = enable(network, first_token_only=True)
        return network  # type: ignore[no-any-return]

    def _difference(self, network: Any, head: nn.Linear | None) -> nn.Linear:
        """Make one logit of two: that of the relevant label minus the other, as softmax ranks."""
        names = [str(network.config.id2label[number]) for number in (0, 1)]
        # without names of their own the second label is the relevant one
        useless = [bool(re.search(IRRELEVANT, name)) for name in names]
        if names == ["LABEL_0", "LABEL_1"]:
            useless = [True, False]
        if head is None or sum(useless) != 1:
            raise InputError(
                f"model {self.model!r} has the labels {' and '.join(names)}, and which of them "
                "says that a passage is relevant is not known; name the other one 'irrelevant' in "
                "id2label of its config.json"
            )
        yes = useless.index(False)
        one = nn.Linear(head.in_features, 1, bias=head.bias is not None)
        with torch.no_grad():
            one.weight.copy_(head.weight[yes] - head.weight[1 - yes])
            if head.bias is not None:
                one.bias.copy_(head.bias[yes] - head.bias[1 - yes])
        where = next(name for name, module in network.named_modules() if module is head)
        parent, _, child = where.rpartition(".")
        setattr(network.get_submodule(parent), child, one)
        network.num_labels = network.config.num_labels = 1
        network.config.problem_type = None
        say_once(
            f"{self.model!r} has two labels: the score is the logit of {names[yes]} minus that of "
            f"{names[1 - yes]}"
        )
        return one

    def _let_pad(self, network: Any) -> None:
        """A decoder's head looks for the padding, by the number that its configuration gives."""
        known = network.get_input_embeddings().num_embeddings
        tokenizer = self.tokenizer
        if tokenizer.pad_token_id >= known:
            # the tokenizer alone has it: the network has no vector for it
            tokenizer.pad_token = None
            can_pad(self.model, tokenizer)
        if network.config.pad_token_id is None or not 0 <= network.config.pad_token_id < known:
            network.config.pad_token_id = tokenizer.pad_token_id

    def plain_collator(self) -> PairCollator:
        return PairCollator(self.tokenizer, self.max_length)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        return self.plain_collator()(groups)

    def score(self, batch: GroupBatch) -> Tensor:
        pairs = batch.inputs["pairs"]
        if self._packed:
            outputs = run(self.network, pairs)
        else:
            padding = self.tokenizer.pad_token_id
            outputs = run_padded(self.network, pairs, padding, self.max_length)
        logits = torch.cat([output.logits.squeeze(-1).float() for output, _ in outputs])
        return logits[pairs["where"]]

    def usage(self) -> str:
        return f"from sentence_transformers import CrossEncoder\n\nmodel = CrossEncoder({FOLDER!r})"

    def save(self, folder: Path) -> None:
        # so that sentence_transformers.CrossEncoder returns these logits, cut at this length
        self.network.config.sentence_transformers = {
            "activation_fn": "torch.nn.modules.linear.Identity"
        }
        self.tokenizer.model_max_length = self.max_length
        super().save(folder)


def _last_layer(network: PreTrainedModel, outputs: int) -> nn.Linear | None:
    """The layer of the head that gives the logits."""
    body = {id(module) for module in network.base_model.modules()}
    last = None
    for module in network.modules():
        in_head = id(module) not in body
        if in_head and isinstance(module, nn.Linear) and module.out_features == outputs:
            last = module
    return last
