"""The config of a run as its folder keeps it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

from radio.lines import atomic_write
from radio.runs import story
from radio.secrecy import plain, secrets_in


def as_given(config: Namespace) -> Namespace:
    """A config as it is saved: as the user gave it, before folders and names in it are resolved.

    What replaces or resumes a run is left out: a saved config can be run again under another name.
    """
    given = deepcopy(config)
    if "ckpt_path" in given:
        given.ckpt_path = None
    if "overwrite" in given:
        given.overwrite = False
    return given


class SaveConfig(SaveConfigCallback):
    """Writes the configuration into the run folder before anything else happens, and tells it to
    other loggers.

    Args:
        text: YAML of the config, see :func:`as_given`.
    """

    def __init__(
        self, parser: LightningArgumentParser, config: Namespace, *, text: str, **kwargs: Any
    ) -> None:
        super().__init__(parser, config, **kwargs)
        self.text = text

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        trained = (folder / "config.yaml").is_file() and (folder / "checkpoints").exists()
        # an evaluation leaves alone the config with which the run was trained
        if stage == "fit" or not trained:
            with atomic_write(folder / "config.yaml") as file:
                file.write(self.text)
            _warn_of_secrets(folder / "config.yaml", yaml.safe_load(self.text))
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger):
                logger.log_hyperparams(plain(yaml.safe_load(self.text)))


def _warn_of_secrets(path: Path, config: Any) -> None:
    """Say what in a saved config is for nobody else's eyes: it is written as it was given, or no
    command could take it."""
    keys = list(secrets_in(config))
    if keys:
        story.say(
            f"WARNING: {path} holds what may be a secret ({', '.join(keys)}): all who can read the "
            "run folder can read it. Give it in the environment instead: OPENAI_API_KEY, "
            "OPENAI_BASE_URL, ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, HF_TOKEN, or what your own "
            "class reads there"
        )
