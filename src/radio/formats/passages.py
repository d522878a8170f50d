"""Passages of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radio.formats.fields import take, take_id
from radio.lines import read_rows
from radio.schema import InputError, Passage


def read_passages(path: str | Path) -> dict[str, Passage]:
    """Passages by id, of JSONL ``{"id", "contents"}``, a title on the first line of ``contents``.

    Raises:
        InputError: broken line, missing key, wrong type, duplicate id, or no passage at all.
    """
    path = Path(path)
    seen: dict[str, str] = {}
    passages = {}
    for place, row in read_rows(path):
        identifier = take_id(row, place)
        if identifier in seen:
            raise InputError(
                f"{place}: id {identifier!r} is a duplicate, first used at {seen[identifier]}"
            )
        seen[identifier] = place
        passages[identifier] = take_passage(row, place)
    if not passages:
        raise InputError(
            f'{path}: the corpus is empty, expected lines like {{"id": ..., "contents": ...}}'
        )
    return passages


def take_passage(row: Mapping[str, Any], place: str) -> Passage:
    """The passage of a row ``{"id", "contents"}``."""
    return Passage(take_id(row, place), take(row, place, "contents", str))


def read_beir(path: str | Path) -> Iterator[tuple[str, str, str, str]]:
    """Place, id, title and text of BEIR's corpus or queries: ``{"_id", "text", ["title"]}``.

    Raises:
        InputError: broken line, missing key or wrong type.
    """
    for place, row in read_rows(Path(path)):
        title = take(row, place, "title", str, default="")
        yield place, take_id(row, place, "_id"), title, take(row, place, "text", str)
