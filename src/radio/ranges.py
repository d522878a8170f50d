"""Which values of a setting make sense: one table, and the check that constructors call.

A constructor calls ``check(self, locals())`` before it does anything else. Settings that must fit
each other (a stride and the length of its window) are compared where they meet; this table knows
each one for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from typing import Any

from radio.schema import InputError


@dataclass(frozen=True)
class Range:
    """Values from ``low`` to ``high``; neither NaN nor infinity is ever one of them.

    Args:
        low: lowest value.
        high: highest value.
        above: whether ``low`` itself is too low.
        below: whether ``high`` itself is too high.
        whole: whether only whole numbers are.
        share: whether a float is a share of the whole, and so at most 1, as in
            ``limit_val_batches``.
        also: further values, numbers or words, those with a meaning of their own.
    """

    low: float = -inf
    high: float = inf
    above: bool = False
    below: bool = False
    whole: bool = False
    share: bool = False
    also: tuple[int | str, ...] = ()

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Real | str) and value in self.also:
            return True
        if not isinstance(value, Real):
            return False
        number: Any = value
        if self.whole and not isinstance(value, Integral):
            return False
        if self.share and not isinstance(value, Integral) and number > 1:
            return False
        high_enough = number > self.low if self.above else number >= self.low
        low_enough = number < self.high if self.below else number <= self.high
        return bool(-inf < number < inf and high_enough and low_enough)

    def __str__(self) -> str:
        if self.high < inf:
            if self.above or self.below:
                text = f"{'above' if self.above else 'at least'} {self.low:g} and "
                text += f"{'below' if self.below else 'at most'} {self.high:g}"
            else:
                text = f"between {self.low:g} and {self.high:.10g}"
        elif self.low > -inf:
            text = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        else:
            text = "that is finite"
        kind = "a whole number" if self.whole else "a number"
        comma = "," if text.endswith("or more") else ""
        share = ", or a share of them up to 1.0" if self.share else ""
        also = "".join(f", or {value}" for value in self.also)
        return f"{kind}{comma} {text}{share}{also}"


def count(low: int, high: float = inf, also: tuple[int, ...] = ()) -> Range:
    """Whole numbers from ``low`` on."""
    return Range(low, high, whole=True, also=also)


FINITE = Range()
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
UNIT = Range(0, 1)
BELOW_ONE = Range(0, 1, below=True)
TOKENS = count(8)
"""Tokens of a text: with fewer, its special tokens and the question leave no room for anything."""
BATCHES = Range(0, share=True)
SEED = count(0, 2**32 - 1)
MERGED = Range(0, 1e9, also=("learnt",))
"""Weights of rankings that are merged; their sum is to be a number."""

RANGES: dict[str, dict[str, Range]] = {
    # rerankers
    "Reranker": {
        # 0 trains nothing: a control, whose difference to the base is 0
        "lr": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "warmup_ratio": UNIT,
        "max_length": TOKENS,
        "dropout": BELOW_ONE,
    },
    "BiEncoder": {"scale": POSITIVE, "multi_vector": NOT_NEGATIVE},
    "LateInteraction": {"dim": count(1), "query_tokens": count(0)},
    "LoRA": {"r": count(1), "alpha": POSITIVE, "dropout": BELOW_ONE},
    # engines
    "Ray": {
        "actors": count(1),
        "cpus": NOT_NEGATIVE,
        "gpus": NOT_NEGATIVE,
        "together": count(1),
    },
    # losses
    "InfoNCE": {"temperature": POSITIVE, "positives": count(1), "label_smoothing": BELOW_ONE},
    "_Distribution": {"temperature": POSITIVE, "teacher_temperature": POSITIVE},
    "KLDivergence": {"temperature": POSITIVE, "teacher_temperature": POSITIVE},
    "RankNet": {"teacher_temperature": POSITIVE},
    "MarginMSE": {"scale": POSITIVE},
    "PairwiseHinge": {"margin": POSITIVE, "threshold": BELOW_ONE},
    "PairwiseLogistic": {"temperature": POSITIVE, "threshold": BELOW_ONE},
    "Huber": {"delta": POSITIVE},
    "LambdaLoss": {"sigma": POSITIVE, "mu": POSITIVE, "k": count(1)},
    "ApproxNDCG": {"temperature": POSITIVE},
    "NeuralNDCG": {"temperature": POSITIVE, "iterations": count(1)},
    "ADRMSE": {"temperature": POSITIVE},
    # a weight below 0 pushes away from what its loss asks for; who writes that means it
    "WeightedSum": {"weights": FINITE},
    "NoisyTeacher": {"smoothing": BELOW_ONE, "temperature": POSITIVE},
    # samplers: ranks are 0-based, and a group has at least two candidates
    "Shift": {"positive": count(0), "negatives": count(0)},
    "Iteration": {"block": count(2), "depth": count(2), "per_epoch": count(1)},
    "FullList": {"size": count(2)},
    "AllNegatives": {"skip": count(1), "negatives": count(1)},
    "TopVsRandom": {"top": count(1), "negatives": count(1)},
    # teacher scores lie in [0, 1]
    "TeacherMargin": {"margin": UNIT, "negatives": count(1)},
    "MultiPositive": {"positives": count(1), "negatives": count(1)},
    "RetrieverNegatives": {
        "negatives": count(1),
        "first": count(0),
        "last": count(0),
        "margin": UNIT,
    },
    "HardNegatives": {"negatives": count(1), "margin": UNIT, "skip": count(1)},
    # teachers and encoders
    "Gated": {"floor": UNIT},
    "Blend": {
        # their sum is to be a number
        "weights": Range(0, 1e9),
        "temperature": POSITIVE,
        "entropy": Range(0, 1, above=True, below=True),
        "k": NOT_NEGATIVE,
    },
    "Entropy": {"temperature": POSITIVE},
    "RationaleSimilarity": {"top": count(1)},
    "RerankerTeacher": {"batch_size": count(1)},
    # a window of one passage has nothing to order
    "Listwise": {"window": count(2), "step": count(1), "passage_words": count(1)},
    "Utility": {"passage_words": count(1)},
    "AnswerFlip": {"both_right": UNIT, "both_wrong": UNIT},
    "PerplexityDistillation": {"temperature": POSITIVE},
    "LikelihoodGain": {"alpha": NOT_NEGATIVE},
    "LeaveOneOut": {"top_k": count(2)},
    "Encoder": {"max_length": TOKENS, "batch_size": count(1)},
    # retrievers
    "Dense": {"lists": count(1)},
    "BM25": {"k1": NOT_NEGATIVE, "b": UNIT},
    "Hybrid": {"weights": MERGED, "k": NOT_NEGATIVE, "depth": count(1)},
    # generators
    "SpanReader": {"max_words": count(1), "rank_discount": UNIT},
    "ExtractiveReader": {
        # half of it is the question's, and some of that the special tokens'
        "max_length": count(16),
        "stride": count(0),
        "max_answer_tokens": count(1),
        "spans": count(1),
        "rank_discount": UNIT,
        "batch_size": count(1),
    },
    # language models
    "AnthropicGenerator": {"max_tokens": count(1)},
    "OpenAIGenerator": {"max_tokens": count(1)},
    "TransformersGenerator": {"max_tokens": count(1)},
    "LanguageModel": {"max_tokens": count(1)},
    "ApiModel": {
        "max_tokens": count(1),
        "concurrency": count(1),
        "retries": count(0),
        "timeout": POSITIVE,
        "requests_per_minute": count(1),
        "tokens_per_minute": count(1),
        "prices": NOT_NEGATIVE,
        "max_cost": POSITIVE,
        "context_window": count(2),
    },
    "BatchModel": {"batch_size": count(1, 100_000), "poll_seconds": POSITIVE},
    # the APIs take no more in one batch
    "AnthropicModel": {"batch_size": count(1, 100_000), "poll_seconds": POSITIVE},
    "OpenAIModel": {"batch_size": count(1, 50_000), "poll_seconds": POSITIVE},
    "TransformersModel": {"max_tokens": count(1), "max_length": TOKENS, "batch_size": count(1)},
    # rationales
    "PromptWriter": {"passages": count(1)},
    "AnthropicWriter": {"passages": count(1)},
    "OpenAIWriter": {"passages": count(1)},
    "TransformersWriter": {"passages": count(1)},
    "NLIJudge": {"threshold": UNIT, "batch_size": count(1), "max_length": TOKENS},
    # a cosine
    "QualityChecks": {
        "max_words": count(1),
        "min_new_words": count(0),
        "min_similarity": Range(-1, 1),
    },
    # callbacks
    "GeneratorInTheLoop": {
        "top_k": count(1),
        "every_n_epochs": count(1),
        "max_questions": count(1),
    },
    "Fused": {"weights": MERGED, "k": NOT_NEGATIVE, "max_questions": count(1)},
    "CollapseGuard": {
        "min_spread": Range(0, 1, above=True, below=True),
        "patience": count(1),
        "every_n_steps": count(1),
    },
    "EarlyStopping": {"patience": count(0), "min_delta": FINITE},
    # data
    "RationaleDataModule": {
        "train_candidates": count(2),
        "eval_candidates": count(1),
        "batch_size": count(1),
        "eval_batch_size": count(1),
        "num_workers": count(0),
        "max_questions": count(1),
        "seed": SEED,
    },
    # Lightning's: what it would let pass, and what it would say less plainly
    "Trainer": {
        "max_epochs": count(1, also=(-1,)),
        "min_epochs": count(0),
        "max_steps": count(1, also=(-1,)),
        "min_steps": count(0),
        "accumulate_grad_batches": count(1),
        "gradient_clip_val": NOT_NEGATIVE,
        "devices": count(1, also=(-1,)),
        "num_nodes": count(1),
        "fast_dev_run": count(0),
        "limit_train_batches": Range(0, above=True, share=True),
        "limit_val_batches": BATCHES,
        "limit_test_batches": BATCHES,
        "limit_predict_batches": BATCHES,
        "overfit_batches": BATCHES,
        "val_check_interval": Range(0, above=True, share=True),
        "check_val_every_n_epoch": count(1),
        "num_sanity_val_steps": count(-1),
        "log_every_n_steps": count(0),
    },
    # commands
    # fewer draws have no 2.5 % quantile to speak of
    "radio compare": {"draws": count(100, 1_000_000)},
    "radio export": {"max_questions": count(1)},
    "radio predict": {"block": count(1)},
    "radio report": {"questions": count(1), "draws": count(100, 1_000_000)},
    "radio diagnose": {
        "questions": count(1),
        "seed": SEED,
        "top_k": count(1),
        "ks": count(1),
        "distractors": count(0),
        # a cosine
        "threshold": Range(-1, 1),
    },
    "radio rationales review": {"port": count(0, 65535), "limit": count(1)},
    "radio teachers report": {"top_k": count(1)},
    "radio index": {"part": count(0), "parts": count(1)},
    "radio transfer": {"top_k": count(1)},
    "the run": {"seed_everything": SEED},
}
"""By class (or command) and setting; a class has the entries of its base classes too. None is
always allowed: where a setting may be None, that has a meaning of its own."""

FREE: dict[str, tuple[str, ...]] = {"TransformersModel": ("devices",)}
"""Settings with numbers in them that are not for this table: Lightning knows which devices there
are."""


def check(part: object, settings: Mapping[str, Any]) -> None:
    """Refuse settings outside their range.

    Args:
        part: whose settings they are: an object, or the name of a command.
        settings: values by name, such as the ``locals()`` of a constructor; what the table does not
            have is passed over. In a list or a mapping each item counts.

    Raises:
        InputError: names the class, the setting, the value and what is expected.
    """
    kinds = [part] if isinstance(part, str) else [kind.__name__ for kind in type(part).__mro__]
    name = part if isinstance(part, str) else type(part).__name__
    for kind in kinds:
        for setting, allowed in RANGES.get(kind, {}).items():
            for place, value in _numbers(setting, settings.get(setting)):
                if value not in allowed:
                    raise InputError(f"{name}: {place}: found {value!r}, expected {allowed}")


def _numbers(place: str, value: object) -> Iterator[tuple[str, object]]:
    """The values of a setting, each with its name: those in a mapping have their key in it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(f"{place}.{key}", item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _numbers(place, item)
    elif value is not None:
        yield place, value
