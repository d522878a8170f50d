"""PopQA (Mallen et al., ACL 2023): questions about rare entities; a test split only."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class PopQADataModule(FlashRAGDataModule):
    """PopQA (Mallen et al., ACL 2023): questions about rare entities; a test split only."""

    dataset = "popqa"
