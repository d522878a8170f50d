"""Folders of ANCE's kind, with a projection and a layer norm after pooling: read as their makers
wrote them, trained whole, ranked independently of padding, and exported for the library."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from radio.encoders import load_encoder
from radio.losses import ListNet
from radio.rerankers import BiEncoder, LoRA, Reranker
from radio.rerankers.opening import opened
from radio.schema import InputError
from tests.conftest import ROOT
from tests.rerankers.test_base import TEXTS, group, learns, ready, scores
from tests.rerankers.test_bi_encoder_dot import (
    ance,  # noqa: F401 -- the folder
    assert_same,
    by_sentence_transformers,
)

OLD_TYPES = "sentence_transformers.models"


@pytest.fixture
def published(ance: str, tmp_path: Path) -> Path:  # noqa: F811
    """The same model as its folder on the hub has it: old names of the modules, pickled weights,
    nothing said of similarity and prompts."""
    folder = Path(shutil.copytree(ance, tmp_path / "msmarco-roberta-base-ance-firstp"))
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        module["type"] = f"{OLD_TYPES}.{module['type'].rpartition('.')[2]}"
    (folder / "modules.json").write_text(json.dumps(modules))
    for weights in folder.rglob("model.safetensors"):
        torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
        weights.unlink()
    (folder / "config_sentence_transformers.json").unlink()
    return folder


def part(folder: Path, kind: str) -> Path:
    """The folder of a module."""
    (found,) = (path for path in folder.iterdir() if path.name.endswith(f"_{kind}"))
    return found


def test_the_folder_of_the_hub_gives_the_same_scores_as_the_library(
    published: Path,
    ance: str,  # noqa: F811
) -> None:
    reranker = ready(BiEncoder, str(published), query_prefix="who ", passage_prefix="about ")
    assert isinstance(reranker, BiEncoder)
    assert (reranker.similarity, reranker.scale) == ("dot", 1.0)
    kinds = [type(module).__name__ for module in reranker.network]
    assert kinds == ["Transformer", "Pooling", "Dense", "LayerNorm"]
    assert_same(reranker, by_sentence_transformers(ance))


@pytest.mark.parametrize("packed", [True, False])
def test_scores_do_not_depend_on_batch_order_or_padding(packed: bool, published: Path) -> None:
    reranker = ready(BiEncoder, str(published))
    reranker._packed = packed
    whole = scores(reranker, [group(0, TEXTS), group(1, TEXTS[:2])])
    for place, text in enumerate(TEXTS):
        alone = scores(reranker, [group(0, [text])])[0, 0]
        torch.testing.assert_close(alone, whole[0, place], atol=1e-4, rtol=1e-4)
    backwards = scores(reranker, [group(0, TEXTS[::-1])])[0]
    torch.testing.assert_close(backwards, whole[0].flip(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lora", [None, LoRA(r=4)], ids=["whole", "adapters"])
def test_projection_and_norm_are_trained_and_exported_for_the_library(
    lora: LoRA | None, published: Path, tmp_path: Path
) -> None:
    reranker = ready(BiEncoder, str(published), dropout=0.0, lora=lora)
    before = heads(reranker)
    learns(reranker, ListNet(teacher_temperature=0.1), lr=3e-3)
    reranker.eval()
    tuned = heads(reranker)
    assert len(before) == 4
    assert all(not torch.equal(before[name], tuned[name]) for name in before)
    folder = reranker.export(tmp_path / "export")
    assert load_file(part(folder, "Dense") / "model.safetensors")["linear.weight"].shape == (24, 32)
    assert_same(reranker, by_sentence_transformers(str(folder)))
    again = opened(str(folder))
    again.configure_model()
    assert type(again) is BiEncoder
    assert_same(again.eval(), by_sentence_transformers(str(folder)))


def heads(reranker: Reranker) -> dict[str, torch.Tensor]:
    """Weights of the modules after pooling."""
    named = reranker.network.named_parameters()
    return {name: w.detach().clone() for name, w in named if name.startswith(("2.", "3."))}


def test_parts_after_pooling_can_be_frozen_by_name(published: Path) -> None:
    reranker = ready(BiEncoder, str(published), freeze=["2", "3.norm.bias"])
    trained = {name for name, w in reranker.network.named_parameters() if w.requires_grad}
    assert {name for name in trained if name[0] in "23"} == {"3.norm.weight"}


def test_a_model_that_normalises_is_compared_by_cosines(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "normalised"))
    modules = json.loads((folder / "modules.json").read_text())
    last = {"idx": 4, "name": "4", "path": "4_Normalize", "type": f"{OLD_TYPES}.Normalize"}
    (folder / "modules.json").write_text(json.dumps([*modules, last]))
    reranker = ready(BiEncoder, str(folder))
    assert isinstance(reranker, BiEncoder)
    assert (reranker.similarity, reranker.scale) == ("cosine", 20.0)
    expected = [20 * row for row in by_sentence_transformers(str(folder))]
    assert_same(reranker, expected)
    export = reranker.export(tmp_path / "export")
    assert_same(reranker, [20 * row for row in by_sentence_transformers(str(export))])


# What is refused


@pytest.mark.parametrize(
    "kind",
    [
        f"{OLD_TYPES}.Dropout",
        f"{OLD_TYPES}.WordWeights",
        "sentence_transformers.sentence_transformer.modules.LSTM",
        "mine.Dense",
        "os.system",
    ],
)
def test_a_module_of_another_kind_is_refused_by_name(kind: str, published: Path) -> None:
    modules = json.loads((published / "modules.json").read_text())
    modules[2]["type"] = kind
    (published / "modules.json").write_text(json.dumps(modules))
    for load in (lambda name: ready(BiEncoder, name), load_encoder):
        with pytest.raises(InputError) as error:
            load(str(published))
        assert f"modules.json: found the module {kind!r}, expected only Transformer," in str(
            error.value
        )


def test_modules_of_a_router_are_looked_at_too(published: Path, tmp_path: Path) -> None:
    reranker = BiEncoder(str(published), train_side="question", max_length=48)
    reranker.configure_model()
    folder = reranker.export(tmp_path / "export")
    load_encoder(str(folder))
    config: dict[str, Any] = json.loads((folder / "router_config.json").read_text())
    first = next(name for name in config["types"] if name.endswith("Dense"))
    config["types"][first] = f"{OLD_TYPES}.Dropout"
    (folder / "router_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"found the module 'sentence_transformers.models.Dropout"):
        load_encoder(str(folder))


def test_modules_that_are_no_list_of_modules_are_refused(published: Path) -> None:
    for modules in (["Dense"], [{"path": "2_Dense"}]):
        (published / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(InputError, match=r"modules.json: found .*, expected a type and a path"):
            load_encoder(str(published))


def test_an_activation_of_its_own_code_is_refused_and_not_replaced(published: Path) -> None:
    path = part(published, "Dense") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"activation_function": "mine.Wild"}))
    with pytest.raises(InputError, match=r"activation_function: found 'mine.Wild', which is code"):
        load_encoder(str(published))


class Evil:
    """Would write a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickled_weights_of_a_module_run_no_code(published: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    weights = part(published, "Dense") / "pytorch_model.bin"
    weights.write_bytes(pickle.dumps({"linear.weight": Evil(mark)}))
    with pytest.raises(InputError, match="cannot be loaded"):
        load_encoder(str(published))
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["Dense", "LayerNorm"])
def test_a_module_that_is_incomplete_or_of_another_size_is_refused(
    kind: str, published: Path
) -> None:
    weights = part(published, kind) / "pytorch_model.bin"
    held = torch.load(weights, weights_only=True)
    first = next(iter(held))
    torch.save({first: torch.zeros(3, 3)}, weights)
    with pytest.raises(InputError, match="cannot be loaded"):
        load_encoder(str(published))
    weights.unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        load_encoder(str(published))
    shutil.rmtree(weights.parent)
    with pytest.raises(InputError, match=f"modules.json names the folder ._{kind}, which is not"):
        load_encoder(str(published))


def test_the_overlay_names_the_published_model_and_its_similarity() -> None:
    overlay = yaml.safe_load((ROOT / "configs/rerankers/ance.yaml").read_text())["model"]
    assert overlay["class_path"] == "BiEncoder"
    settings = overlay["init_args"]
    assert settings["model"] == "sentence-transformers/msmarco-roberta-base-ance-firstp"
    assert settings["similarity"] == "dot"
