"""2WikiMultihopQA (Ho et al., COLING 2020): questions of two to four hops."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class TwoWikiMultihopQADataModule(FlashRAGDataModule):
    """2WikiMultihopQA (Ho et al., COLING 2020): questions of two to four hops."""

    dataset = "2wikimultihopqa"
    task = "multi_hop"
