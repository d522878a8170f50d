"""WebQuestions (Berant et al., EMNLP 2013): questions about entities of Freebase."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class WebQuestionsDataModule(FlashRAGDataModule):
    """WebQuestions (Berant et al., EMNLP 2013): questions about entities of Freebase."""

    dataset = "web_questions"
