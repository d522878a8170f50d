"""How the files of the tiny world are changed into what spreadsheets, scripts and other projects
leave."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from typing import Any

from benchmarks.inputs.place import Place

Row = dict[str, Any]
TUNED = r"metric .* tuned"
"""The head of the table that a run ends with."""
PREPARED = r"corpus: \d+ passages"


def raw(name: str, content: str | bytes) -> Callable[[Place], list[str]]:
    """A file of the world that holds just this."""

    def make(place: Place) -> list[str]:
        place.write(f"world/{name}.jsonl", content)
        return place.prepare()

    return make


def row(name: str, change: Callable[[int, Row], Any], *more: str) -> Callable[[Place], list[str]]:
    """A file of the world whose rows are changed."""

    def make(place: Place) -> list[str]:
        place.change(name, change)
        return place.prepare(*more)

    return make


def candidates(
    line: Callable[[str, int, str], str], *more: str, skip: str = ""
) -> Callable[[Place], list[str]]:
    """A candidate file, with four lines for each question: ``line(question id, rank, passage
    id)``."""

    def make(place: Place) -> list[str]:
        lines = []
        for split in ("train", "validation", "test"):
            for question in place.rows(split):
                topic = question["id"].split("-")[1]
                if question["id"] != skip:
                    lines += [
                        line(question["id"], rank, f"port{topic}-{rank}") for rank in range(4)
                    ]
        place.write("run.trec", "".join(lines))
        return place.prepare(*PRECOMPUTED, *more)

    return make


PRECOMPUTED = (
    "--data.init_args.retriever",
    "Precomputed",
    "--data.init_args.retriever.init_args.paths",
    "run.trec",
)
KEY_MISSING = r"train\.jsonl:1: key '{}' is missing: found only the keys .*expected"


def first(**values: Any) -> Callable[[int, Row], Row | None]:
    """Change the first row alone."""
    return lambda number, old: {**old, **values} if number == 0 else None


def rename(old: str, new: str) -> Callable[[int, Row], Row]:
    return lambda _, row: {(new if key == old else key): value for key, value in row.items()}


def zipped(place: Place) -> list[str]:
    with zipfile.ZipFile("corpus.zip", "w") as file:
        file.write("world/corpus.jsonl")
    return place.prepare("--data.init_args.corpus", "corpus.zip")


def loop(place: Place) -> list[str]:
    (place.folder / "loop.jsonl").symlink_to("loop.jsonl")
    return place.prepare("--data.init_args.corpus", "loop.jsonl")


def not_packed(place: Place) -> list[str]:
    (place.folder / "world/corpus.jsonl").rename(place.folder / "world/corpus.jsonl.gz")
    return place.prepare("--data.init_args.corpus", "world/corpus.jsonl.gz")


def windows(place: Place) -> list[str]:
    for name in ("corpus", "train"):
        path = place.folder / "world" / f"{name}.jsonl"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n \r\n")
    return place.prepare()


def numbers_as_ids(place: Place) -> list[str]:
    ids = {
        q["id"]: n
        for n, q in enumerate(
            q for split in ("train", "validation", "test") for q in place.rows(split)
        )
    }
    for split in ("train", "validation", "test"):
        place.change(split, lambda _, q: {**q, "id": ids[q["id"]]})
    place.change("rationales", lambda _, r: {**r, "id": str(ids[r["id"]])})
    return place.prepare()


def same_file(place: Place) -> list[str]:
    return place.prepare("--data.init_args.test", "world/train.jsonl")


def corpus_twice(place: Place) -> list[str]:
    return place.prepare("--data.init_args.corpus", '["world/corpus.jsonl", "world/corpus.jsonl"]')


def other_column(place: Place) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"id": ["a", "b"], "passage": ["The port0 lamp.", "The port1 rope."]})
    pyarrow.parquet.write_table(table, "corpus.parquet")
    return place.prepare("--data.init_args.corpus", "corpus.parquet")


def cut_off(place: Place) -> list[str]:
    content = (place.folder / "world/rationales.jsonl").read_bytes()
    place.write("world/rationales.jsonl", content[:-20])
    return place.prepare()


def pretty(place: Place) -> list[str]:
    place.write("world/train.jsonl", json.dumps(place.rows("train"), indent=2))
    return place.prepare()


def one_line_list(place: Place) -> list[str]:
    place.write("world/train.jsonl", json.dumps(place.rows("train")))
    return place.prepare()


def many_scripts(number: int, old: Row) -> Row:
    extra = (
        "<p>fog &amp; <b>lamp</b></p>",
        "\U0001f6a2\U0001f3f4‍☠️ ahoy",
        "المنارة في الميناء",
        "מגדלור‏ ליד הים",
    )
    return {**old, "contents": old["contents"] + "\n" + extra[number % 4]}


def trec(question: str, rank: int, passage: str) -> str:
    return f"{question} Q0 {passage} {rank + 1} {9.5 - rank} bm25\n"
