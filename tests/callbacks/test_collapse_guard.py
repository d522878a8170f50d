"""CollapseGuard: it speaks when scores become constant or NaN, names the cause, and is silent
otherwise."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from radio.batching import pad
from radio.callbacks import CollapseGuard
from radio.schema import InputError
from tests.conftest import ROOT, make_world
from tests.runs.restarting import Setting, killed_at

Radio = Callable[..., tuple[int, str, str]]


class Steps:
    """Shows a guard one step after the other, as Lightning would; ``messages`` are its warnings."""

    def __init__(
        self, guard: CollapseGuard, precision: str = "32-true", clip: float | None = None
    ) -> None:
        self.guard = guard
        self.module: Any = nn.Linear(2, 1)
        self.module.max_length = 48
        self.count = 0
        self.messages: list[str] = []
        self.trainer: Any = SimpleNamespace(
            global_step=0,
            precision=precision,
            gradient_clip_val=clip,
            fit_loop=SimpleNamespace(total_batch_idx=-1),
            optimizers=[torch.optim.SGD(self.module.parameters(), lr=0.25)],
            strategy=SimpleNamespace(broadcast=lambda message: message),
        )

    def show(
        self,
        scores: Sequence[Sequence[float]],
        teacher: Sequence[Sequence[float]],
        loss: float = 1.0,
        times: int = 1,
    ) -> list[str]:
        """The warnings of these steps."""
        values, mask = pad(scores)
        # padding may hold anything
        values[~mask] = 1e9
        batch: Any = SimpleNamespace(teacher=pad(teacher)[0], mask=mask)
        before = len(self.messages)
        for _ in range(times):
            self.count += 1
            self.trainer.global_step = self.count
            self.trainer.fit_loop.total_batch_idx = self.count - 1
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                outputs = {"loss": torch.tensor(loss), "scores": values}
                self.guard.on_train_batch_end(self.trainer, self.module, outputs, batch, 0)
            self.messages += [str(w.message) for w in caught]
        return self.messages[before:]


LEARNS, TIED = [[0.9, 0.1, 0.2], [0.3, 0.7]], [[0.5, 0.5, 0.5], [0.1, 0.1]]
SPREAD, CONSTANT, BY_QUESTION = (
    [[1.0, 2.0, 0.5], [0.1, 0.2]],
    [[3.0] * 3, [3.0] * 2],
    [[3.0] * 3, [1.0] * 2],
)


def guard(**settings: Any) -> CollapseGuard:
    return CollapseGuard(**{"every_n_steps": 1, "patience": 3, **settings})


def test_it_speaks_once_after_patience_steps_and_names_step_rate_and_cause() -> None:
    steps = Steps(guard())
    assert steps.show(SPREAD, LEARNS, times=4) == []
    assert steps.show(CONSTANT, LEARNS, times=2) == []
    (message,) = steps.show(CONSTANT, LEARNS)
    assert "step 7, learning rate 0.25" in message
    assert (
        "since step 5 the scores within a group are constant (now 3 at most, differing by 0)"
        in message
    )
    assert "learning rate too high" in message
    assert steps.show(CONSTANT, LEARNS, times=9) == []


def test_a_guard_of_a_run_that_goes_on_judges_by_what_it_saw_before(tmp_path: Path) -> None:
    def go_on(before: Steps) -> Steps:
        torch.save(before.guard.state_dict(), tmp_path / "state.pt")
        steps = Steps(guard())
        steps.guard.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        steps.count = before.count
        return steps

    steps = Steps(guard())
    assert steps.show(SPREAD, LEARNS, times=4) == []
    assert steps.show(CONSTANT, LEARNS, times=2) == []
    steps = go_on(steps)
    (message,) = steps.show(CONSTANT, LEARNS)
    assert "since step 5" in message
    # its first look was of before: the head is not dead from the beginning
    assert "learning rate too high" in message
    assert go_on(steps).show(CONSTANT, LEARNS, times=9) == []
    assert go_on(Steps(guard())).show(CONSTANT, LEARNS, times=2) == []


def test_a_checkpoint_holds_what_the_guard_saw(tiny_bert: str, tmp_path: Path) -> None:
    # everything counts as constant, so that each step changes what it knows
    setting = Setting(
        model=tiny_bert,
        callbacks=lambda: [CollapseGuard(min_spread=0.99, patience=99, every_n_steps=1)],
    )
    found = killed_at(make_world(tmp_path / "world", topics=6), setting, ["before batch 6"])
    assert list(found.values()) == [None], found


def test_a_step_that_tells_passages_apart_starts_the_count_again() -> None:
    steps = Steps(guard())
    for _ in range(4):
        assert steps.show(CONSTANT, LEARNS, times=2) == []
        assert steps.show(SPREAD, LEARNS) == []
        # one group is enough
        assert steps.show([[3.0] * 3, [0.1, 0.2]], LEARNS) == []


@pytest.mark.parametrize(
    ("scores", "teacher"),
    [
        (CONSTANT, TIED),
        ([[3.0], [3.0]], [[0.1], [0.9]]),
        (CONSTANT, [[math.nan] * 3, [math.nan] * 2]),
        ([[3.0, 3.0], [1.0, 2.0]], [[0.5, 0.5], [0.1, 0.2]]),
    ],
    ids=["all tied", "single passages", "no teacher", "the tied one is constant"],
)
def test_groups_without_a_contrast_do_not_count(scores: Any, teacher: Any) -> None:
    steps = Steps(guard(patience=1))
    assert steps.show(scores, teacher, times=5) == []


def test_steps_without_a_contrast_neither_count_nor_reset() -> None:
    steps = Steps(guard(patience=2))
    assert steps.show(CONSTANT, LEARNS) == []
    assert steps.show(SPREAD, TIED, times=5) == []
    (message,) = steps.show(CONSTANT, LEARNS)
    assert "since step 1" in message
    assert "the teacher, which scores all candidates alike in 10 of 14 groups" in message


@pytest.mark.parametrize(
    ("scores", "precision", "expected"),
    [
        (CONSTANT, "32-true", "dead head"),
        (BY_QUESTION, "32-true", "follow the question alone: passages cut off (max_length 48)"),
        (
            CONSTANT,
            "bf16-mixed",
            "or bf16 ties: such scores are rounded to multiples of about 0.023",
        ),
        ([[0.0] * 3, [0.0] * 2], "bf16-mixed", "dead head"),
    ],
)
def test_the_likely_cause(scores: Any, precision: str, expected: str) -> None:
    steps = Steps(guard(patience=1), precision)
    (message,) = steps.show(scores, LEARNS)
    assert expected in message
    assert ("bf16" in message) == ("bf16" in expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_infinity_are_reported_at_once(bad: float) -> None:
    steps = Steps(guard())
    (message,) = steps.show(SPREAD, TIED, loss=bad)
    assert f"step 1, learning rate 0.25: the loss is {bad}" in message
    assert "temperature near 0" in message

    (message,) = Steps(guard(), "16-mixed").show([[bad, 0.0, 1.0], [1.0, 2.0]], LEARNS, loss=bad)
    assert "scores are NaN or infinite" in message
    assert "overflow in the network at precision 16-mixed" in message

    for clip, hint in ((None, True), (1.0, False)):
        steps = Steps(guard(), clip=clip)
        steps.module.weight.data[0, 0] = bad
        (message,) = steps.show([[bad, 0.0, 1.0], [1.0, 2.0]], LEARNS, loss=bad)
        assert "exploding gradient" in message
        assert ("gradient_clip_val" in message) == hint
        assert steps.show([[bad, 0.0, 1.0], [1.0, 2.0]], LEARNS, loss=bad, times=3) == []


def test_small_differences_are_seen_in_fp32() -> None:
    close = [[1.0, 1.0001, 1.0], [0.5, 0.5]]
    assert Steps(guard(patience=1, min_spread=5e-5)).show(close, LEARNS) == []
    assert len(Steps(guard(patience=1, min_spread=5e-4)).show(close, LEARNS)) == 1


def test_the_steps_in_between_are_not_touched() -> None:
    watched = guard(every_n_steps=4, patience=1)
    steps = Steps(watched)
    untouched: Any = object()
    for done in (1, 2, 3, 5):
        steps.trainer.fit_loop.total_batch_idx = done - 1
        watched.on_train_batch_end(steps.trainer, steps.module, untouched, SimpleNamespace(), 0)
    steps.count = 7
    assert len(steps.show(CONSTANT, LEARNS)) == 1


def test_a_training_step_that_returns_no_scores_is_told_once_and_ends_the_run_only_if_asked() -> (
    None
):
    batch: Any = SimpleNamespace(teacher=pad(LEARNS)[0], mask=pad(LEARNS)[1])
    watched = guard()
    steps = Steps(watched)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(3):
            steps.trainer.fit_loop.total_batch_idx = number
            watched.on_train_batch_end(steps.trainer, steps.module, torch.tensor(1.0), batch, 0)
    (message,) = [str(w.message) for w in caught]
    assert "it sees nothing of this run" in message
    with pytest.raises(InputError, match="needs a training_step that returns"):
        guard(stop=True).on_train_batch_end(steps.trainer, steps.module, None, batch, 0)


def test_a_process_whose_batch_is_empty_takes_part_in_what_all_decide() -> None:
    asked: list[object] = []
    steps = Steps(guard(stop=True))
    steps.trainer.strategy = SimpleNamespace(broadcast=asked.append)
    assert steps.show([], []) == []
    assert asked == [None]


@pytest.mark.parametrize(
    "wrong", [{"min_spread": 0}, {"min_spread": math.nan}, {"patience": 0}, {"every_n_steps": 0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"CollapseGuard: .*expected"):
        CollapseGuard(**wrong)


DEAD = '''
import torch
from radio.rerankers import CrossEncoder

class Dead(CrossEncoder):
    """Its head gives one score to everything."""

    def build(self):
        network = super().build()
        torch.nn.init.zeros_(network.classifier.weight)
        network.classifier.requires_grad_(False)
        return network
'''


def test_it_ends_a_run_with_one_message(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dead.py").write_text(DEAD)
    monkeypatch.syspath_prepend(str(tmp_path))
    overlay = ["--trainer.callbacks+", "CollapseGuard"]
    settings = [
        "--trainer.callbacks.init_args.every_n_steps",
        "1",
        "--trainer.callbacks.init_args.stop",
        "true",
    ]
    batch = ["--data.init_args.batch_size", "2"]
    status, _, err = radio("fit", *tiny_run, *overlay, *settings, *batch, "--model", "dead.Dead")
    assert status == 2
    assert "radio: error: CollapseGuard: step 5, learning rate" in err
    assert "dead head" in err
    assert "Traceback" not in err

    status, _, err = radio(
        "fit", *tiny_run, *overlay, *settings, *batch, "--model", "BiEncoder", "--name", "alive"
    )
    assert status == 0, err
    assert "CollapseGuard" not in err


def test_it_notices_a_learning_rate_far_too_high(radio: Radio, tiny_run: list[str]) -> None:
    overlay = ["--trainer.callbacks+", "CollapseGuard"]
    settings = [
        "--trainer.callbacks.init_args.every_n_steps",
        "1",
        "--trainer.callbacks.init_args.stop",
        "true",
    ]
    status, _, err = radio(
        *(
            "fit",
            *tiny_run,
            *overlay,
            *settings,
            "--model",
            "BiEncoder",
            "--trainer.max_epochs",
            "4",
        ),
        *("--data.init_args.batch_size", "2", "--model.init_args.lr", "1"),
    )
    assert status == 2
    assert "radio: error: CollapseGuard: step " in err
    assert "Likely cause: a learning rate too high" in err


@pytest.mark.parametrize(
    "switch", [[], ["--collapse_guard", "false"]], ids=["by default", "switched off"]
)
def test_fit_watches_for_a_collapse(
    switch: list[str],
    radio: Radio,
    tiny_run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    # a look at every step, so that a few of them are enough
    monkeypatch.setattr(CollapseGuard.__init__, "__defaults__", (0.005, 2, 1, False))
    constant = (
        "import torch\nfrom radio.rerankers import CrossEncoder\n\nclass Constant(CrossEncoder):\n"
    )
    constant += "    def score(self, batch):\n        return super().score(batch) * 0 + 1\n"
    (tmp_path / "constant.py").write_text(constant)
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = [*switch, "--model", "constant.Constant", "--data.init_args.batch_size", "2"]
    status, _, err = radio("fit", *tiny_run, *arguments)
    assert status == 0, err
    told = [str(warning.message) for warning in recwarn if "CollapseGuard" in str(warning.message)]
    assert len(told) == (0 if switch else 1)


DIARY = """
import lightning as L

class Diary(L.Callback):
    def on_fit_start(self, trainer, pl_module):
        names = [type(callback).__name__ for callback in trainer.callbacks]
        print("guards", names.count("CollapseGuard"))
"""


def test_a_config_with_a_guard_gets_no_second_one(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = ["--config", str(ROOT / "configs/callbacks/collapse_guard.yaml")]
    (tmp_path / "guard_diary.py").write_text(DIARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, extra in (("own", overlay), ("default", [])):
        extra = [*extra, "--trainer.callbacks+", "guard_diary.Diary", "--name", name]
        status, out, err = radio("fit", *tiny_run, *extra)
        assert status == 0, err
        assert "guards 1" in out
        assert "collapse_guard: true" in (tmp_path / f"runs/{name}/config.yaml").read_text()
