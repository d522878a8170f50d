"""A guard against a reranker that no longer tells passages apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from radio.ranges import check
from radio.schema import GroupBatch, InputError


class _Look(NamedTuple):
    """One training step as numbers, fetched from the device at once."""

    loss: float
    largest: float
    """Of the absolute scores."""
    spread: float
    """Highest minus lowest score, of the group where it is largest; groups without a contrast do
    not count."""
    span: float
    """The same over all scores of the step."""
    groups: float
    """Groups of two passages or more."""
    contrasts: float
    """Those of them whose teacher scores are not all equal."""


def _look(loss: Tensor, scores: Tensor, targets: Tensor, mask: Tensor) -> _Look:
    """Scores, targets and mask ``[B, G]``; in fp32, because bf16 would make ties."""
    scores = scores.float()

    def spread(values: Tensor, dim: int | tuple[int, int]) -> Tensor:
        high = values.masked_fill(~mask, -math.inf).amax(dim)
        return high - values.masked_fill(~mask, math.inf).amin(dim)

    contrast = spread(targets, 1) > 0
    numbers = [
        loss,
        scores.masked_fill(~mask, 0).abs().amax(),
        torch.where(contrast, spread(scores, 1), 0.0).amax(),
        spread(scores, (0, 1)),
        (mask.sum(1) > 1).sum(),
        contrast.sum(),
    ]
    return _Look(*torch.stack([number.float() for number in numbers]).tolist())


class CollapseGuard(L.Callback):
    """Notices a reranker that no longer tells passages apart, or that computes NaN or infinity.

    ``radio fit`` has one unless the config holds another, or says ``--collapse_guard false``.

    Collapsed is a step in which the scores of every group are all but constant, compared in fp32:
    highest minus lowest is at most ``min_spread`` times the largest absolute score of the step. (A
    fresh head begins with small scores, but they differ; dropout lets those of a collapsed encoder
    tremble.) Groups of one passage and groups whose teacher scores are all equal do not count; a
    step with nothing else is passed over. The warning comes once, with step, learning rate and the
    likely cause.

    Args:
        min_spread: share of the largest absolute score. Typical: 0.04 and more in health, below
            0.004 when collapsed.
        patience: steps in a row, of those looked at, that are collapsed before the guard speaks.
            NaN and infinity are reported at once.
        every_n_steps: batches from one look to the next; a look waits for the device, the steps
            between cost nothing.
        stop: end the run with the message as an error, instead of a warning.
    """

    def __init__(
        self,
        min_spread: float = 0.005,
        patience: int = 5,
        every_n_steps: int = 10,
        stop: bool = False,
    ) -> None:
        check(self, locals())
        self.min_spread = min_spread
        self.patience = patience
        self.every_n_steps = every_n_steps
        self.stop = stop
        self._first: _Look | None = None
        self._collapsed: list[int] = []
        """The last steps in a row that were collapsed."""
        self._groups = self._tied = 0.0
        self._told: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far: a run that goes on judges by it as if it had not been ended."""
        return {
            "first": None if self._first is None else list(self._first),
            "collapsed": list(self._collapsed),
            "groups": self._groups,
            "tied": self._tied,
            "told": sorted(self._told),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        first = state_dict["first"]
        self._first = None if first is None else _Look(*first)
        self._collapsed = list(state_dict["collapsed"])
        self._groups, self._tied = state_dict["groups"], state_dict["tied"]
        self._told = set(state_dict["told"])

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: GroupBatch,
        batch_idx: int,
    ) -> None:
        if (trainer.fit_loop.total_batch_idx + 1) % self.every_n_steps:
            return
        message = None
        if not isinstance(outputs, Mapping) or "scores" not in outputs:
            # one that was not asked for is no reason to stop
            needed = (
                "CollapseGuard needs a training_step that returns {'loss': ..., 'scores': [B, G]}"
            )
            if self.stop:
                raise InputError(needed)
            message = self._tell("blind", f"{needed}; it sees nothing of this run")
        elif batch.mask.numel():
            look = _look(outputs["loss"], outputs["scores"], batch.teacher, batch.mask)
            message = self._judge(look, trainer, pl_module)
        if self.stop:
            # all processes end together: the weights are the same, and so the first one's view is
            # enough
            message = trainer.strategy.broadcast(message)
        if message and self.stop:
            raise InputError(message)
        if message:
            rank_zero_warn(message)

    def _judge(self, look: _Look, trainer: L.Trainer, module: L.LightningModule) -> str | None:
        """The message for what is new, if anything is."""
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        where = f"CollapseGuard: step {trainer.global_step}, learning rate {rate:.3g}"
        self._groups += look.groups
        self._tied += look.groups - look.contrasts
        if not (math.isfinite(look.loss) and math.isfinite(look.largest)):
            scores_are_finite = math.isfinite(look.largest)
            found = (
                f"the loss is {look.loss}" if scores_are_finite else "scores are NaN or infinite"
            )
            cause = self._why_not_finite(look, trainer, module)
            return self._tell("not finite", f"{where}: {found}. Likely cause: {cause}")
        if not look.contrasts:
            return None
        self._first = self._first or look
        self._collapsed = (
            [*self._collapsed, trainer.global_step] if self._constant(look.spread, look) else []
        )
        if len(self._collapsed) < self.patience:
            return None
        found = (
            f"since step {self._collapsed[0]} the scores within a group are constant "
            f"(now {look.largest:.3g} at most, differing by {look.spread:.2g})"
        )
        cause = self._why_collapsed(look, trainer, module)
        return self._tell("collapsed", f"{where}: {found}. Likely cause: {cause}")

    def _constant(self, spread: float, look: _Look) -> bool:
        return spread <= self.min_spread * look.largest

    def _tell(self, kind: str, message: str) -> str | None:
        known = kind in self._told
        self._told.add(kind)
        return None if known else message

    def _why_not_finite(self, look: _Look, trainer: L.Trainer, module: L.LightningModule) -> str:
        if not all(p.isfinite().all() for p in module.parameters()):
            clip = "" if trainer.gradient_clip_val else ", or set --trainer.gradient_clip_val 1.0"
            return (
                "an exploding gradient, which has destroyed the weights; lower the learning rate"
                f"{clip}"
            )
        if not math.isfinite(look.largest):
            return (
                f"an overflow in the network at precision {trainer.precision}; try bf16-mixed or "
                "32-true"
            )
        return (
            f"the loss itself (the largest score is {look.largest:.3g}): a temperature near 0, or "
            "targets out of range"
        )

    def _why_collapsed(self, look: _Look, trainer: L.Trainer, module: L.LightningModule) -> str:
        if self._tied > self._groups / 2:
            return (
                f"the teacher, which scores all candidates alike in {self._tied:.0f} of "
                f"{self._groups:.0f} groups"
            )
        if not self._constant(look.span, look):
            limit = getattr(module, "max_length", "?")
            cause = (
                "the scores follow the question alone: passages cut off "
                f"(max_length {limit}), or too high a rate"
            )
        elif self._first is not None and self._constant(self._first.spread, self._first):
            cause = (
                "a dead head (frozen, or all zero): every passage has had the same score from the "
                "first look on"
            )
        else:
            cause = (
                "a learning rate too high, which has killed the head: every passage has the same "
                "score"
            )
        if str(trainer.precision).startswith("bf16") and look.spread == 0 < look.largest:
            step = torch.finfo(torch.bfloat16).eps * look.largest
            cause += (
                f"; or bf16 ties: such scores are rounded to multiples of about {step:.2g}, try "
                "32-true"
            )
        return cause
