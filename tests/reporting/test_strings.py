"""The passages of a page, each of them once."""

from __future__ import annotations

import pytest

from radio.reporting.strings import NOWHERE, StringTable, cut
from radio.reporting.texts import Texts
from radio.schema import Passage

PASSAGES = {name: Passage(name, f"Title {name}\n{name * 100}") for name in "abc"}


def table(depths: dict[str, int]) -> StringTable:
    return StringTable(Texts(PASSAGES, {}, ["said before"]), depths)


def test_a_passage_has_one_place_however_often_it_is_asked_for() -> None:
    strings = table({"a": 0, "b": 1})
    assert [strings.place(name) for name in "abax"] == [0, 1, 0, 2]
    columns = strings.columns(10_000)
    assert columns["ids"] == ["a", "b", "x"]
    assert columns["titles"] == ["Title a", "Title b", None]
    assert columns["texts"] == ["a" * 100, "b" * 100, None]
    assert strings.remarks == ["said before"]


@pytest.mark.parametrize(
    ("room", "known"), [(10_000, "abc"), (350, "ab"), (250, "a"), (150, ""), (-1, "")]
)
def test_texts_are_kept_from_the_top_of_the_orders_down(room: int, known: str) -> None:
    strings = table({"a": 0, "b": 4, "c": NOWHERE})
    for name in "cba":
        strings.place(name)
    columns = strings.columns(room)
    texts = dict(zip(columns["ids"], columns["texts"], strict=True))
    assert "".join(sorted(name for name, text in texts.items() if text)) == known
    assert all(columns["titles"])
    assert (len(strings.remarks) == 1) == (known == "abc")


def test_a_long_text_is_cut_aloud() -> None:
    assert cut("x" * 1500) == "x" * 1500
    assert cut("x" * 2600) == "x" * 1500 + " [... 1,100 more characters]"
