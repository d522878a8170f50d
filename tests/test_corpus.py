"""A corpus on disk: the same passages as in memory, found by id, whatever the files."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio import corpus as module
from radio import mapped, mapped_files
from radio.corpus import DiskCorpus
from radio.schema import InputError, Passage
from tests.conftest import shown, write_jsonl

ROWS = [{"id": f"p{n}", "contents": f'"Title {n}"\nText é {n}', "source": ["x"]} for n in range(25)]
PASSAGES = [Passage(row["id"], row["contents"]) for row in ROWS]  # type: ignore[arg-type]


def write(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / {"jsonl": "c.jsonl", "gzip": "c.jsonl.gz", "parquet": "c.parquet"}[kind]
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "gzip":
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    else:
        write_jsonl(path, rows)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "gzip", "parquet"])
def test_passages_are_found_by_id_and_come_in_order(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_files, "BATCH", 7)
    path = write(tmp_path, kind, ROWS)
    for _ in range(2):
        corpus = DiskCorpus([path], tmp_path / "kept")
        assert list(corpus) == [p.id for p in PASSAGES]
        assert list(corpus.values()) == list(corpus.values()) == PASSAGES
        assert [corpus[p.id] for p in reversed(PASSAGES)] == PASSAGES[::-1]
        assert list(corpus.ids) == list(corpus)
        assert (corpus.ids[13], len(corpus.ids)) == ("p13", 25)
        assert len(corpus) == len(corpus.values()) == 25
        assert "p3" in corpus
        assert "p99" not in corpus
        with pytest.raises(KeyError):
            corpus["p99"]
    assert len(shown(tmp_path / "kept")) == 1


def test_ids_with_the_same_hash_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (mapped, mapped_files):
        monkeypatch.setattr(where, "hash_of", len)
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path)
    assert [corpus[p.id] for p in PASSAGES] == PASSAGES
    assert "p00" not in corpus


def test_the_fingerprint_is_that_of_the_passages_and_not_of_the_files(tmp_path: Path) -> None:
    whole = DiskCorpus([write(tmp_path, "gzip", ROWS)], tmp_path)
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    write_jsonl(first, ROWS[:10])
    write_jsonl(second, ROWS[10:])
    assert DiskCorpus([first, second], tmp_path).fingerprint == whole.fingerprint
    assert DiskCorpus([second, first], tmp_path).fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ROWS[3]], r"c\.jsonl:26: id 'p3' is a duplicate, first used at .*c\.jsonl:4"),
        ([*ROWS, {"id": "q"}], r"c\.jsonl:26: key 'contents' is missing"),
        ([*ROWS, {"id": "q", "contents": 5}], r"c\.jsonl:26: key 'contents': found a number"),
        ([], "the corpus is empty"),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_left(
    rows: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "jsonl", rows)
    with pytest.raises(InputError, match=message):
        DiskCorpus([path], tmp_path / "kept")
    assert shown(tmp_path / "kept") == []


def test_a_damaged_parquet_file_and_a_wrong_column_are_named(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"c\.parquet: not a Parquet file, or a damaged one"):
        DiskCorpus([path], tmp_path / "kept")
    path = write(tmp_path, "parquet", [{"id": "a", "text": "b"}])
    with pytest.raises(
        InputError, match=r"c\.parquet: row 1: key 'contents' is missing: found only the keys 'id'"
    ):
        DiskCorpus([path], tmp_path / "kept")


def test_a_parquet_file_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, "parquet", [{"id": f"p{n}", "contents": f"text {n}"} for n in range(1000)]
    )
    data = bytearray(path.read_bytes())
    # its end says what is in the file, and stays
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"c\.parquet: not a Parquet file, or a damaged one"):
        DiskCorpus([path], tmp_path / "kept")


def test_passages_of_any_source_are_read_once_for_each_identity(tmp_path: Path) -> None:
    reads = []

    def read() -> Iterator[tuple[str, Passage]]:
        reads.append(1)
        yield from ((f"row {n}", passage) for n, passage in enumerate(PASSAGES))

    corpora = [DiskCorpus.of(read, "mine", ["mine", name], tmp_path) for name in ("a", "a", "b")]
    assert len(reads) == 2
    plain = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path)
    for corpus in corpora:
        assert list(corpus.values()) == PASSAGES
        assert corpus.fingerprint == plain.fingerprint


def test_a_source_that_breaks_off_or_repeats_an_id_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, Passage]]:
        yield "row 1", PASSAGES[0]
        raise InputError("cut off")

    with pytest.raises(InputError, match="cut off"):
        DiskCorpus.of(broken, "mine", "a", tmp_path)
    with pytest.raises(InputError, match=r"row 2: id 'p0' is a duplicate, first used at row 1"):
        DiskCorpus.of(
            lambda: [("row 1", PASSAGES[0]), ("row 2", PASSAGES[0])], "mine", "a", tmp_path
        )
    with pytest.raises(InputError, match=r"mine: the corpus is empty"):
        DiskCorpus.of(list, "mine", "a", tmp_path)
    assert shown(tmp_path) == []


def _build(path: Path, folder: Path) -> None:
    assert len(DiskCorpus([path], folder)) == 25


def test_processes_that_build_it_together_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ROWS)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build, args=(path, tmp_path / "kept")) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(shown(tmp_path / "kept")) == 1


def test_many_passages_are_found_in_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    wanted = ["p24", "p0", "p7", "p0", "p13"]
    expected = {identifier: PASSAGES[int(identifier[1:])] for identifier in wanted}
    assert corpus.find(wanted) == expected
    monkeypatch.setattr(mapped_files, "BATCH", 2)
    assert corpus.find(iter(wanted)) == expected
    assert corpus.find([]) == {}
    assert module.passages_of(dict(corpus), wanted) == expected
    for unknown in ("p25", ""):
        with pytest.raises(KeyError, match=unknown):
            corpus.find(["p1", unknown])


def test_ids_of_one_hash_are_told_apart_among_many_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (mapped, mapped_files):
        monkeypatch.setattr(where, "hash_of", len)
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    assert corpus.find(["p3", "p11", "p9"]) == {f"p{n}": PASSAGES[n] for n in (3, 11, 9)}
    with pytest.raises(KeyError):
        corpus.find(["p3", "x1"])


@pytest.mark.parametrize("on_disk", [True, False])
def test_rows_are_read_by_their_number(on_disk: bool, tmp_path: Path) -> None:
    corpus: Any = {passage.id: passage for passage in PASSAGES}
    if on_disk:
        corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    ids = module.row_ids(corpus)
    assert [ids[row] for row in np.array([24, 0, 7])] == ["p24", "p0", "p7"]
    assert len(ids) == 25
    contents = module.contents_of(corpus)
    assert contents(range(3, 6)) == [passage.contents for passage in PASSAGES[3:6]]
    assert contents(range(24, 25)) == [PASSAGES[24].contents]


def test_a_corpus_has_one_fingerprint_on_disk_and_in_memory(tmp_path: Path) -> None:
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    assert module.corpus_fingerprint(corpus) == module.corpus_fingerprint(dict(corpus))
    turned = dict(reversed(list(corpus.items())))
    assert module.corpus_fingerprint(turned) != module.corpus_fingerprint(corpus)


def test_another_process_maps_the_files_too(tmp_path: Path) -> None:
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    sent = pickle.dumps(corpus)
    assert len(sent) < 1000
    assert list(pickle.loads(sent).values()) == PASSAGES


def test_what_is_no_id_is_not_in_a_corpus(tmp_path: Path) -> None:
    corpus = DiskCorpus([write(tmp_path, "jsonl", ROWS)], tmp_path / "cache")
    assert "p3" in corpus
    assert "p25" not in corpus
    assert 3 not in corpus
