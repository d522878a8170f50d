"""Adapters, frozen parts, checkpointed activations, compilation: what they train; scores stay as
they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.losses import ListNet
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, LoRA, Reranker, YesNoLM
from radio.rerankers.tuning import matching
from radio.schema import InputError
from tests.rerankers.test_base import TEXTS, group, scores
from tests.rerankers.test_yes_no import make_decoder

KINDS = [CrossEncoder, BiEncoder, LateInteraction, YesNoLM]
HEADS = {
    CrossEncoder: {"classifier", "pooler"},
    BiEncoder: set(),
    LateInteraction: {"linear"},
    YesNoLM: set(),
}
GROUPS = [group(0, TEXTS), group(1, TEXTS[::-1][:4])]


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> dict[type[Reranker], str]:
    decoder = make_decoder(tmp_path_factory.mktemp("decoder"), "qwen3")
    return {kind: decoder if kind is YesNoLM else tiny_bert for kind in KINDS}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Reranker]:
    found: type[Reranker] = request.param
    return found


def ready(kind: type[Reranker], models: dict[type[Reranker], str], **settings: Any) -> Reranker:
    length = 300 if kind is YesNoLM else 48
    reranker = kind(models[kind], max_length=length, dropout=0.0, **settings)  # type: ignore[call-arg]
    reranker.configure_model()
    return reranker.eval()


def backward(reranker: Reranker) -> None:
    reranker.train()
    batch = reranker.collate(GROUPS)
    ListNet(teacher_temperature=0.1)(reranker(batch), batch.teacher, batch.mask).backward()


def train(reranker: Reranker) -> None:
    trained = [p for p in reranker.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(3):
        backward(reranker)
        optimizer.step()
        optimizer.zero_grad()
    reranker.eval()


def without_gradient(reranker: Reranker) -> list[str]:
    """Trained parameters that took no part in the scores; DDP would raise or wait for them."""
    return [n for n, p in reranker.named_parameters() if p.requires_grad and p.grad is None]


def test_lora_trains_adapters_and_head_alone(
    kind: type[Reranker], models: dict[type[Reranker], str]
) -> None:
    plain = ready(kind, models)
    reranker = ready(kind, models, lora=LoRA(r=4))
    torch.testing.assert_close(scores(reranker, GROUPS), scores(plain, GROUPS), atol=1e-6, rtol=0)
    names = {n for n, p in reranker.named_parameters() if p.requires_grad}
    assert any("lora_B" in n for n in names)
    assert {
        n.split(".")[-2] if "pooler" not in n else "pooler" for n in names if "lora_" not in n
    } == HEADS[kind]
    before = {n: p.detach().clone() for n, p in reranker.named_parameters()}
    train(reranker)
    backward(reranker)
    assert without_gradient(reranker) == []
    assert {n for n, p in reranker.named_parameters() if not torch.equal(p, before[n])} == names


def test_merged_adapters_give_the_modules_scores_in_a_plain_folder(
    kind: type[Reranker], models: dict[type[Reranker], str], tmp_path: Path
) -> None:
    from safetensors import safe_open

    reranker = ready(kind, models, lora=LoRA(r=4, dropout=0.1))
    train(reranker)
    expected = scores(reranker, GROUPS)
    folder = reranker.export(tmp_path / "export")
    with safe_open(folder / "model.safetensors", "pt") as file:
        exported = set(file.keys())
    assert not [name for name in exported if "lora" in name or "base_layer" in name]
    torch.testing.assert_close(
        scores(ready(kind, {kind: str(folder)}), GROUPS), expected, atol=1e-4, rtol=1e-4
    )
    # the module itself goes on as it was
    torch.testing.assert_close(scores(reranker, GROUPS), expected, atol=0, rtol=0)
    assert any("lora_" in n for n, _ in reranker.named_parameters())


def test_weights_with_adapters_are_restored_and_the_untrained_model_is_known(
    kind: type[Reranker], models: dict[type[Reranker], str]
) -> None:
    reranker = ready(kind, models, lora=LoRA(r=4))
    before = scores(reranker, GROUPS)
    train(reranker)
    again = ready(kind, models, lora=LoRA(r=4))
    again.load_state_dict(reranker.state_dict())
    torch.testing.assert_close(scores(again, GROUPS), scores(reranker, GROUPS), atol=0, rtol=0)
    untrained = again.untrained_scores(again.collate(GROUPS))
    assert untrained[0].tolist() == pytest.approx(before[0].tolist(), abs=1e-5)


def test_lora_targets_choose_layers_by_name(models: dict[type[Reranker], str]) -> None:
    reranker = ready(CrossEncoder, models, lora=LoRA(r=2, targets=("query", "layer.1.*.value")))
    adapted = {n.split(".lora_")[0] for n, _ in reranker.named_parameters() if ".lora_" in n}
    layers = "network.bert.encoder.layer"
    assert adapted == {f"{layers}.{i}.attention.self.query" for i in (0, 1)} | {
        f"{layers}.1.attention.self.value"
    }
    with pytest.raises(
        InputError, match=r"lora\.targets: 'q_proj' matches nothing; there is for example .*\w"
    ):
        ready(CrossEncoder, models, lora=LoRA(targets=("q_proj",)))


def test_an_impossible_rank_is_refused() -> None:
    with pytest.raises(InputError, match="LoRA: r: found 0"):
        LoRA(r=0)


@pytest.mark.parametrize("lora", [None, LoRA(r=4)], ids=["all", "lora"])
def test_gradient_checkpointing_gives_the_same_gradient(
    kind: type[Reranker], lora: LoRA | None, models: dict[type[Reranker], str]
) -> None:
    plain, saving = (
        ready(kind, models, lora=lora),
        ready(kind, models, lora=lora, gradient_checkpointing=True),
    )
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    # a layer that the backward pass has to compute again
    layer = next(
        m for n, m in saving.network.named_modules() if n.endswith((".layer.0", ".layers.0"))
    )
    next(layer.children()).register_forward_hook(count)
    with torch.no_grad():
        saving(saving.collate(GROUPS))
    forward = calls
    backward(plain)
    backward(saving)
    assert calls == 3 * forward
    assert without_gradient(saving) == without_gradient(plain) == []
    expected = dict(plain.named_parameters())
    for name, parameter in saving.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-6, rtol=1e-4)


def test_frozen_parts_stay_as_they_are(
    kind: type[Reranker], models: dict[type[Reranker], str]
) -> None:
    first, words = (
        ("layers.0", "embed_tokens") if kind is YesNoLM else ("encoder.layer.0", "embeddings")
    )
    reranker = ready(kind, models, freeze=[first, words])
    before = {n: p.detach().clone() for n, p in reranker.named_parameters()}
    train(reranker)
    backward(reranker)
    assert without_gradient(reranker) == []
    changed = {n for n, p in reranker.named_parameters() if not torch.equal(p, before[n])}
    still = {n for n in before if f".{first}." in n or f".{words}." in n}
    assert not changed & still
    # a pooler that is not used is frozen anyway
    assert set(before) - changed - still <= {n for n in before if "pooler" in n}
    assert still


def test_frozen_layers_get_no_adapters(models: dict[type[Reranker], str]) -> None:
    reranker = ready(CrossEncoder, models, lora=LoRA(r=2), freeze=["encoder.layer.0", "pooler"])
    names = {n for n, p in reranker.named_parameters() if p.requires_grad}
    assert not [n for n in names if "layer.0" in n or "pooler" in n]
    assert [n for n in names if "layer.1" in n and "lora_" in n]


def test_a_pattern_that_matches_nothing_names_what_there_is(
    models: dict[type[Reranker], str],
) -> None:
    with pytest.raises(
        InputError, match=r"freeze: 'embedings' matches nothing; there is for example .*embeddings"
    ):
        ready(CrossEncoder, models, freeze=["embedings"])
    with pytest.raises(InputError, match="leaves nothing to train"):
        ready(CrossEncoder, models, freeze=["*"])


def test_patterns_match_whole_parts_of_names() -> None:
    names = ["bert.layer.1.bias", "bert.layer.10.bias", "head.weight"]
    assert matching(["layer.1"], names, "") == {names[0]}
    assert matching(["layer.1*"], names, "") == set(names[:2])
    assert matching(["bias", "head"], names, "") == set(names)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_scores_under_the_same_names(
    kind: type[Reranker],
    models: dict[type[Reranker], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind is not CrossEncoder:
        # one kind is compiled to machine code, which takes a minute; of the others the same graphs
        # run in Python
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain, compiled = ready(kind, models), ready(kind, models, compile=True)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(
        scores(compiled, GROUPS), scores(plain, GROUPS), atol=1e-4, rtol=1e-4
    )
    # other sizes too, after the untrained model was asked for, which is not compiled
    compiled.untrained_scores(compiled.collate(GROUPS))
    few = [group(1, TEXTS[:2])]
    torch.testing.assert_close(scores(compiled, few), scores(plain, few), atol=1e-4, rtol=1e-4)
    backward(compiled)
    backward(plain)
    expected = dict(plain.named_parameters())
    for name, parameter in compiled.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-4, rtol=1e-3)
    compiled.eval()
    folder = compiled.export(tmp_path / "export")
    torch.testing.assert_close(
        scores(ready(kind, {kind: str(folder)}), GROUPS),
        scores(plain.eval(), GROUPS),
        atol=1e-4,
        rtol=1e-4,
    )


@pytest.mark.slow
def test_options_work_together_on_the_command_line(radio, tiny_run: list[str]) -> None:  # type: ignore[no-untyped-def]
    options = [
        "--model",
        "CrossEncoder",
        "--model.init_args.lora.r",
        "4",
        "--model.init_args.freeze",
        "[embeddings]",
    ]
    options += ["--model.init_args.gradient_checkpointing", "true"]
    status, out, err = radio("fit", *tiny_run, *options)
    assert status == 0, err
    assert "tuned - base" in out
    # and the run goes on from its checkpoint
    more = [
        "--trainer.max_epochs",
        "2",
        "--ckpt_path",
        "runs/tiny/checkpoints/last.ckpt",
        "--name",
        "more",
    ]
    status, out, err = radio("fit", *tiny_run, *options, *more)
    assert status == 0, err
