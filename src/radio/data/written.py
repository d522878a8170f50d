"""The rationales of a split, and what is looked at to check them: on disk, not in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.data.tables import TOGETHER, Table, home_of, open_table
from radio.lines import atomic_write
from radio.mapped import Picked, batches
from radio.mapped_files import Row
from radio.rationales import RationaleWriter, Request
from radio.rationales.base import from_row
from radio.rationales.checks import Item
from radio.schema import Passage, Question, Rationale

Requests = Callable[[], Iterable[Request]]
"""Gives the requests of a split; called for each pass over them."""


class RationaleTable(Table[Rationale]):
    """The rationales of those questions that have one, by their ids."""

    called = "table of rationales"
    what = "rationales"

    def value(self, identifier: str, text: str) -> Rationale:
        return from_row(identifier, json.loads(text))


def written(writer: RationaleWriter, requests: Requests, cache: Cache) -> RationaleTable:
    """The rationales that there are for these requests, by question id.

    What a writer made can change under the same keys: it is asked again where it failed. So their
    table is named by what is in it, and a note beside it, named by the keys, says which one is the
    present one. A process that may write the cache looks into that, and brings table and note up to
    date; one that only reads (:attr:`radio.cache.Cache.read_only`) goes by the note, and opens the
    cache where there is none.

    Raises:
        InputError: an entry is damaged, or the table cannot be written.
    """
    folder = cache.path.parent

    def rows() -> Iterator[Row]:
        for some in batches(requests(), TOGETHER):
            found = writer.stored(some, cache)
            for request in some:
                identifier = request.question.id
                if identifier in found:
                    yield "", identifier, _to_text(found[identifier])

    note = home_of(RationaleTable, folder, _names(requests())).with_suffix(".json")
    noted = _noted(note)
    if cache.read_only and noted is not None and (note.parent / noted).is_dir():
        return open_table(RationaleTable, note.parent / noted, rows)
    home = home_of(RationaleTable, folder, (f"{name}\0{text}\0" for _, name, text in rows()))
    table = open_table(RationaleTable, home, rows)
    # a table that had to be made in a temporary folder is of no use to others
    if noted != home.name and home.is_dir() and not cache.read_only:
        with suppress(OSError), atomic_write(note) as file:
            json.dump({"table": home.name}, file)
    return table


def _names(requests: Iterable[Request]) -> Iterator[str]:
    for request in requests:
        yield f"{request.question.id}\0{request.key}\0"


def _noted(note: Path) -> str | None:
    """The name of the table that a note names; None where there is none, or no whole one."""
    try:
        name = json.loads(note.read_text(encoding="utf-8"))["table"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and Path(name).name == name else None


def _to_text(rationale: Rationale) -> str:
    """What :func:`radio.rationales.base.from_row` reads."""
    row = {
        "rationale": rationale.text,
        "model": rationale.model,
        "prompt": rationale.prompt,
        "outcome": rationale.outcome,
        "usage": dict(rationale.usage),
        "others": list(rationale.others),
    }
    return json.dumps(row, separators=(",", ":"))


class Items(Sequence[Item]):
    """Question, rationale and candidates of each rationale, put together when it is asked for.

    Args:
        questions: of the split; those without a rationale are left out.
        rationales: by question id.
        passages: gives the candidates of a question.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        rationales: Mapping[str, Rationale],
        passages: Callable[[Question], Sequence[Passage]],
    ) -> None:
        places = (place for place, one in enumerate(questions) if one.id in rationales)
        self.questions = Picked(questions, places)
        self._rationales = rationales
        self._passages = passages

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        question = self.questions[number]
        return question, self._rationales[question.id], self._passages(question)
