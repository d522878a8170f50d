"""Scores and losses that are no finite numbers: which question, when, and the likely cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from radio.rerankers import sharding
from radio.schema import GroupBatch, InputError

if TYPE_CHECKING:
    from radio.rerankers import Reranker

STAGES = {
    "train": "training",
    "sanity_check": "the first check of validation",
    "validate": "validation",
    "test": "test",
    "predict": "predict",
}
"""Lightning's stages in words."""


def check_scores(module: Reranker, batch: GroupBatch, scores: Tensor) -> None:
    """Refuse scores ``[B, G]`` that are NaN or infinite: sorted, they would look like any other
    ranking.

    Raises:
        InputError: names the question, the passage, the step and the likely cause.
    """
    wrong = ~scores.isfinite() & batch.mask
    if not wrong.any():
        return
    row, column = (int(place) for place in wrong.nonzero()[0])
    message = (
        f"the score of passage {batch.passage_ids[row][column]!r} for question "
        f"{batch.question_ids[row]!r} is {scores[row, column].item()}, expected a finite number"
    )
    raise InputError(f"{message} ({when(module)})\n  likely cause: {why(module, batch)}")


def check_loss(module: Reranker, batch: GroupBatch, loss: Tensor, scores: Tensor) -> None:
    """Refuse a loss that is NaN or infinite: the step after it would destroy the weights.

    Raises:
        InputError: names the loss, the questions and the step.
    """
    if loss.isfinite().all():
        return
    shown = ", ".join(map(repr, batch.question_ids[:5])) + (", ..." * (len(batch.question_ids) > 5))
    largest = scores.detach().abs().max().item() if scores.numel() else 0.0
    raise InputError(
        f"the loss {type(module.loss).__name__} returned {loss.detach().flatten()[0].item()} for "
        "the questions "
        f"{shown}, expected a finite number ({when(module)})\n"
        f"  likely cause: the loss itself (all scores are finite, the largest is {largest:.3g}): a "
        "temperature near "
        "0, a division by 0 or a logarithm of 0, or targets out of its range"
    )


def check_weights(module: Reranker, source: str) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        module: whose network is looked at.
        source: where they come from, for the message.

    Raises:
        InputError: names the first such weight.
    """
    name = broken_weight(module.network)
    if name is not None:
        raise InputError(f"{source}: the weight {name!r} is not finite. {RATE}")


HUGE = 1e4
"""No weight of a network in health is as large."""

RATE = (
    "Most often the learning rate was too high: lower --model.init_args.lr, or set "
    "--trainer.gradient_clip_val 1.0"
)


def broken_weight(network: nn.Module) -> str | None:
    """Name of the first parameter or buffer that holds NaN or infinity, if there is one."""
    for name, weight in [*network.named_parameters(), *network.named_buffers()]:
        if _is_broken(weight):
            return str(name)
    return None


def when(module: Reranker) -> str:
    """What was going on: stage, epoch and step, learning rate."""
    whose = ", the untrained model" if module.is_untrained else ""
    trainer = module.attached_trainer
    stage = trainer.state.stage if trainer else None
    if trainer is None or stage is None:
        return f"outside a command{whose}"
    text = (
        f"{STAGES.get(stage.value, stage.value)}{whose}, "
        f"epoch {trainer.current_epoch}, step {trainer.global_step}"
    )
    if trainer.state.fn == "fit" and trainer.optimizers:
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        text += f", learning rate {rate:.3g}"
    return text


def why(module: Reranker, batch: GroupBatch) -> str:
    """The likely cause of a score that is not finite."""
    name = broken_weight(module.network)
    if name is not None:
        return _why_broken(module, name)
    own = [sharding.own_part(weight.detach()) for weight in module.network.parameters()]
    largest = max((part.abs().max().item() for part in own if part.numel()), default=0.0)
    if largest > HUGE:
        return f"weights as large as {largest:.2g}, with which the network overflows. {RATE}"
    for tensors in batch.inputs.values():
        for key, tensor in tensors.items():
            if _is_broken(tensor):
                return (
                    f"the input {key!r} of the batch is not finite: an embedding in the cache, or "
                    "collate"
                )
    trainer = module.attached_trainer
    precision = trainer.precision if trainer else "32-true"
    return (
        f"{type(module).__name__}.score (all weights are finite): an overflow at precision "
        f"{precision} (try --trainer.precision 32-true), or a division by 0 or a logarithm of 0"
    )


def _why_broken(module: Reranker, name: str) -> str:
    """The likely cause of a weight that is not finite."""
    trainer = module.attached_trainer
    checkpoint = getattr(trainer, "ckpt_path", None)
    trained = trainer is not None and trainer.global_step > 0
    found = f"the weight {name!r} is not finite"
    if module.is_untrained or not (trained or checkpoint):
        return (
            f"{found} in the model {module.model!r} itself; its files are damaged, take another "
            "copy"
        )
    if checkpoint and trainer is not None and trainer.state.fn != "fit":
        return f"{found} in the checkpoint {checkpoint}. {RATE}"
    return f"{found} any more. {RATE}"


def _is_broken(value: object) -> bool:
    """Whether a value is a tensor of real numbers with NaN or infinity in it."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    return not sharding.own_part(value).isfinite().all()
