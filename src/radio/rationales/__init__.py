"""Rationales: why the golden answers are right; who writes them, what they are worth, and how to
look at them."""

from radio.llm.anthropic import AnthropicWriter
from radio.llm.openai import OpenAIWriter
from radio.llm.prompts import PromptTemplate
from radio.llm.transformers import TransformersWriter
from radio.rationales.base import Failure, RationaleWriter, Recorded, Request, fill, read
from radio.rationales.checks import CHECKS, QualityChecks
from radio.rationales.judges import Judge, NLIJudge

__all__ = [
    "CHECKS",
    "AnthropicWriter",
    "Failure",
    "Judge",
    "NLIJudge",
    "OpenAIWriter",
    "PromptTemplate",
    "QualityChecks",
    "RationaleWriter",
    "Recorded",
    "Request",
    "TransformersWriter",
    "fill",
    "read",
]
