"""TriviaQA (Joshi et al., ACL 2017): trivia questions with aliases as answers."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class TriviaQADataModule(FlashRAGDataModule):
    """TriviaQA (Joshi et al., ACL 2017): trivia questions with aliases as answers."""

    dataset = "triviaqa"
