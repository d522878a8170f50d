"""Callbacks: ranking metrics, the generator in the loop, a guard against collapse, the Hugging Face export."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from radio.formats import Run, ranked, write_run
from radio.generators import Generator, Prompt, SpanReader
from radio.metrics import exact_match, f1, findable, has_answer, ranking_metrics, relevance_of
from radio.rerankers import Reranker
from radio.schema import Example, InputError


def orders(trainer: L.Trainer, module: Reranker, split: str) -> dict[str, Run]:
    """The rankings of the questions just evaluated, complete on every process: retriever, base and tuned reranker."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    tuned = module.ranking
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts: list[Run] = [{}] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, tuned)
        tuned = {question: scores for part in parts for question, scores in part.items()}
    # in the order of the data set, whatever the processes and the limits on batches were
    examples = [e for e in data.examples[split] if e.question.id in tuned]
    base = module.base_rankings.setdefault(split, {})
    unseen = [e for e in examples if e.question.id not in base]
    if unseen:
        with trainer.precision_plugin.forward_context():
            base.update(module.rank_untrained(data.loader(unseen)))
    return {
        "retriever": {e.question.id: {c.passage_id: c.score for c in e.candidates} for e in examples},
        "base": {e.question.id: base[e.question.id] for e in examples},
        "tuned": {e.question.id: tuned[e.question.id] for e in examples},
    }


class _Evaluation(L.Callback):
    """Runs :meth:`evaluate` after each validation and test; its numbers go to the logger and the run folder."""

    def evaluate(self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]) -> list[str]:
        """Add per-question numbers to ``module.results`` and return the names of the metrics."""
        raise NotImplementedError

    def _run(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        if trainer.sanity_checking:
            return
        if not isinstance(module, Reranker):
            raise InputError(f"{type(self).__name__} needs a radio Reranker, found {type(module).__name__}")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        names = self.evaluate(trainer, module, split, {e.question.id: e for e in data.examples[split]})
        for system, means in module.results.means(split).items():
            # every process has the same numbers, because each has evaluated all questions
            prefix = split if system == "tuned" else f"{split}/{system}"
            module.log_dict({f"{prefix}/{name}": means[name] for name in names if name in means})
        for name, paired in module.results.difference(split, "tuned", "base", names).items():
            prefix = f"{split}/tuned-base/{name}"
            module.log_dict(
                {prefix: paired["difference"], f"{prefix}/low": paired["low"], f"{prefix}/high": paired["high"]}
            )

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "test")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero and not trainer.sanity_checking and isinstance(pl_module, Reranker):
            pl_module.results.write(Path(trainer.default_root_dir))

    on_test_end = on_validation_end


class RankEvaluation(_Evaluation):
    """Ranking metrics before and after, and the rankings as TREC runs ``<split>.<system>.trec``.

    Each metric is computed

    - against the answer-bearing passages (``ndcg@5``), for questions whose answers a passage can contain, as a name
      and unlike a verdict;
    - against the annotated passages (``gold_ndcg@5``; recall counts those that no retriever found too), for questions
      that have some;
    - against the teacher's scores (``teacher_ndcg@5``; linear gain; for ``teacher_mrr`` and the like the teacher's best
      passage alone is relevant), for questions that the teacher has scored.

    Args:
        metrics: ``mrr``, ``ndcg@k``, ``recall@k``, ``precision@k`` for any k.
    """

    def __init__(self, metrics: Sequence[str] = ("mrr", "ndcg@5", "recall@5", "precision@1")) -> None:
        try:
            ranking_metrics([], metrics)
        except ValueError as error:
            raise InputError(f"RankEvaluation: {error}") from None
        self.metrics = list(metrics)

    def evaluate(self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]) -> list[str]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rankings = orders(trainer, module, split)
        for system, run in rankings.items():
            for question, scores in run.items():
                example = examples[question]
                order = [c.passage_id for c in ranked(scores)]
                answers = example.question.golden_answers
                values = {}
                if findable(answers):
                    gains = {p: float(has_answer(data.corpus[p].contents, answers)) for p in order}
                    values = ranking_metrics(relevance_of(order, gains), self.metrics)
                if gold := example.question.gold:
                    # those that were not retrieved stand behind the last place
                    relevance = relevance_of([*order, *(gold.keys() - set(order))], gold)
                    found = ranking_metrics(relevance, self.metrics)
                    values |= {f"gold_{name}": value for name, value in found.items()}
                if example.teacher:
                    values |= self._against_teacher(order, dict(example.teacher))
                module.results.add(
                    split, system, question, values, passage_ids=order, scores=[scores[p] for p in order]
                )
            if trainer.is_global_zero:
                write_run(Path(trainer.default_root_dir) / f"{split}.{system}.trec", run, system)
        return [prefix + name for prefix in ("", "gold_", "teacher_") for name in self.metrics]

    def _against_teacher(self, order: list[str], teacher: dict[str, float]) -> dict[str, float]:
        best = max(teacher.values())
        top = {p: float(score == best) for p, score in teacher.items()}
        values = {}
        for name in self.metrics:
            gains = teacher if name.startswith("ndcg") else top
            values[f"teacher_{name}"] = ranking_metrics(relevance_of(order, gains), [name])[name]
        return values


class GeneratorInTheLoop(_Evaluation):
    """Asks a generator with the top passages of each ranking: EM, F1, and whether an answer was there to be read.

    Answers are kept in the data module's cache, by generator, question and passages: none is asked for twice.

    Args:
        generator: None is :class:`radio.generators.SpanReader`.
        top_k: passages that it reads (published: 5). A list asks once for each number, and the metrics then say which:
            ``em@1``, ``em@5``.
        every_n_epochs: validations during training that are skipped in between; tests are never skipped.
    """

    def __init__(self, generator: Generator | None = None, top_k: int | list[int] = 5, every_n_epochs: int = 1) -> None:
        # the name of a metric does not change because another number is asked for too
        self._suffixes = {k: f"@{k}" for k in top_k} if isinstance(top_k, list) else {top_k: ""}
        if min(self._suffixes, default=0) < 1 or every_n_epochs < 1:
            raise InputError(f"GeneratorInTheLoop: found top_k={top_k}, every_n_epochs={every_n_epochs}, expected >= 1")
        self.generator = generator or SpanReader()
        self.top_k = top_k
        self.every_n_epochs = every_n_epochs

    def evaluate(self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]) -> list[str]:
        if trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every_n_epochs:
            return []
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        prompts: dict[tuple[str, str, str], Prompt] = {}
        for system, run in orders(trainer, module, split).items():
            for question, scores in run.items():
                order = ranked(scores)
                for k, suffix in self._suffixes.items():
                    passages = tuple(data.corpus[c.passage_id] for c in order[:k])
                    prompts[system, question, suffix] = Prompt(examples[question].question, passages)
        # one process asks, so that nothing is paid for twice; the others wait for its answers
        answers = self._ask(list(prompts.values()), data.cache) if trainer.is_global_zero else []
        answers = trainer.strategy.broadcast(answers)
        for ((system, question, suffix), prompt), answer in zip(prompts.items(), answers, strict=True):
            golden = prompt.question.golden_answers
            values = {"em": exact_match(answer, golden), "f1": f1(answer, golden)} if golden else {}
            if findable(golden):
                values["answer_in_context"] = float(any(has_answer(p.contents, golden) for p in prompt.passages))
            module.results.add(
                split,
                system,
                question,
                {name + suffix: value for name, value in values.items()},
                question=prompt.question.question,
                golden_answers=list(golden),
                **{f"answer{suffix}": answer},
            )
        return [name + suffix for suffix in self._suffixes.values() for name in ("em", "f1", "answer_in_context")]

    def _ask(self, prompts: list[Prompt], cache: Any) -> list[str]:
        keys = [self.generator.key(prompt) for prompt in prompts]
        missing = dict(zip(keys, prompts, strict=True))
        for key in cache.get(keys):
            missing.pop(key)
        if missing:
            from tqdm import tqdm

            todo = list(missing.items())
            self.generator.prefetch([prompt for _, prompt in todo], cache)
            model = getattr(self.generator, "model", type(self.generator).__name__)
            with tqdm(total=len(todo), desc="generator", unit="answer", leave=False) as bar:
                for start in range(0, len(todo), 32):
                    part = todo[start : start + 32]
                    answers = self.generator.answer([prompt for _, prompt in part])
                    rows = {
                        key: {
                            "id": prompt.question.id,
                            "question": prompt.question.question,
                            "answer": a,
                            "model": model,
                        }
                        for (key, prompt), a in zip(part, answers, strict=True)
                    }
                    cache.put_json("answer", rows)
                    bar.update(len(part))
        stored = cache.get_json(keys)
        return [stored[key]["answer"] for key in keys]


class _Look(NamedTuple):
    """One training step as numbers, fetched from the device at once."""

    loss: float
    largest: float
    """Of the absolute scores."""
    spread: float
    """Highest minus lowest score, of the group where it is largest; groups without a contrast do not count."""
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

    Collapsed is a step in which the scores of every group are all but constant, compared in fp32: highest minus lowest
    is at most ``min_spread`` times the largest absolute score of the step. (A fresh head begins with small scores, but
    they differ; dropout lets those of a collapsed encoder tremble.) Groups of one passage and groups whose teacher
    scores are all equal do not count; a step with nothing else is passed over. The warning comes once, with step,
    learning rate and the likely cause.

    Args:
        min_spread: share of the largest absolute score. Typical: 0.04 and more in health, below 0.004 when collapsed.
        patience: steps in a row, of those looked at, that are collapsed before the guard speaks. NaN and infinity are
            reported at once.
        every_n_steps: batches from one look to the next; a look waits for the device, the steps between cost nothing.
        stop: end the run with the message as an error, instead of a warning.
    """

    def __init__(
        self, min_spread: float = 0.005, patience: int = 5, every_n_steps: int = 10, stop: bool = False
    ) -> None:
        if not (min_spread > 0 and patience >= 1 and every_n_steps >= 1):
            raise InputError(
                f"CollapseGuard: found min_spread={min_spread}, patience={patience}, every_n_steps={every_n_steps}; "
                "expected > 0, >= 1, >= 1"
            )
        self.min_spread = min_spread
        self.patience = patience
        self.every_n_steps = every_n_steps
        self.stop = stop
        self._first: _Look | None = None
        self._collapsed: list[int] = []
        """The last steps in a row that were collapsed."""
        self._groups = self._tied = 0.0
        self._told: set[str] = set()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.fit_loop.total_batch_idx + 1) % self.every_n_steps or not batch.mask.numel():
            return
        if not isinstance(outputs, Mapping) or "scores" not in outputs:
            raise InputError("CollapseGuard needs a training_step that returns {'loss': ..., 'scores': [B, G]}")
        look = _look(outputs["loss"], outputs["scores"], batch.teacher, batch.mask)
        message = self._judge(look, trainer, pl_module)
        if self.stop:
            # all processes end together: the weights are the same, and so the first one's view is enough
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
            found = f"the loss is {look.loss}" if math.isfinite(look.largest) else "scores are NaN or infinite"
            return self._tell(
                "not finite", f"{where}: {found}. Likely cause: {self._why_not_finite(look, trainer, module)}"
            )
        if not look.contrasts:
            return None
        self._first = self._first or look
        self._collapsed = [*self._collapsed, trainer.global_step] if self._constant(look.spread, look) else []
        if len(self._collapsed) < self.patience:
            return None
        found = (
            f"since step {self._collapsed[0]} the scores within a group are constant (now {look.largest:.3g} at most, "
        )
        found += f"differing by {look.spread:.2g})"
        return self._tell("collapsed", f"{where}: {found}. Likely cause: {self._why_collapsed(look, trainer, module)}")

    def _constant(self, spread: float, look: _Look) -> bool:
        return spread <= self.min_spread * look.largest

    def _tell(self, kind: str, message: str) -> str | None:
        known = kind in self._told
        self._told.add(kind)
        return None if known else message

    def _why_not_finite(self, look: _Look, trainer: L.Trainer, module: L.LightningModule) -> str:
        if not all(p.isfinite().all() for p in module.parameters()):
            clip = "" if trainer.gradient_clip_val else ", or set --trainer.gradient_clip_val 1.0"
            return f"an exploding gradient, which has destroyed the weights; lower the learning rate{clip}"
        if not math.isfinite(look.largest):
            return f"an overflow in the network at precision {trainer.precision}; try bf16-mixed or 32-true"
        return (
            f"the loss itself (the largest score is {look.largest:.3g}): a temperature near 0, or targets out of range"
        )

    def _why_collapsed(self, look: _Look, trainer: L.Trainer, module: L.LightningModule) -> str:
        if self._tied > self._groups / 2:
            return f"the teacher, which scores all candidates alike in {self._tied:.0f} of {self._groups:.0f} groups"
        if not self._constant(look.span, look):
            limit = getattr(module, "max_length", "?")
            cause = f"the scores follow the question alone: passages cut off (max_length {limit}), or too high a rate"
        elif self._first is not None and self._constant(self._first.spread, self._first):
            cause = "a dead head (frozen, or all zero): every passage has had the same score from the first look on"
        else:
            cause = "a learning rate too high, which has killed the head: every passage has the same score"
        if str(trainer.precision).startswith("bf16") and look.spread == 0 < look.largest:
            step = torch.finfo(torch.bfloat16).eps * look.largest
            cause += f"; or bf16 ties: such scores are rounded to multiples of about {step:.2g}, try 32-true"
        return cause


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
