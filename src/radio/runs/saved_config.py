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
from radio.runs.loggers import plain


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
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger):
                logger.log_hyperparams(plain(yaml.safe_load(self.text)))
