"""The engine that is the default, and which one is at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from radio.engines import Batch, Engine, InProcess, Row, Work, current
from tests.engines.working import Doubling, batches_of


class Backwards(Engine):
    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        yield from reversed(list(InProcess().map(work, batches)))


def test_a_batch_is_asked_for_when_the_one_before_it_was_taken() -> None:
    work, taken = Doubling(), []

    def given() -> Iterator[Batch]:
        for number, batch in enumerate([*batches_of(2), {}, *batches_of(1)]):
            taken.append(number)
            yield batch

    results = InProcess().map(work, given())
    assert next(results)["key1"] == {"double": 2, "value": "é1".encode()}
    assert taken == [0]
    assert list(next(results)) == ["key3", "key4", "key5"]
    # nobody computes an empty batch
    assert next(results) == {}
    assert work.batches == [[0, 1, 2], [3, 4, 5]]
    assert [list(found) for found in results] == [["key0", "key1", "key2"]]


def test_who_is_at_work_is_so_until_the_end(tmp_path: Path) -> None:
    assert isinstance(current(), InProcess)
    outer, inner = Backwards(), Backwards()
    with outer.at_work(tmp_path):
        assert current() is outer
        with suppress(RuntimeError), inner.at_work(tmp_path):
            assert current() is inner
            raise RuntimeError
        assert current() is outer
    assert isinstance(current(), InProcess)
    assert not current().elsewhere
