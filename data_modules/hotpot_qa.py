"""HotpotQA (Yang et al., EMNLP 2018): questions of two hops."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class HotpotQADataModule(FlashRAGDataModule):
    """HotpotQA (Yang et al., EMNLP 2018): questions of two hops."""

    dataset = "hotpotqa"
    task = "multi_hop"
