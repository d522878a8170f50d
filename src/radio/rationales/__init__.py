"""Rationales: why the golden answers are right; who writes them, what they are worth, and how to look at them."""

from radio.rationales.base import Failure, RationaleWriter, Recorded, Request, fill, read
from radio.rationales.checks import CHECKS, QualityChecks

__all__ = ["CHECKS", "Failure", "QualityChecks", "RationaleWriter", "Recorded", "Request", "fill", "read"]
