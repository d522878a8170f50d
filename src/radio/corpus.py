"""A corpus on disk: passages by id, memory-mapped, whatever their number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radio.fingerprints import fingerprint, path_fingerprint
from radio.formats import take_passage
from radio.lines import check_file, read_rows
from radio.mapped import Mapped
from radio.mapped_files import BATCH, READ_ONLY, Row, UnusableError
from radio.schema import InputError, Passage

Passages = Callable[[], Iterable[tuple[str, Passage]]]
"""Gives passages, each with its place for error messages."""


class DiskCorpus(Mapped[Passage]):
    """The passages of JSONL (plain or gzip) or Parquet files, read through Arrow's memory map.

    The first use writes them into ``folder``, under a name that is the fingerprint of the files;
    later ones open that. In memory are only the pages that are read.

    Args:
        paths: the files, in order.
        folder: where the Arrow file and the table of ids are kept.

    Raises:
        InputError: broken row, missing key, duplicate id, or no passage at all; or the folder can
            neither be used as it is nor written.
    """

    unit = "passages"
    called = "corpus"

    def __init__(self, paths: Sequence[str | Path], folder: str | Path) -> None:
        files = [Path(path) for path in paths]
        for number, file in enumerate(files):
            check_file(file)
            if file.resolve() in [other.resolve() for other in files[:number]]:
                raise InputError(f"{file}: found this file twice in the corpus, expected each once")
        identity = [1, [path_fingerprint(path) for path in files]]
        self._build(lambda: _read(files), ", ".join(map(str, files)), identity, folder)

    @classmethod
    def of(
        cls,
        passages: Passages,
        name: str,
        identity: object,
        folder: str | Path,
    ) -> DiskCorpus:
        """The same for passages that are not in such files.

        Args:
            passages: each with its place for error messages; read a second time only to say where a
                duplicate is.
            name: of them all, for error messages.
            identity: takes the place of the files' fingerprint, JSON-like; a ``Path`` counts by
                what it holds.
            folder: as above.
        """
        from tqdm import tqdm

        corpus = cls.__new__(cls)
        corpus._build(
            lambda: tqdm(passages(), desc=f"read {name}", unit="passage"),
            name,
            [1, identity],
            folder,
        )
        return corpus

    def _build(self, passages: Passages, name: str, identity: object, folder: str | Path) -> None:
        def rows() -> Iterator[Row]:
            place = None
            for place, passage in passages():
                yield place, passage.id, passage.contents
            if place is None:
                raise InputError(f"{name}: the corpus is empty, expected at least one passage")

        home = Path(folder) / fingerprint(identity)[:16]
        try:
            self.fill(home, rows)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            known = isinstance(error, UnusableError)
            why = error.strerror if known else f"{home}: cannot be written ({error.strerror})"
            raise InputError(
                f"{why}; make it readable and writable, or choose another cache folder with "
                "--data.init_args.cache_dir"
            ) from None

    def value(self, identifier: str, text: str) -> Passage:
        return Passage(identifier, text)


def row_ids(passages: Mapping[str, Passage]) -> Sequence[str]:
    """Id of each row of a corpus, on disk or in memory."""
    return passages.ids if isinstance(passages, DiskCorpus) else list(passages)


def contents_of(passages: Mapping[str, Passage]) -> Callable[[range], list[str]]:
    """What gives the texts of neighbouring rows of a corpus, on disk or in memory."""
    if isinstance(passages, DiskCorpus):
        return passages.contents
    every = list(passages.values())
    return lambda rows: [passage.contents for passage in every[rows.start : rows.stop]]


def corpus_fingerprint(passages: Mapping[str, Passage]) -> str:
    """Which text each id of a corpus names, and in which order they stand."""
    if isinstance(passages, DiskCorpus):
        return passages.fingerprint
    digest = hashlib.sha256()
    for passage in passages.values():
        digest.update(f"{passage.id}\0{passage.contents}\0".encode())
    return digest.hexdigest()


def passages_of(corpus: Mapping[str, Passage], identifiers: Iterable[str]) -> dict[str, Passage]:
    """The passages of some ids, by id; of a corpus on disk in one read."""
    if isinstance(corpus, DiskCorpus):
        return corpus.find(identifiers)
    return {identifier: corpus[identifier] for identifier in identifiers}


class PassagesById(Sequence[Passage]):
    """Passages of a corpus, each read when it is asked for.

    Args:
        corpus: where they are.
        ids: of the passages, in their order.
    """

    def __init__(self, corpus: Mapping[str, Passage], ids: Sequence[str]) -> None:
        self._corpus = corpus
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Passage]:
        found = passages_of(self._corpus, self._ids)
        return iter([found[identifier] for identifier in self._ids])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return PassagesById(self._corpus, self._ids[place])
        return self._corpus[self._ids[place]]


def passages_in(path: Path) -> Iterator[tuple[str, Passage]]:
    """Passages of a file (JSONL, gzip, Parquet), each with its place for error messages."""
    if path.suffix.lower() != ".parquet":
        for place, row in read_rows(path):
            yield place, take_passage(row, place)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(BATCH):
            for row in batch.to_pylist():
                number += 1
                place = f"{path}: row {number}"
                yield place, take_passage(row, place)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a Parquet file, or a damaged one ({error})") from None


def _read(paths: Iterable[Path]) -> Iterator[tuple[str, Passage]]:
    from tqdm import tqdm

    for path in paths:
        yield from tqdm(passages_in(path), desc=f"read {path.name}", unit="passage")
