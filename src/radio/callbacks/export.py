"""The best reranker of a run as a plain Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from radio.rerankers import Reranker


class ExportHuggingFace(L.Callback):
    """After training, writes the best reranker to ``export/`` of the run folder as a plain Hugging Face folder.

    "Best" is what the run's ModelCheckpoint monitors; without one, the last weights are taken.
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run or not isinstance(pl_module, Reranker):  # type: ignore[attr-defined]
            return
        best = best_checkpoint(trainer)
        if best:
            state = torch.load(best, weights_only=True, map_location="cpu")["state_dict"]
            pl_module.load_state_dict(state)
        folder = pl_module.export(Path(trainer.default_root_dir) / "export")
        (folder / "README.md").write_text(model_card(pl_module, trainer), encoding="utf-8")
        rank_zero_info(f"exported the reranker to {folder}")


def best_checkpoint(trainer: L.Trainer) -> str | None:
    """Path of the best checkpoint by the first monitored metric, or of the last one if none is monitored."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    for callback in sorted(callbacks, key=lambda c: c.monitor is None):
        path = callback.best_model_path or callback.last_model_path
        if path and Path(path).is_file():
            return path
    return None


def model_card(module: Reranker, trainer: L.Trainer) -> str:
    """README of the exported folder: what it is, how to load it, how it was made."""
    kind = type(module).__name__
    monitored = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("validation/")}
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted(monitored.items()))
    return f"""---
base_model: {module.model}
library_name: sentence-transformers
tags: [reranking, retrieval-augmented-generation, rationale-distillation]
---

# A {kind} fine-tuned by rationale distillation

Made with [RADIO](https://arxiv.org/abs/2412.08519): `{module.model}` was trained to order the candidate passages of a
question as a teacher does that has seen the answer and a rationale for it. Neither is needed for reranking.

```python
{module.usage()}
```

| training | |
|---|---|
| loss | {type(module.loss).__name__} |
| learning rate | {module.lr:g} |
| steps | {trainer.global_step} |
| maximum length | {module.max_length} |

Figures of the last validation (training and validation questions only; test figures are in the run folder):

| metric | value |
|---|---|
{rows}
"""
