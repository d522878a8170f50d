"""Where models compute what the cache lacks: in this process, or on the machines of a cluster."""

from __future__ import annotations

from radio.engines.base import Batch, Engine, InProcess, Row, Work, current
from radio.engines.ray import Ray

__all__ = ["Batch", "Engine", "InProcess", "Ray", "Row", "Work", "current"]
