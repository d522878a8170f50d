"""Inverted lists (faiss IVF) over a flat index: a search looks only at passages that lie near the
question."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radio.disk import sync, sync_folder
from radio.fingerprints import fingerprint
from radio.indexes.building import alone
from radio.indexes.faiss_files import FaissIndex, import_faiss
from radio.indexes.flat import MANIFEST, FlatIndex
from radio.lines import atomic_write
from radio.schema import InputError

TAUGHT = 40
"""Vectors for each list that its centre is found from: faiss wants 39 at least."""

PART = 32
"""Shards whose lists are written together."""

PROBES = "nprobe=64"
"""How thoroughly to search, where nothing else is said."""

FILE = "index.faiss"


@dataclass(frozen=True)
class ListsFacts:
    """What ``manifest.json`` says of inverted lists.

    Args:
        lists: how many.
        bytes: of each file.
        seconds: that building took, of the last go alone if one before was killed.
    """

    lists: int
    bytes: dict[str, int]
    seconds: float

    @classmethod
    def read(cls, home: Path) -> ListsFacts:
        """What stands there, of files that are as long as they were.

        One that was cut off would be mapped by faiss, and the process die where it ends.

        Raises:
            InputError: it is damaged, or a file has another length.
        """
        try:
            facts = cls(**json.loads((home / MANIFEST).read_text(encoding="utf-8")))
            found = {name: (home / name).stat().st_size for name in facts.bytes}
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{home}: damaged ({error}); delete this folder and run the same command again"
            ) from None
        for name, size in facts.bytes.items():
            if found[name] != size:
                raise InputError(
                    f"{home / name}: found {found[name]} bytes, expected {size}; delete its folder "
                    "and run the same command again"
                )
        return facts


def lists_for(passages: int) -> int:
    """How many lists: four times the square root, as a power of two, and no more than can be
    taught."""
    wanted = 2 ** round(np.log2(4 * passages**0.5))
    return int(max(1, min(wanted, passages // TAUGHT)))


def open_inverted(flat: FlatIndex, lists: int | None, parameters: str) -> FaissIndex:
    """The inverted lists of a flat index; what is not there yet is built first.

    They lie in a folder of the flat one, hold its numbers once more, and are searched without it.
    What a process that was killed has finished is kept, 262,144 passages at a time.

    Args:
        flat: the index.
        lists: how many; None chooses by the number of passages.
        parameters: as :class:`radio.indexes.faiss_files.FaissIndex` takes them.

    Raises:
        InputError: no faiss, more lists than passages, a damaged file, or nothing can be written.
    """
    import_faiss()
    count = lists or lists_for(flat.facts.passages)
    if count > flat.facts.passages:
        raise InputError(
            f"Dense: lists: found {count}, expected at most the {flat.facts.passages} passages of "
            "the corpus"
        )
    home = flat.path / f"ivf-{count}-{fingerprint([1, flat.facts.digest])[:8]}"
    if not home.is_dir():
        with alone(flat.path):
            if not home.is_dir():
                _build(flat, count, home)
    ListsFacts.read(home)
    return FaissIndex(home / FILE, parameters or PROBES, lists_beside=True)


def _build(flat: FlatIndex, lists: int, home: Path) -> None:
    work = home.with_name(f"{home.name}.parts")
    began = time.perf_counter()
    try:
        work.mkdir(exist_ok=True)
        empty = _centres(flat, lists, work / "centres.faiss")
        parts = _parts(flat, empty, work)
        whole = _merge(empty, parts, work)
        sizes = {path.name: path.stat().st_size for path in whole.iterdir()}
        facts = ListsFacts(lists, sizes, round(time.perf_counter() - began, 3))
        with atomic_write(whole / MANIFEST) as file:
            json.dump(asdict(facts), file, indent=1)
        for path in (whole / "lists.bin", whole):
            sync(path)
        whole.rename(home)
        sync_folder(home.parent)
        shutil.rmtree(work)
    # faiss says RuntimeError of a full disk
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{work}: cannot be written ({error}); what was finished is kept: free some space and "
            "run the same command again"
        ) from None


def _centres(flat: FlatIndex, lists: int, path: Path) -> Any:
    """An index without passages, with the centres of its lists."""
    faiss = import_faiss()
    if not path.is_file():
        kind = "SQfp16" if flat.facts.precision == "float16" else "Flat"
        index = faiss.index_factory(
            flat.dimensions, f"IVF{lists},{kind}", faiss.METRIC_INNER_PRODUCT
        )
        # the numbers themselves, and not their distance from the centre
        index.by_residual = False
        draw = np.random.default_rng(0)
        count = min(flat.facts.passages, TAUGHT * lists)
        rows = np.sort(draw.choice(flat.facts.passages, size=count, replace=False))
        index.train(flat.at(rows))
        _write(index, path)
    return faiss.read_index(str(path))


def _parts(flat: FlatIndex, empty: Any, work: Path) -> list[Path]:
    """Files with the lists of some shards each."""
    from tqdm import tqdm

    faiss = import_faiss()
    paths = []
    for first in tqdm(range(0, flat.layout.shards, PART), desc="inverted lists", unit="part"):
        path = work / f"{first:06}.faiss"
        paths.append(path)
        if path.is_file():
            continue
        index = faiss.clone_index(empty)
        for number in range(first, min(first + PART, flat.layout.shards)):
            rows = flat.layout.rows(number)
            vectors = flat.vectors(number).astype(np.float32)
            index.add_with_ids(vectors, np.arange(rows.start, rows.stop))
        _write(index, path)
    return paths


def _merge(empty: Any, parts: list[Path], work: Path) -> Path:
    """The folder of one index of all parts, of which none is read into memory."""
    from faiss.contrib.ondisk import merge_ondisk

    whole = work / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    merge_ondisk(empty, [str(path) for path in parts], str(whole / "lists.bin"))
    _write(empty, whole / FILE)
    return whole


def _write(index: Any, path: Path) -> None:
    temporary = path.with_name(f".{path.name}")
    import_faiss().write_index(index, str(temporary))
    sync(temporary)
    temporary.replace(path)
    sync_folder(path.parent)
