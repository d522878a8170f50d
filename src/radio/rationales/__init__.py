"""Rationales: why the golden answers are right; who writes them, what they are worth, and how to
look at them."""

from radio.llm.base import Failure
from radio.llm.prompts import PromptTemplate
from radio.rationales.base import RationaleWriter, Request, read
from radio.rationales.checks import CHECKS, QualityChecks
from radio.rationales.filling import fill
from radio.rationales.judges import Judge, NLIJudge
from radio.rationales.recorded import Recorded
from radio.rationales.several import Several
from radio.rationales.writers import AnthropicWriter, OpenAIWriter, TransformersWriter

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
    "Several",
    "TransformersWriter",
    "fill",
    "read",
]
