"""The data module of a trainer."""

from __future__ import annotations

import lightning as L

from radio.data.module import RationaleDataModule
from radio.schema import InputError


def datamodule_of(trainer: L.Trainer) -> RationaleDataModule:
    """The data module that a trainer works with.

    Raises:
        InputError: it has none of this project's.
    """
    datamodule = getattr(trainer, "datamodule", None)
    if not isinstance(datamodule, RationaleDataModule):
        kind = "none" if datamodule is None else type(datamodule).__name__
        raise InputError(
            f"Trainer: datamodule: found {kind}, expected a RationaleDataModule "
            "(trainer.fit(reranker, datamodule=data))"
        )
    return datamodule
