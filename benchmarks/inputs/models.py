"""Models: folders as downloads, other trainers and other tools leave them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.inputs.changes import TUNED
from benchmarks.inputs.place import Input, Place


def model(change: Callable[[Path], Any], *more: str) -> Callable[[Place], list[str]]:
    """A changed copy of the tiny BERT as the model; the teacher keeps the unchanged one."""

    def make(place: Place) -> list[str]:
        folder = place.folder / "model"
        shutil.copytree(place.folder / "bert", folder)
        change(folder)
        return place.arguments("--model.init_args.model", "model", *more)

    return make


def named(name: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: place.arguments("--model.init_args.model", name, *more)


def _settings(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8"
    )


def _litter(folder: Path) -> None:
    for name in (
        ".DS_Store",
        "README.md",
        "onnx/model.onnx",
        "model.safetensors.index.json.bak",
        "training_args.bin",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\1litter")


def _more_words(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    moved = len(vocabulary) + 500
    content["model"]["vocab"] = {
        word: (moved + n if word == "the" else n) for word, n in vocabulary.items()
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _sentence_transformers(folder: Path) -> None:
    import sentence_transformers

    # without a modules.json, it adds a mean over all tokens
    network = sentence_transformers.SentenceTransformer(str(folder))
    shutil.rmtree(folder)
    network.save(str(folder))


def _pooling_gone(folder: Path) -> None:
    _sentence_transformers(folder)
    for pooling in folder.glob("1_*"):
        shutil.rmtree(pooling)


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _adapter(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    _no_weights(folder)
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "base_model_name_or_path": "bert"}', encoding="utf-8"
    )
    save_file({"lora_A": torch.zeros(2, 2)}, folder / "adapter_model.safetensors")


def _gguf(folder: Path) -> None:
    _no_weights(folder)
    (folder / "model-Q4_K_M.gguf").write_bytes(b"GGUF")


def _own_code(folder: Path) -> None:
    _settings(
        folder,
        model_type="nomic_own",
        auto_map={"AutoModel": "modeling.Own", "AutoConfig": "modeling.OwnConfig"},
    )


def _encoder_decoder(folder: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=200,
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)


def _half_precision(folder: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).half().save_pretrained(folder)


def cross_encoder(*more: str) -> Sequence[str]:
    return ("--model", "CrossEncoder", *more)


INPUTS = [
    Input("a model folder with litter of other tools in it", model(_litter), 0, TUNED),
    Input(
        "a tokenizer with ids beyond the model's embeddings",
        model(_more_words),
        2,
        r"model.*(tokenizer|vocab|embedding)",
    ),
    Input(
        "a sentence-transformers folder as CrossEncoder",
        model(_sentence_transformers, *cross_encoder()),
        0,
        r"(?i)head|classifier",
    ),
    Input(
        "a sentence-transformers folder whose 1_Pooling was not copied",
        model(_pooling_gone),
        2,
        r"model .*1_Pooling, which is not there",
    ),
    Input(
        "a model folder without weights",
        model(_no_weights),
        2,
        r"model 'model' .*the folder has no weights",
    ),
    Input(
        "a folder that holds a LoRA adapter alone",
        model(_adapter),
        2,
        r"model.*(adapter|config\.json)",
    ),
    Input("a folder with GGUF weights", model(_gguf), 2, r"no weights .*gguf"),
    Input(
        "a config.json of another size than the weights",
        model(lambda f: _settings(f, hidden_size=64)),
        2,
        r"model.*(shape|size|fit)",
    ),
    Input(
        "a config.json without model_type",
        model(lambda f: (f / "config.json").write_bytes(b"{}")),
        2,
        r"model.*model_type",
    ),
    Input(
        "a model that brings its own code", model(_own_code), 2, r"model.*(code|nomic_own|trust)"
    ),
    Input("the encoder of a T5 as BiEncoder", model(_encoder_decoder), 0, TUNED),
    Input(
        "YesNoLM of a BERT",
        model(lambda f: None, "--model", "YesNoLM"),
        2,
        r"(?i)(causal|decoder|language model|BERT)",
    ),
    Input("half-precision weights", model(_half_precision), 0, TUNED),
    Input(
        "the weights file in place of its folder",
        lambda p: p.arguments("--model.init_args.model", "bert/model.safetensors"),
        2,
        r"bert/model\.safetensors.*folder",
    ),
    Input(
        "a misspelt model of the hub, without a network",
        named("BAAI/bge-rerancer-base"),
        2,
        r"model 'BAAI/bge-rerancer-base' cannot be loaded",
    ),
]
