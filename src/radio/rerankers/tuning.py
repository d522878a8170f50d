"""What of a network is trained, and how: adapters, frozen parts, activations, compilation.

Each function changes a network in place and keeps its class, so that it is saved as it was loaded.
The parts are found through transformers: a *body* is a pretrained model without its head, wherever
it sits in the network.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from radio.ranges import check
from radio.schema import InputError


@dataclass(frozen=True)
class LoRA:
    """Low-rank adapters: ``W + alpha / r * B A``, with ``B = 0`` at the start.

    Hu et al., ICLR 2022, eq. 3.

    Needs ``pip install 'radio-rag[lora]'``. Linear layers of the body's blocks get adapters; linear
    layers outside them (classifier, projection, pooler) are heads and are trained whole; everything
    else is frozen.

    Args:
        r: rank.
        alpha: the adapters' output is multiplied by ``alpha / r``.
        dropout: probability for the adapters' input.
        targets: names or glob patterns of the linear layers, for example ``[query, value]``; None
            takes all.
    """

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check(self, vars(self))


def matching(patterns: Iterable[str], names: Sequence[str], what: str) -> set[str]:
    """Names that hold a pattern as whole dotted parts: ``layer.1`` is in ``layer.1.bias`` alone.

    Raises:
        InputError: a pattern matches nothing; names the closest parts there are.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        hits = [name for name in names if fnmatchcase(f".{name}.", f"*.{pattern}.*")]
        if not hits:
            close = difflib.get_close_matches(pattern, _beginnings(names), n=5, cutoff=0.0)
            raise InputError(
                f"{what}: {pattern!r} matches nothing; there is for example {', '.join(close)}"
            )
        chosen.update(hits)
    return chosen


def _beginnings(names: Iterable[str]) -> list[str]:
    """The first one to five dotted parts of names: what somebody may have meant."""
    beginnings = set()
    for name in names:
        parts = name.split(".")
        for count in range(1, 6):
            beginnings.add(".".join(parts[:count]))
    return sorted(beginnings)


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the parameters whose names match (:func:`matching`)."""
    parameters = dict(network.named_parameters())
    for name in matching(patterns, list(parameters), "freeze"):
        parameters[name].requires_grad_(False)


def add_lora(network: nn.Module, lora: LoRA) -> None:
    """Put adapters beside the linear layers of the blocks; parts that are frozen already get none.

    Raises:
        InputError: peft is not installed, or there is nothing to adapt.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise InputError("lora needs its package: pip install 'radio-rag[lora]'") from None
    adapted = False
    for model in pretrained(network):
        body = model.base_model
        linear: dict[str, nn.Linear] = {}
        blocks: list[str] = []
        for name, module in body.named_modules():
            if isinstance(module, nn.Linear):
                linear[name] = module
            elif isinstance(module, nn.ModuleList):
                blocks.append(f"{name}.")
        inner = [name for name in linear if name.startswith(tuple(blocks))]
        chosen = set(inner)
        if lora.targets is not None:
            chosen = matching(lora.targets, inner, "lora.targets")
        targets = [name for name in inner if name in chosen and linear[name].weight.requires_grad]
        # heads are trained whole, unless they are frozen
        heads = [linear[name] for name in linear if name not in inner]
        trained = [weight for head in heads for weight in head.parameters() if weight.requires_grad]
        if targets:
            config = LoraConfig(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=targets,
                bias="none",
            )
            inject_adapter_in_model(config, body)
            adapted = True
        # peft has frozen the rest of the body. A language model's output layer is pretrained too,
        # and large
        output = model.get_output_embeddings()
        if output is not None:
            output.requires_grad_(False)
        for weight in trained:
            weight.requires_grad_(True)
    if not adapted:
        raise InputError(
            "lora: the network has no trainable linear layers in the blocks of a transformers model"
        )


def without_lora(network: nn.Module) -> nn.Module:
    """A copy with the adapters merged into the weights, named as when it was loaded."""
    from peft.tuners.lora import LoraLayer

    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, module.get_base_layer())
    return network


def checkpoint_activations(network: nn.Module) -> None:
    """Recompute activations in the backward pass: less memory, about a third more time.

    Raises:
        InputError: the architecture does not support it.
    """
    for model in pretrained(network):
        try:
            model.activation_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise InputError(f"gradient_checkpointing: {error}") from None


def compile_bodies(network: nn.Module) -> None:
    """Compile the bodies with dynamic shapes; names of parameters stay as they are."""
    for model in pretrained(network):
        # the forward rather than the module: a wrapper would rename the weights, and
        # sentence-transformers calls it
        body = model.base_model
        body.forward = torch.compile(body.forward, dynamic=True)


def pretrained(network: nn.Module) -> Iterator[Any]:
    """The transformers models in a network that are not part of another one."""
    from transformers import PreTrainedModel

    if isinstance(network, PreTrainedModel):
        yield network
    else:
        for child in network.children():
            yield from pretrained(child)
