"""Data modules: one for each dataset, with its rationale cache."""

from data_modules.base import RationaleDataModule
from data_modules.jsonl import JsonlDataModule
from data_modules.quickstart import QuickstartDataModule

__all__ = ["JsonlDataModule", "QuickstartDataModule", "RationaleDataModule"]
