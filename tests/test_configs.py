"""Every YAML file in configs/ parses, and its parts are built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

import radio.losses

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: str(p.relative_to(ROOT / "configs")))
def test_config_builds_the_classes_that_it_names(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import lightning as L

    from data_modules import RationaleDataModule
    from radio.cli import RadioCLI, RadioParser, RadioTrainer
    from radio.rerankers import Reranker

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    base = [] if path.parent.name == "configs" else ["--config", str(ROOT / "configs/quickstart.yaml")]
    monkeypatch.setattr(sys, "argv", ["radio", "fit", *base, "--config", str(path)])
    built = {}

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
    assert isinstance(built["model"], Reranker)
    assert isinstance(built["data"], RationaleDataModule)
    assert isinstance(built["trainer"], L.Trainer)

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
    return {key: _settings(part) for key, part in value.items()} if isinstance(value, dict) else value


def test_every_loss_has_an_overlay() -> None:
    overlays = [yaml.safe_load(path.read_text()) for path in CONFIGS if path.parent.name == "losses"]
    named = [overlay["model"]["init_args"]["loss"]["class_path"] for overlay in overlays]
    assert sorted(named) == sorted(set(radio.losses.__all__) - {"Loss"})
