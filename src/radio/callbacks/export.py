"""The best reranker of a run as a plain Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from radio.callbacks.rankings import rankings_of
from radio.evaluation.results import gain_over_base
from radio.evaluation.table import no_better
from radio.processes import stopping_together
from radio.reporting.loggers import log_export
from radio.rerankers import Reranker, finite
from radio.rerankers.sharding import is_sharded


class ExportHuggingFace(L.Callback):
    """After training, writes the best reranker to ``export/`` of the run folder as a plain Hugging
    Face folder.

    "Best" is what the run's ModelCheckpoint monitors; without one, the last weights are taken. Its
    model card holds the figures of the validation of these very weights, and a warning where they
    are no better than the untrained model.

    Args:
        artifact: give the folder to W&B too, as an artifact of the run, where that logger is on.
    """

    def __init__(self, artifact: bool = True) -> None:
        self.artifact = artifact
        self._validations: dict[str, dict[str, Any]] = {}
        """What each validation found, by the step after which it was: figures and gain over the
        base."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (
            trainer.sanity_checking
            or trainer.state.fn != "fit"
            or not isinstance(pl_module, Reranker)
        ):
            return
        figures = {}
        for name, value in trainer.callback_metrics.items():
            if name.startswith("validation/"):
                figures[name] = float(value)
        results = rankings_of(trainer).results
        self._validations[str(trainer.global_step)] = {
            "figures": figures,
            "gain": gain_over_base(results, "validation", monitored(trainer)),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._validations = state_dict["validations"]

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.fast_dev_run or not isinstance(pl_module, Reranker):  # type: ignore[attr-defined]
            return
        tuned, weights = pl_module.network, None
        if is_sharded(tuned) and trainer.strategy.broadcast(best_checkpoint(trainer)) is None:
            # gathered by all processes
            weights = trainer.strategy.lightning_module_state_dict()
        try:
            with stopping_together(pl_module.device, slow=True):
                if trainer.is_global_zero:
                    self._export(trainer, pl_module, weights)
        finally:
            pl_module.network = tuned

    def _export(self, trainer: L.Trainer, module: Reranker, weights: dict[str, Any] | None) -> None:
        best = best_checkpoint(trainer)
        step = trainer.global_step
        checkpoint: dict[str, Any] = {}
        if best:
            checkpoint = torch.load(best, weights_only=True, map_location="cpu")
            weights = checkpoint["state_dict"]
        if is_sharded(module.network):
            module.network = module.fresh_network()
        if weights is not None:
            module.load_state_dict(weights)
        if best:
            step = checkpoint["global_step"]
            finite.check_weights(module, f"nothing is exported: {best}")
        validation = self._validations.get(str(step), {"figures": {}, "gain": None})
        card = model_card(module, step, validation["figures"], validation["gain"])
        folder = module.export(Path(trainer.default_root_dir) / "export", card)
        rank_zero_info(f"exported the reranker to {folder}")
        if self.artifact:
            log_export(trainer.loggers, folder, {"step": step, **validation["figures"]})


def monitored(trainer: L.Trainer) -> str | None:
    """What the run's checkpoints are chosen by, for example ``validation/nDCG@5``."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor:
            return callback.monitor
    return None


def best_checkpoint(trainer: L.Trainer) -> str | None:
    """Path of the best checkpoint by the first monitored metric, or of the last one if none is
    monitored."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    for callback in sorted(callbacks, key=lambda c: c.monitor is None):
        path = callback.best_model_path or callback.last_model_path
        if path and Path(path).is_file():
            return path
    return None


def model_card(
    module: Reranker, step: int, figures: Mapping[str, float], gain: Mapping[str, Any] | None
) -> str:
    """README of the exported folder: what it is, how to load it, how it was made.

    Args:
        module: the reranker.
        step: of its weights.
        figures: of the validation of these weights.
        gain: what :func:`radio.evaluation.results.gain_over_base` found there.
    """
    kind = type(module).__name__
    table = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted(figures.items()))
    doubt = no_better(gain)
    warning = f"\n> **Warning**: {doubt}\n" if doubt else ""
    return f"""---
base_model: {module.model}
library_name: sentence-transformers
tags: [reranking, retrieval-augmented-generation, rationale-distillation]
---

# A {kind} fine-tuned by rationale distillation
{warning}
Made with [RADIO](https://arxiv.org/abs/2412.08519): `{module.model}` was trained to order \
the candidate passages of a
question as a teacher does that has seen the answer and a rationale for it. Neither is needed \
for reranking.

```python
{module.usage()}
```

| training | |
|---|---|
| loss | {type(module.loss).__name__} |
| learning rate | {module.lr:g} |
| steps | {step} |
| maximum length | {module.max_length} |

Figures of the validation of these weights (training and validation questions only; test figures \
are in the run folder):

| metric | value |
|---|---|
{table}
"""
