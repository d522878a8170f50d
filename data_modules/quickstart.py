"""The bundled questions, passages and rationales (see ``quickstart/README.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from radio.data.module import RationaleDataModule
from radio.formats import read_passages, read_questions
from radio.rationales import Recorded
from radio.schema import Passage, Question

FOLDER = Path(__file__).parent / "quickstart"


class QuickstartDataModule(RationaleDataModule):
    """Questions about facts of the world, with passages and a rationale each, split by topic; needs
    no network.

    Args:
        kwargs: arguments of RationaleDataModule; ``rationales`` are the bundled ones unless given.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rationales = self.rationales or Recorded(str(FOLDER / "rationales.jsonl"))

    def questions(self, split: str) -> Sequence[Question]:
        return [] if split == "predict" else read_questions(FOLDER / f"{split}.jsonl")

    def passages(self) -> Iterable[Passage]:
        return read_passages(FOLDER / "corpus.jsonl").values()
