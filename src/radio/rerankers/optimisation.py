"""What of a reranker is trained, and how: AdamW, with a learning rate that rises and falls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn

from radio.rerankers import tuning
from radio.schema import InputError

if TYPE_CHECKING:
    from radio.rerankers.base import Reranker


def choose_trained(module: Reranker, network: nn.Module) -> None:
    """Freeze, add adapters, and what else only a network that is trained needs.

    None of it changes the scores before the first step.

    Raises:
        InputError: nothing is left to train.
    """
    tuning.freeze(network, module.frozen)
    if module.lora:
        tuning.add_lora(network, module.lora)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"freeze: {', '.join(module.frozen)} leaves nothing to train")
    if module.gradient_checkpointing:
        tuning.checkpoint_activations(network)
    if module.compiled:
        tuning.compile_bodies(network)


def adamw(module: Reranker) -> OptimizerLRSchedulerConfig:
    """AdamW (Loshchilov & Hutter, ICLR 2019) and its schedule, as Lightning wants them.

    Weight matrices are decayed; biases and norms are not.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": module.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=module.lr)
    total = max(1, int(module.trainer.estimated_stepping_batches))
    warmup = int(module.warmup_ratio * total)

    def factor(step: int) -> float:
        """Share of the peak learning rate at a step."""
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (total - step) / max(1, total - warmup))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
    }
