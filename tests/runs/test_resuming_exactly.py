"""A run that was killed goes on to the same result, bit for bit, whatever it trains: every reranker
with every sampler, and every schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import radio.rerankers
import radio.samplers
from radio.losses import InfoNCE, KLDivergence, ListNet, MarginMSE, NoisyTeacher, WeightedSum
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, LoRA, Reranker, YesNoLM
from radio.samplers import (
    AllNegatives,
    FullList,
    GroupSampler,
    HardNegatives,
    Iteration,
    MultiPositive,
    RetrieverNegatives,
    Shift,
    TeacherMargin,
    TopVsRandom,
)
from tests.conftest import make_world
from tests.rerankers.test_yes_no import make_decoder
from tests.runs.restarting import Setting, killed_at

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*exists and is not empty", "ignore:.*could not find the monitored key"
)

RERANKERS: dict[str, Setting] = {
    "cross-encoder": Setting(CrossEncoder),
    "bi-encoder": Setting(BiEncoder),
    "question side": Setting(BiEncoder, arguments={"train_side": "question", "multi_vector": 0.5}),
    "late interaction": Setting(LateInteraction, arguments={"query_tokens": 24, "dim": 8}),
    "yes or no": Setting(YesNoLM, arguments={"max_length": 320, "dropout": None}),
    "adapters": Setting(CrossEncoder, arguments={"lora": LoRA(r=2, dropout=0.1)}),
}
SAMPLERS: dict[str, Any] = {
    "all negatives": AllNegatives,
    "full list": lambda: FullList(3),
    "hard negatives": lambda: HardNegatives(2, margin=0),
    "iteration": lambda: Iteration(per_epoch=1),
    "several positives": lambda: MultiPositive(2, 2),
    "retriever's negatives": lambda: RetrieverNegatives(2),
    "shift": lambda: Shift(0, (1, 3, 4)),
    "margin": lambda: TeacherMargin(negatives=2),
    "top or random": lambda: TopVsRandom(2, 2),
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {},
    "warm-up": {"arguments": {"warmup_ratio": 0.7}},
    "a loss that gives way to another": {
        "loss": lambda: WeightedSum(
            {"kl": KLDivergence(teacher_temperature=0.1), "nce": InfoNCE()},
            {"kl": [1.0, 0.0], "nce": [0.0, 1.0]},
        )
    },
    "a loss in a loss": {
        "loss": lambda: NoisyTeacher(
            WeightedSum({"list": ListNet(), "margin": MarginMSE()}, {"margin": [0.0, 2.0]}),
            smoothing=0.1,
        )
    },
    "several batches a step": {"trainer": {"accumulate_grad_batches": 2}},
    "steps instead of epochs": {"trainer": {"max_epochs": -1, "max_steps": 7}},
    "clipped gradients": {"trainer": {"gradient_clip_val": 0.1}},
    "batches from another process": {"workers": 1},
}
DIAGONAL = [
    (list(RERANKERS)[number % len(RERANKERS)], sampler, list(SCHEDULES)[number % len(SCHEDULES)])
    for number, sampler in enumerate(SAMPLERS)
]
"""Each reranker, sampler and schedule once at least."""
PAIRS = [(reranker, sampler) for reranker in RERANKERS for sampler in SAMPLERS]
LATER = [pair for pair in PAIRS if pair not in {entry[:2] for entry in DIAGONAL}]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_decoder(tmp_path_factory.mktemp("decoder"), "qwen3")


@pytest.fixture
def stopped(tiny_bert: str, decoder: str, tmp_path: Any) -> Any:
    """How runs of a reranker, a sampler and a schedule differ that were stopped at some moments."""

    def run(reranker: str, sampler: str, schedule: str, *moments: str) -> dict[str, str | None]:
        setting = RERANKERS[reranker]
        changes = dict(SCHEDULES[schedule])
        changes["arguments"] = {**setting.arguments, **changes.get("arguments", {})}
        setting = replace(
            setting,
            model=decoder if setting.reranker is YesNoLM else tiny_bert,
            sampler=SAMPLERS[sampler],
            **changes,
        )
        return killed_at(make_world(tmp_path / "world", topics=6), setting, moments)

    return run


def test_all_rerankers_and_samplers_are_in_the_table() -> None:
    shipped = {
        value
        for value in vars(radio.rerankers).values()
        if isinstance(value, type) and issubclass(value, Reranker) and value is not Reranker
    }
    assert {setting.reranker for setting in RERANKERS.values()} == shipped
    samplers = {
        value
        for value in vars(radio.samplers).values()
        if isinstance(value, type) and issubclass(value, GroupSampler) and value is not GroupSampler
    }
    assert {type(make()) for make in SAMPLERS.values()} == samplers


@pytest.mark.parametrize(("reranker", "sampler", "schedule"), DIAGONAL)
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    reranker: str, sampler: str, schedule: str, stopped: Any
) -> None:
    found = stopped(reranker, sampler, schedule, "before batch 3", "before batch 6")
    assert list(found.values()) == [None, None], found


@pytest.mark.slow
@pytest.mark.parametrize(("reranker", "sampler"), LATER)
def test_every_reranker_with_every_sampler(reranker: str, sampler: str, stopped: Any) -> None:
    # in the middle of the second epoch: 8 questions are 4 batches
    found = stopped(reranker, sampler, "linear", "before batch 7")
    assert list(found.values()) == [None], found
