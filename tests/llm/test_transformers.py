"""Language models on this machine, tiny ones: a batch gives what each prompt gives alone."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.llm.base import Call, Reply
from radio.llm.local import LoadedModel
from radio.llm.transformers import TransformersModel
from radio.rationales import Failure, Request, TransformersWriter, fill
from radio.schema import InputError, Question, Rationale
from tests.llm.local_models import WRITERS, make_model


@pytest.fixture(scope="module", params=WRITERS)
def model(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("model"), request.param)


def requests(count: int = 7) -> list[Request]:
    questions = [
        Question(f"q{n}", "Which lamp burns " * (n % 4 + 1) + str(n), (str(n),))
        for n in range(count)
    ]
    return [Request(f"key{q.id}", q) for q in questions]


def write(folder: Path, **options: Any) -> dict[str, Rationale | Failure]:
    options = {"dtype": "float32", "max_tokens": 12, "accelerator": "cpu", **options}
    writer = TransformersWriter(**options)
    return {r.question_id: r for r in writer.write(requests(), Cache(folder / "unused.sqlite"))}


def test_a_batch_gives_what_each_prompt_gives_alone_on_one_device_or_two(
    model: str, tmp_path: Path
) -> None:
    alone = write(tmp_path, model=model, batch_size=1)
    assert {q: write(tmp_path, model=model, batch_size=3)[q] for q in alone} == alone
    assert write(tmp_path, model=model, batch_size=2, devices=2) == alone
    assert sorted(alone) == [f"q{n}" for n in range(7)]
    assert len({r.text for r in alone.values() if isinstance(r, Rationale)}) > 1, "prompts matter"
    for rationale in alone.values():
        assert isinstance(rationale, Rationale)
        assert 0 <= rationale.usage["output"] <= 12
        assert rationale.outcome == ("truncated" if rationale.usage["output"] == 12 else "written")
        assert rationale.model == model


def test_sampling_follows_the_settings(model: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    drawn = write(tmp_path, model=model, sampling={"do_sample": True, "temperature": 3.0})
    assert drawn != write(tmp_path, model=model)


def test_a_prompt_that_does_not_fit_fails_alone(model: str, tmp_path: Path) -> None:
    template = TransformersWriter(model)._template
    copy = LoadedModel(model, "float32", "cpu")
    lengths = [
        len(copy.prompt(template.system, template.render(request.question)))
        for request in requests()
    ]
    found = write(tmp_path, model=model, max_length=min(lengths))
    failed = {q for q, result in found.items() if isinstance(result, Failure)}
    assert failed
    assert failed < set(found)


def test_results_are_cached_by_the_weights(model: str, tmp_path: Path) -> None:
    writer = TransformersWriter(model, max_tokens=4, accelerator="cpu", dtype="float32")
    asked = [Request(writer.key(r.question), r.question) for r in requests()]
    cache = Cache(tmp_path / "radio.sqlite")
    first = fill(writer, asked, cache, tmp_path / "failures.jsonl", "rationales")
    assert first["written"] + first["truncated"] + first["empty"] == 7
    assert fill(writer, asked, cache, tmp_path / "failures.jsonl", "rationales") == {"cached": 7}
    longer = TransformersWriter(model, max_tokens=6, accelerator="cpu", dtype="float32")
    assert longer.key(asked[0].question) == asked[0].key
    again = fill(longer, asked, cache, tmp_path / "failures.jsonl", "rationales")
    assert again["cached"] == first["written"] + first["empty"]


def local(model: str, **options: Any) -> TransformersModel:
    return TransformersModel(model, **{"accelerator": "cpu", "dtype": "float32", **options})


def calls(users: Sequence[str]) -> list[Call]:
    return [Call(f"k{n}", f"q{n}", "", lambda user=user: user) for n, user in enumerate(users)]  # type: ignore[misc]


def replies(model: TransformersModel, users: Sequence[str], folder: Path) -> list[Reply]:
    found = {}
    for call, reply in model.complete(calls(users), Cache(folder / "unused.sqlite")):
        assert isinstance(reply, Reply)
        found[call.question_id] = reply
    return [found[f"q{n}"] for n in range(len(users))]


# more than WORTH_SHARING tokens that all begin with
USERS = [
    f"{'which lamp burns in the tower because of fog ' * 2} {'fog ' * n} {n}" for n in range(9)
]


def test_the_window_leaves_room_for_a_decoders_answer(model: str) -> None:
    made = local(model, max_tokens=12)
    kind = json.loads(Path(model, "config.json").read_text())["model_type"]
    # its positions are relative: max_length alone counts
    assert made.window() == {"t5": 4096}.get(kind, 512 - 12)
    assert local(model, max_length=40).window() == 40


def test_tokens_of_a_prompt_are_what_the_model_reads(model: str, tmp_path: Path) -> None:
    made = local(model, max_tokens=3)
    found = replies(made, USERS, tmp_path)
    assert [made.prompt_tokens("", user) for user in USERS] == [r.usage["input"] for r in found]


def test_each_reply_has_its_share_of_the_time_of_its_batch(model: str, tmp_path: Path) -> None:
    start = time.perf_counter()
    found = replies(local(model, max_tokens=3), USERS, tmp_path)
    assert 0 < sum(reply.seconds for reply in found) < time.perf_counter() - start


def test_a_text_that_stops_ends_its_own_row_and_is_left_out(model: str, tmp_path: Path) -> None:
    whole = [r.text for r in replies(local(model, max_tokens=12), USERS, tmp_path)]
    word = whole[0].split()[2]
    for batch_size in (1, 4):
        made = local(model, max_tokens=12, stop=[word], batch_size=batch_size)
        for text, reply in zip(whole, replies(made, USERS, tmp_path), strict=True):
            assert reply.text == text.partition(word)[0].strip()
            if word in text:
                assert reply.outcome == "written"
                assert (
                    reply.usage["output"]
                    <= text.split().index(next(w for w in text.split() if word in w)) + 2
                )


def test_a_model_stays_loaded_until_it_is_released(model: str, tmp_path: Path) -> None:
    made = local(model, max_tokens=3)
    first = replies(made, USERS[:2], tmp_path)
    copies = made._copies.loaded()
    made.log_likelihood(calls(USERS[:2]), ["fog", "lamp"])
    assert made._copies.loaded() is copies
    made.release()
    assert made._copies.loaded() != copies
    assert [r.text for r in replies(made, USERS[:2], tmp_path)] == [r.text for r in first]


def test_what_is_not_set_is_no_part_of_the_key(model: str, tmp_path: Path) -> None:
    plain = local(model).depends_on()
    assert set(plain) == {"model", "sampling", "dtype"}
    assert local(model, stop=["."]).depends_on() == {**plain, "stop": ["."]}
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    first = local(model, adapter=str(adapter)).depends_on()
    assert {name: first[name] for name in plain} == plain
    (adapter / "adapter_config.json").write_text('{"r": 2}')
    assert local(model, adapter=str(adapter)).depends_on()["adapter"] != first["adapter"]
    gguf = Path(model, "a.gguf")
    keys = set()
    for content in ("GGUF one", "GGUF two"):
        gguf.write_text(content)
        keys.add(local(model, gguf_file="a.gguf").depends_on()["model"])
    gguf.unlink()
    assert len(keys | {plain["model"]}) == 3


def test_an_empty_text_stops_nothing() -> None:
    with pytest.raises(InputError, match="TransformersModel: stop: found"):
        TransformersModel("m", stop=[""])


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write(tmp_path, model="./nowhere")
