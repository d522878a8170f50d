"""Values by id on disk: built once, mapped, built again when damaged."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from radio import mapped_files
from radio.mapped import Mapped, Picked, batches
from radio.mapped_files import Row
from radio.schema import InputError
from tests.conftest import shown


class Numbers(Mapped[int]):
    unit = "numbers"
    called = "list of numbers"

    def value(self, identifier: str, text: str) -> int:
        return int(text)


def opened(home: Path, rows: list[Row]) -> Numbers:
    numbers = Numbers()
    numbers.fill(home, lambda: rows)
    return numbers


def rows(count: int) -> list[Row]:
    return [(f"row {n}", f"n{n}", str(n)) for n in range(count)]


def test_what_is_written_is_read_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_files, "BATCH", 4)
    numbers = opened(tmp_path / "numbers", rows(10))
    assert dict(numbers) == {f"n{n}": n for n in range(10)}
    assert list(numbers.values()) == list(range(10))
    assert list(numbers.find(["n7", "n2", "n7"]).items()) == [("n2", 2), ("n7", 7)]
    assert numbers.get("else") is None
    assert numbers.contents(range(3, 6)) == ["3", "4", "5"]
    assert list(numbers.ids)[-1] == "n9"


def test_a_second_opening_asks_for_no_row(tmp_path: Path) -> None:
    first = opened(tmp_path / "numbers", rows(3))

    def refuse() -> Iterator[Row]:
        raise AssertionError("they are there")

    second = Numbers()
    second.fill(tmp_path / "numbers", refuse)
    assert dict(second) == dict(first)
    assert second.fingerprint == first.fingerprint
    # another process maps the same file: what is sent to it is the place
    assert len(pickle.dumps(second)) < 300
    assert pickle.loads(pickle.dumps(second))["n2"] == 2


def test_there_may_be_no_row(tmp_path: Path) -> None:
    nothing = opened(tmp_path / "numbers", [])
    assert dict(nothing) == {}
    assert "n0" not in nothing


def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path) -> None:
    def half() -> Iterator[Row]:
        yield from rows(3)
        raise InputError("the rest is not there")

    with pytest.raises(InputError, match="the rest is not there"):
        Numbers().fill(tmp_path / "numbers", half)
    assert shown(tmp_path) == []


def test_a_damaged_one_is_built_again(tmp_path: Path) -> None:
    opened(tmp_path / "numbers", rows(3))
    (tmp_path / "numbers/numbers.arrow").write_bytes(b"else")
    with pytest.warns(UserWarning, match="the cached list of numbers is damaged .* built again"):
        again = opened(tmp_path / "numbers", rows(3))
    assert again["n1"] == 1


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^else: id 'n1' is a duplicate, first used at row 1$"):
        opened(tmp_path / "numbers", [*rows(3), ("else", "n1", "8")])


def test_values_are_a_sequence_and_so_are_some_of_them(tmp_path: Path) -> None:
    values = opened(tmp_path / "numbers", rows(6)).values()
    assert [values[2], values[-1], len(values)] == [2, 5, 6]
    assert list(values[1:5]) == [1, 2, 3, 4]
    assert values[:None] is values
    with pytest.raises(IndexError):
        values[6]
    some = Picked(values, [4, 0, 3])
    assert list(some) == [4, 0, 3]
    assert list(some[1:]) == [0, 3]
    assert list(pickle.loads(pickle.dumps(some))) == [4, 0, 3]


def test_batches_are_of_one_size_but_for_the_last() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
