"""Every YAML file in configs/ parses, its parts are built, and no part that is shipped is left
out."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import data_modules
import radio.callbacks
import radio.engines
import radio.generators
import radio.losses
import radio.rationales
import radio.rerankers
import radio.retrievers
import radio.samplers
import radio.teachers
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
# these are no configs of a run
MATRICES = [path for path in CONFIGS if path.parent.name == "matrices"]
# those of W&B: tests/test_sweeps.py runs them
SWEEPS = [path for path in CONFIGS if path.parent.name == "sweeps"]
CONFIGS = [path for path in CONFIGS if path not in (*MATRICES, *SWEEPS)]
BELOW = {
    "configs": [],
    "datasets": ["published"],
    # the dataset's class is given first
    "datasets/local_folder": ["published", "datasets/nq"],
    # its task is theirs
    "teachers/leave_one_out": ["published", "datasets/musique"],
}
"""Configs on which one of a folder, or of a name, stands; the others stand on quickstart."""


def parts_of(words: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Model, data module and trainer that a command builds; it is not run."""
    from data_modules import RationaleDataModule
    from radio.cli import RadioCLI
    from radio.config.parsing import RadioParser
    from radio.rerankers import Reranker
    from radio.trainer import RadioTrainer

    monkeypatch.setattr(sys, "argv", ["radio", *words])
    built: dict[str, Any] = {}

    class Parsed(RadioCLI):
        def _run_subcommand(self, subcommand: str) -> None:
            built.update(model=self.model, data=self.datamodule, trainer=self.trainer)

    Parsed(
        Reranker,
        RationaleDataModule,
        trainer_class=RadioTrainer,
        parser_class=RadioParser,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_callback=None,
        auto_configure_optimizers=False,
    )
    return built


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "configs").with_suffix("").as_posix()


def below(path: Path) -> list[str]:
    if path.name == "published.yaml":
        # it names no data
        return []
    return BELOW.get(name_of(path), BELOW.get(path.parent.name, ["quickstart"]))


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_config_builds_the_classes_that_it_names(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import lightning as L

    from data_modules import RationaleDataModule
    from radio.config import plan
    from radio.rerankers import Reranker

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    files = [str(ROOT / f"configs/{name}.yaml") for name in below(path)] + [str(path)]
    if path.name == "published.yaml":
        files.append(str(ROOT / "configs/datasets/nq.yaml"))
    if path.name == "export.yaml":
        # for a config without one, which no shipped config is
        (tmp_path / "bare.yaml").write_text("trainer: {callbacks: [RankEvaluation]}\n")
        files.insert(-1, str(tmp_path / "bare.yaml"))
    given = [word for file in files for word in ("--config", file)]
    built = parts_of(["fit", *given], monkeypatch)
    assert isinstance(built["model"], Reranker)
    assert isinstance(built["data"], RationaleDataModule)
    assert isinstance(built["trainer"], L.Trainer)
    plan.check_run(built["trainer"].callbacks, built["model"], built["data"])

    for names, thing in _named(yaml.safe_load(path.read_text())):
        found = built[names[0]]
        for name in names[1:]:
            if name == "callbacks":
                kinds = [type(c).__name__ for c in found.callbacks]
                assert thing in kinds
                break
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        else:
            assert type(found).__name__ == thing
    if path.parent.name == "losses":
        # of the loss that the overlay replaces no setting stays, not even one of the same name
        loss = yaml.safe_load(path.read_text())["model"]["init_args"]["loss"]
        assert _settings(built["model"].loss) == _settings(_loss(loss))


@pytest.mark.parametrize("path", MATRICES, ids=name_of)
def test_each_entry_of_a_matrix_is_part_of_a_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from radio.transfer.cells import words_of
    from radio.transfer.matrix import read_matrix

    monkeypatch.chdir(tmp_path)
    matrix = read_matrix(str(path))
    first = next(iter(matrix.datasets))
    places = [(first, name) for name in matrix.rerankers]
    places += [(name, matrix.baseline) for name in matrix.datasets if name != first]
    for dataset, reranker in places:
        words = words_of(matrix, dataset, reranker, list(matrix.generators), reranker)
        built = parts_of(words, monkeypatch)
        loops = [c for c in built["trainer"].callbacks if hasattr(c, "generator")]
        assert [loop.name for loop in loops] == list(matrix.generators)
        assert type(built["data"].teacher).__name__ == "RetrievalScore"
        assert built["data"].rationales is None
        given = matrix.rerankers[reranker].trees[0]["model"]
        assert type(built["model"]).__name__ == given["class_path"]
        assert built["model"].model == given["init_args"]["model"]


def _named(node: object, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Attribute paths and the short class names that the file gives them."""
    result = []
    if isinstance(node, dict):
        if "class_path" in node:
            result.append((path, node["class_path"]))
        for key, value in node.items():
            if key not in {"class_path", "logger"}:
                inner = path if key == "init_args" else (*path, key.rstrip("+"))
                result += _named(value, inner)
    elif isinstance(node, list) and path[-1] == "callbacks":
        for item in node:
            result.append((path, item["class_path"]))
    return result


def _loss(node: Any) -> Any:
    """What the file says, built without a command line."""
    if isinstance(node, dict) and "class_path" in node:
        return getattr(radio.losses, node["class_path"])(**_loss(node.get("init_args", {})))
    return {key: _loss(value) for key, value in node.items()} if isinstance(node, dict) else node


def _settings(value: Any) -> Any:
    if isinstance(value, radio.losses.Loss):
        return type(value).__name__, _settings(vars(value))
    return (
        {key: _settings(part) for key, part in value.items()} if isinstance(value, dict) else value
    )


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_config_begins_with_a_sentence_that_says_what_it_is_for(path: Path) -> None:
    first, *_ = path.read_text().split("\n")
    assert first.startswith("# ")
    assert first.endswith(".")
    assert len(first) <= 100


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_config_needs_nothing_beside_the_configs(path: Path) -> None:
    assert "../" not in path.read_text()


def test_folders_of_overlays_are_named_as_the_modules() -> None:
    modules = {"callbacks", "generators", "losses", "rationales", "rerankers", "retrievers"}
    folders = {path.parent.name for path in CONFIGS} - {"configs"}
    parts = {"samplers", "teachers", "confidence", "datasets", "engines", "loggers", "recipes"}
    assert folders == modules | parts | {"trainers"}


# what is shipped, and the folders whose overlays name it
SHIPPED = {
    "losses": (radio.losses, radio.losses.Loss, ["losses"]),
    "teachers": (radio.teachers, radio.teachers.Teacher, ["teachers"]),
    "confidence": (radio.teachers, radio.teachers.Confidence, ["confidence"]),
    "engines": (radio.engines, radio.engines.Engine, ["engines"]),
    "samplers": (radio.samplers, radio.samplers.GroupSampler, ["samplers"]),
    "retrievers": (radio.retrievers, radio.retrievers.Retriever, ["retrievers"]),
    "rerankers": (radio.rerankers, radio.rerankers.Reranker, ["rerankers"]),
    "generators": (radio.generators, radio.generators.Generator, ["generators"]),
    "rationales": (radio.rationales, radio.rationales.RationaleWriter, ["rationales"]),
    # GeneratorInTheLoop is what an overlay of a generator adds
    "callbacks": (radio.callbacks, object, ["callbacks", "generators"]),
    # those with files of their own or bundled stand in a config of their own
    "datasets": (data_modules, data_modules.RationaleDataModule, ["datasets", "configs"]),
}
MADE_BY_OTHERS = {"Rankings"}
"""A callback that the others make where they need it: nobody configures one."""


@pytest.mark.parametrize("kind", SHIPPED)
def test_everything_that_is_shipped_has_an_overlay(kind: str) -> None:
    module, base, folders = SHIPPED[kind]
    names = getattr(module, "__all__", dir(module))
    classes = {name for name in names if isinstance(getattr(module, name), type)}
    shipped = set()
    for name in classes:
        found = getattr(module, name)
        if issubclass(found, base) and not inspect.isabstract(found):
            shipped.add(name)
    named = set()
    for path in CONFIGS:
        if path.parent.name in folders:
            named |= set(_class_names(yaml.safe_load(path.read_text())))
    assert shipped - {base.__name__} - MADE_BY_OTHERS - named == set()


def _class_names(node: Any) -> list[str]:
    """Every ``class_path`` in a tree."""
    if isinstance(node, list):
        return [name for item in node for name in _class_names(item)]
    if not isinstance(node, dict):
        return []
    own = [node["class_path"]] if "class_path" in node else []
    return own + [name for value in node.values() for name in _class_names(value)]


def test_every_loss_has_an_overlay() -> None:
    overlays = [
        yaml.safe_load(path.read_text()) for path in CONFIGS if path.parent.name == "losses"
    ]
    named = [overlay["model"]["init_args"]["loss"]["class_path"] for overlay in overlays]
    assert sorted(named) == sorted(set(radio.losses.__all__) - {"Loss"})


def test_recipes_and_overlays_of_the_benchmarks_merge(radio: Any) -> None:
    from benchmarks.recipes import configs

    arguments = configs("base", "both_sides", "answer_match", "answer_match_groups")
    status, out, err = radio("fit", *arguments, "--print_config")
    assert status == 0, err
    config = yaml.safe_load(out)
    assert config["trainer"]["accelerator"] == "cpu"
    assert config["model"]["init_args"]["train_side"] == "both"
    data = config["data"]["init_args"]
    assert data["teacher"]["class_path"].endswith(".AnswerMatch")
    assert (data["tied_questions"], data["sampler"]["init_args"]["size"]) == ("drop", 5)
