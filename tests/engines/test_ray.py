"""What needs no cluster: what an actor does, what travels to it, and what is told without Ray."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from radio.encoders import Embedding, Encoder
from radio.engines import InProcess, Ray, current
from radio.engines.jobs import Job
from radio.engines.ray import Holder
from radio.engines.shards import Shards, read, write
from radio.llm.copies import Answering
from radio.llm.transformers import TransformersModel
from radio.schema import InputError
from tests.engines.working import Doubling, batches_of


def test_the_overlay_is_the_class_with_its_defaults(
    radio: Callable[..., tuple[int, str, str]],
) -> None:
    printed = []
    for engine in (("--config", "engines/ray"), ("--data.init_args.engine", "Ray")):
        status, out, err = radio("prepare", "--config", "quickstart", *engine, "--print_config")
        assert status == 0, err
        printed.append(yaml.safe_load(out))
    assert printed[0] == printed[1]
    assert printed[0]["data"]["init_args"]["engine"]["init_args"]["address"] == "auto"


def hand_out(folder: Path, work: Doubling) -> tuple[Shards, list[str]]:
    shards = Shards(folder, work.identity)
    names = []
    for batch in batches_of(2):
        names.append(shards.name(list(batch)))
        write(shards.todo(names[-1]), batch)
    return shards, names


def test_an_actor_computes_what_it_is_given(tmp_path: Path) -> None:
    shards, names = hand_out(tmp_path, Doubling())
    holder = Holder(Doubling(), tmp_path, shards.identity)
    assert holder({"name": names}) == {"name": names, "error": ["", ""]}
    assert read(shards.done(names[1]))["key4"] == {"double": 8, "value": "é4".encode()}


def test_an_error_of_an_actor_is_told_with_its_cause_and_place(tmp_path: Path) -> None:
    shards, names = hand_out(tmp_path, Doubling())
    found = Holder(Doubling(bad=4), tmp_path, shards.identity)({"name": names})
    assert found["error"][0] == ""
    assert found["error"][1].startswith("on ")
    assert "ZeroDivisionError: cannot double 4" in found["error"][1]
    assert shards.there() == {names[0]}


def test_a_machine_with_another_model_computes_nothing(tmp_path: Path) -> None:
    shards, names = hand_out(tmp_path, Doubling())
    found = Holder(Doubling(version=2), tmp_path, shards.identity)({"name": names[:1]})
    assert "the model is another one here" in found["error"][0]
    assert shards.there() == set()


def test_what_travels_is_settings_without_weights(tiny_bert: str, tiny_generator: str) -> None:
    encoder = Encoder(tiny_bert, max_length=32)
    fresh = pickle.dumps(Embedding(encoder))
    work = Embedding(encoder)
    values = work([{"text": "Lamp 3"}])
    assert len(pickle.dumps(work)) < 1000
    assert pickle.loads(fresh)([{"text": "Lamp 3"}]) == values
    assert pickle.loads(fresh).identity == work.identity
    model = TransformersModel(tiny_generator, accelerator="cpu", devices=2, max_tokens=4)
    writing = Answering(model, model._copies, 4, [])
    prompt = model._prompts.prompt("", "Which lamp burns?")
    copy = pickle.loads(pickle.dumps(writing))
    assert len(pickle.dumps(writing)) < 10_000
    (reply,) = copy([{"prompt": prompt, "shared": 0}])
    assert len(copy._copies.loaded()) == 1
    (expected,) = writing([{"prompt": prompt, "shared": 0}])
    assert {**reply, "seconds": 0} == {**expected, "seconds": 0}


class Failing(Ray):
    """Its actors die with all but some batches of each pass."""

    def __init__(self, computed: int) -> None:
        super().__init__()
        self.computed = computed
        self.passes: list[int] = []

    def _pass(self, job: Job, names: Sequence[str]) -> Iterator[str]:
        self.passes.append(len(names))
        holder = Holder(job.work, job.shards.folder.parent, job.shards.identity)
        holder({"name": names[: self.computed]})
        # of the first one nobody tells: its file alone is there
        yield from names[1 : self.computed]


def test_what_was_lost_is_computed_by_another_pass(tmp_path: Path) -> None:
    engine = Failing(2)
    with engine.at_work(tmp_path):
        found = list(engine.map(Doubling(), batches_of(5)))
    assert found == list(InProcess().map(Doubling(), batches_of(5)))
    assert engine.passes == [5, 3, 1]
    assert not list(tmp_path.rglob("*.parquet"))


def test_actors_that_die_each_time_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    first = next(iter(InProcess().map(Doubling(), batches_of(5))))
    engine = Failing(0)
    with engine.at_work(tmp_path):
        with pytest.raises(InputError, match="computed 5 batches died 3 times"):
            list(engine.map(Doubling(), batches_of(5)))
        engine.computed = 1
        assert next(iter(engine.map(Doubling(), batches_of(5)))) == first
    assert engine.passes == [5, 5, 5, 5]


def test_ray_is_asked_for_when_there_is_something_to_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with Ray().at_work(tmp_path):
        assert current().elsewhere
        assert list(current().map(Doubling(), [{}])) == [{}]
        with pytest.raises(InputError, match=r"pip install 'radio-rag\[ray\]'"):
            list(current().map(Doubling(), batches_of(1)))


def test_prepare_says_what_is_missing_and_needs_nothing_for_what_is_there(
    tiny_run: list[str],
    radio: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    engine = ["--data.init_args.engine", "Ray", "--data.init_args.engine.init_args.address", "auto"]
    status, _, said = radio("prepare", *tiny_run, *engine)
    assert status == 2
    assert "pip install 'radio-rag[ray]'" in said
    assert radio("prepare", *tiny_run)[0] == 0
    status, _, said = radio("prepare", *tiny_run, *engine)
    assert status == 0, said
