"""The passages of a page, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radio.pages import inert_json
from radio.reporting.texts import Texts

LONGEST = 1_500
"""Characters of a passage, a reply or a rationale that are shown."""

NOWHERE = 1 << 30
"""The place of an annotated passage that no order has."""


class StringTable:
    """The string table: each passage once; texts as far down the orders as there is room.

    Args:
        texts: of the passages.
        depths: how high each stands in any order.
    """

    def __init__(self, texts: Texts, depths: Mapping[str, int]) -> None:
        self.rationales = texts.rationales
        self.passages = texts.passages
        self.remarks = list(texts.remarks)
        self._places: dict[str, int] = {}
        self._depths = depths

    def place(self, identifier: str) -> int:
        """Of a passage in the columns; one that was not asked for before is added."""
        return self._places.setdefault(identifier, len(self._places))

    def columns(self, room: int) -> dict[str, list[Any]]:
        """Ids, titles and texts in the order in which they were asked for; null where unknown.

        Args:
            room: bytes for them. Texts are left out from some place of the orders on.
        """
        found = [self.passages.get(identifier) for identifier in self._places]
        columns: dict[str, list[Any]] = {
            "ids": list(self._places),
            "titles": [passage.title if passage else None for passage in found],
        }
        sizes: dict[int, int] = {}
        texts: list[str | None] = []
        for identifier, passage in zip(self._places, found, strict=True):
            texts.append(cut(passage.text) if passage else None)
            place = self._depths.get(identifier, NOWHERE)
            sizes[place] = sizes.get(place, 0) + len(inert_json(texts[-1]).encode()) + 1
        deepest = _fitting(sizes, room - len(inert_json(columns).encode()))
        if deepest is not None:
            self.remarks.append(
                f"Texts of passages that no order has among its first {deepest} are left out, "
                "their titles stay: the page would be too large."
            )
            for number, identifier in enumerate(self._places):
                if self._depths.get(identifier, NOWHERE) >= deepest:
                    texts[number] = None
        return {**columns, "texts": texts}


def _fitting(sizes: Mapping[int, int], room: int) -> int | None:
    """From which place on there is no room left; None where there is for all."""
    total = 0
    for place in sorted(sizes):
        total += sizes[place]
        if total > room:
            return place
    return None


def cut(text: str) -> str:
    """A text, or its beginning and how much is missing."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]} [... {left:,} more characters]"
