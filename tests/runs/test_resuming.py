"""A checkpoint is compared with the command that goes on from it, which wins where it can."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from radio.runs.examples import data_fingerprint
from radio.runs.resuming import RunState, apply_rates, compare, differences, relevant
from radio.schema import Example, InputError, Question


def config(**model: Any) -> dict[str, Any]:
    loss = {"class_path": "ListNet", "init_args": {"teacher_temperature": 0.1}}
    arguments = {"model": "m", "lr": 0.1, "loss": loss, "max_length": 8, **model}
    return {
        "seed_everything": 0,
        "model": {"class_path": "BiEncoder", "init_args": arguments},
        "data": {
            "class_path": "Jsonl",
            "init_args": {"batch_size": 4, "seed": None, "train": "a", "cache_dir": "c"},
        },
        "trainer": {"max_epochs": 1},
    }


def saved(before: dict[str, Any], *, half: bool = False) -> dict[str, Any]:
    progress = {"current": {"ready": 3 if half else 0}, "is_last_batch": not half}
    return {
        "radio": {"config": before},
        "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}},
    }


def test_what_differs_is_said_and_the_command_wins_where_it_can() -> None:
    before = config()
    assert compare(saved(before), config(), Path("a"), trains=True) == []
    now = config(lr=0.5, loss={"class_path": "InfoNCE", "init_args": {}})
    now["data"]["init_args"].update(train="b", cache_dir="other", batch_size=8)
    now["trainer"]["max_epochs"] = 2
    assert compare(saved(before), now, Path("a"), trains=True) == [
        "model.init_args.lr: 0.1 in the checkpoint, 0.5 in this command",
        "model.init_args.loss.class_path: ListNet in the checkpoint, InfoNCE in this command",
        "data.init_args.batch_size: 4 in the checkpoint, 8 in this command",
        "data.init_args.train: a in the checkpoint, b in this command",
        "trainer.max_epochs: 1 in the checkpoint, 2 in this command",
    ]
    # an evaluation trains nothing, whatever the rate
    assert compare(saved(before), now, Path("a"), trains=False) == []


def test_other_callbacks_and_validations_are_said() -> None:
    def callbacks(*given: dict[str, Any]) -> dict[str, Any]:
        settings = config()
        settings["trainer"].update(callbacks=list(given), val_check_interval=1.0)
        return relevant(settings)

    def callback(name: str, **arguments: Any) -> dict[str, Any]:
        return {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": arguments}

    best, last = callback("ModelCheckpoint", save_top_k=1), callback("ModelCheckpoint")
    before = callbacks(best, last, callback("EarlyStopping", patience=2))
    assert compare(saved(before), before, Path("a"), trains=True) == []
    now = callbacks(callback("ModelCheckpoint", save_top_k=3), callback("Timer", duration="1:0"))
    now["trainer"]["val_check_interval"] = 0.5
    now["data"]["init_args"]["validation"] = "v"
    before["data"]["init_args"]["validation"] = "w"
    assert compare(saved(before), now, Path("a"), trains=True) == [
        "data.init_args.validation: w in the checkpoint, v in this command",
        "trainer.val_check_interval: 1.0 in the checkpoint, 0.5 in this command",
        "trainer.callbacks.ModelCheckpoint.save_top_k: 1 in the checkpoint, 3 in this command",
        "trainer.callbacks.ModelCheckpoint[2]: one in the checkpoint, none in this command",
        "trainer.callbacks.EarlyStopping: one in the checkpoint, none in this command",
        "trainer.callbacks.Timer: none in the checkpoint, one in this command",
    ]
    # checkpoints of earlier versions do not say
    del before["trainer"]["callbacks"]
    assert len(compare(saved(before), now, Path("a"), trains=True)) == 2


def test_another_model_is_refused_and_another_order_within_an_epoch() -> None:
    before = config()
    others = [config(model="n"), config(lora={"rank": 4}) | {}, {**config(), "seed_everything": 1}]
    before["model"]["init_args"]["lora"] = None
    other_class = config()
    other_class["model"]["class_path"] = "CrossEncoder"
    for other in (*others, other_class):
        with pytest.raises(InputError, match="is of another model"):
            compare(saved(before), other, Path("a.ckpt"), trains=True)
    with pytest.raises(InputError, match="class_path: BiEncoder in the checkpoint, CrossEncoder"):
        compare(saved(before), other_class, Path("a.ckpt"), trains=False)
    batches = config()
    batches["data"]["init_args"]["batch_size"] = 8
    with pytest.raises(
        InputError,
        match=r"in the middle of an epoch, whose order is fixed:\n  data\.init_args\.batch",
    ):
        compare(saved(before, half=True), batches, Path("a.ckpt"), trains=True)
    assert compare(saved(before, half=True), config(lr=1), Path("a"), trains=True) != []


def test_two_spellings_of_a_path_do_not_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("")
    assert differences({"k": "./a", "l": ["a"]}, {"k": str(tmp_path / "a"), "l": ["./a"]}) == {}
    assert differences({"k": "./a"}, {"k": "b"}) == {"k": ("./a", "b")}
    # keys of one side alone are those of another version
    assert differences({"k": 1, "old": 2}, {"k": 1, "new": 3}) == {}


@pytest.mark.parametrize("kind", ["LambdaLR", "ExponentialLR"])
def test_the_rate_of_the_command_takes_the_place_that_the_schedule_has_reached(kind: str) -> None:
    def schedule(lr: float) -> tuple[Any, Any]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
        argument = (lambda step: 1 / (1 + step)) if kind == "LambdaLR" else 0.5
        return optimizer, getattr(torch.optim.lr_scheduler, kind)(optimizer, argument)

    optimizer, scheduler = schedule(1.0)
    wanted, other = schedule(3.0)
    for _ in range(3):
        for one, two in ((optimizer, scheduler), (wanted, other)):
            one.step()
            two.step()
    apply_rates(scheduler, [3.0])
    for _ in range(2):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted.param_groups[0]["lr"])
        for one, two in ((optimizer, scheduler), (wanted, other)):
            one.step()
            two.step()
    apply_rates(SimpleNamespace(), [1.0])


def test_other_training_data_are_said_and_refused_within_an_epoch() -> None:
    def state(questions: int) -> tuple[RunState, list[str]]:
        said: list[str] = []
        examples = [
            Example(Question(str(i), "q"), (), teacher={"p": 0.5}) for i in range(questions)
        ]
        run = RunState()
        run.say = said.append
        run._data = data_fingerprint(examples)
        return run, said

    before = {"data": state(3)[0]._data, "processes": 1, "half_done": False}
    run, said = state(3)
    run._compare_data(before, 1)
    assert said == []
    run, said = state(2)
    run._compare_data(before, 2)
    assert [line.split(": ", 1)[1] for line in said] == [
        "training data: 3 questions then, 2 now; this command's is used",
        "processes: 1 then, 2 now; this command's is used",
    ]
    with pytest.raises(
        InputError, match="in the middle of an epoch, and this command differs: training data"
    ):
        run._compare_data({**before, "half_done": True}, 1)
