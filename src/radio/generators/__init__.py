"""Generators: answer a question from the passages they are given."""

from radio.generators.asking import ask
from radio.generators.base import Answer, Generator, Prompt
from radio.generators.extractive_reader import ExtractiveReader
from radio.generators.language_model import (
    AnthropicGenerator,
    LanguageModelGenerator,
    OpenAIGenerator,
    TransformersGenerator,
)
from radio.generators.span_reader import SpanReader

__all__ = [
    "Answer",
    "AnthropicGenerator",
    "ExtractiveReader",
    "Generator",
    "LanguageModelGenerator",
    "OpenAIGenerator",
    "Prompt",
    "SpanReader",
    "TransformersGenerator",
    "ask",
]
