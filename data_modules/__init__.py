"""Data modules: one for each dataset, with its rationale cache."""

from data_modules.beir import IRDatasetsDataModule
from data_modules.fever import FEVERDataModule
from data_modules.flashrag import FlashRAGDataModule
from data_modules.hotpot_qa import HotpotQADataModule
from data_modules.jsonl import JsonlDataModule
from data_modules.mmlu import MMLUDataModule
from data_modules.musique import MuSiQueDataModule
from data_modules.natural_questions import NaturalQuestionsDataModule
from data_modules.pop_qa import PopQADataModule
from data_modules.quickstart import QuickstartDataModule
from data_modules.trivia_qa import TriviaQADataModule
from data_modules.two_wiki import TwoWikiMultihopQADataModule
from data_modules.web_questions import WebQuestionsDataModule
from radio.data.module import RationaleDataModule

__all__ = [
    "FEVERDataModule",
    "FlashRAGDataModule",
    "HotpotQADataModule",
    "IRDatasetsDataModule",
    "JsonlDataModule",
    "MMLUDataModule",
    "MuSiQueDataModule",
    "NaturalQuestionsDataModule",
    "PopQADataModule",
    "QuickstartDataModule",
    "RationaleDataModule",
    "TriviaQADataModule",
    "TwoWikiMultihopQADataModule",
    "WebQuestionsDataModule",
]
