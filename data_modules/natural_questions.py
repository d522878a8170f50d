"""Natural Questions (Kwiatkowski et al., TACL 2019): questions that people asked a search
engine."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class NaturalQuestionsDataModule(FlashRAGDataModule):
    """Natural Questions (Kwiatkowski et al., TACL 2019): questions that people asked a search
    engine."""

    dataset = "nq"
