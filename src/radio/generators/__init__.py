"""Generators: answer a question from the passages they are given."""

from radio.generators.asking import ask
from radio.generators.base import Answer, Generator, Prompt
from radio.generators.extractive_reader import ExtractiveReader
from radio.generators.span_reader import SpanReader

__all__ = ["Answer", "ExtractiveReader", "Generator", "Prompt", "SpanReader", "ask"]
