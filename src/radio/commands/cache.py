"""``radio cache info|export|import|prune``: look after the store of rationales and answers."""

from __future__ import annotations

import argparse
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.data.tables import FOLDER
from radio.lines import atomic_write, read_rows
from radio.ranges import check
from radio.schema import InputError
from radio.text import normalise_question

PAID = ("rationale", "answer")
"""Kinds that cost money; what the others hold is computed again."""

NUMBERS = ("embedding", "token embeddings")
"""Kinds whose values are no JSON."""

PART = 1000
"""Rows of a file that are stored at once."""

OUTCOMES = ("written", "empty", "refused", "truncated")

# CASE, because AND does not keep SQLite from reading an embedding, or what is damaged, as JSON
_FIELD = (
    "CASE WHEN kind IN ('rationale', 'answer') AND json_valid(CAST(value AS TEXT))"
    " THEN json_extract(CAST(value AS TEXT), '$.{}') END"
)

# of a generator, no answer is an empty one
_TEXT = f"COALESCE({_FIELD.format('rationale')}, {_FIELD.format('answer')})"
_OUTCOME = (
    f"CASE WHEN {_TEXT} IS NULL THEN NULL"
    f" WHEN COALESCE({_FIELD.format('outcome')}, 'written') <> 'written' THEN "
    f"{_FIELD.format('outcome')}"
    f" WHEN TRIM({_TEXT}, char(9, 10, 13, 32)) = '' THEN 'empty' ELSE 'written' END"
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    check("radio cache prune", vars(chosen))
    path = Path(chosen.cache_dir) / "radio.sqlite"
    if chosen.command != "import" and not path.is_file():
        raise InputError(f"{path}: no such file; name the folder of the cache with --cache_dir")
    cache = Cache(path)
    if chosen.command == "info":
        _info(cache)
    elif chosen.command == "export":
        try:
            count = _export(cache, chosen)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{chosen.file}: cannot be written ({reason})") from None
        print(f"{count} entries written to {chosen.file}")
    elif chosen.command == "import":
        new, total = _import(cache, chosen.file)
        print(f"{new} of {total} entries are new in {path}")
    else:
        _prune(cache, chosen)
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cache_dir", default=".radio_cache", help="folder of the cache (default: .radio_cache)"
    )
    choice = argparse.ArgumentParser(add_help=False)
    choice.add_argument("--kind", help="kind of entries, for example rationale or answer")
    choice.add_argument("--model", help="only what this model wrote")
    choice.add_argument("--prompt", help="only this prompt: the beginning of its fingerprint")
    choice.add_argument(
        "--outcome", choices=OUTCOMES, help="only rationales and answers that ended so"
    )
    choice.add_argument(
        "--key", help="only the entry of this key, as a message about a damaged one gives it"
    )
    parser = argparse.ArgumentParser(prog="radio cache", description=(__doc__ or "").split(": ")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", parents=[common], help="what is in it")
    export = commands.add_parser("export", parents=[common, choice], help="write entries as JSONL")
    export.add_argument(
        "file", type=Path, help="the file to write; rationales can be read by Recorded"
    )
    load = commands.add_parser(
        "import", parents=[common], help="read what export wrote, on any machine"
    )
    load.add_argument("file", type=Path)
    prune = commands.add_parser(
        "prune", parents=[common, choice], help="remove entries with --yes, count them without"
    )
    prune.add_argument(
        "--older_than", type=_days, metavar="DAYS", help="only entries older than this"
    )
    prune.add_argument("--yes", action="store_true", help="really remove them")
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of days, 0 or more")
    return days


def _info(cache: Cache) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "kind", "entries", "MB", "first", "last", title=str(cache.path), title_justify="left"
    )
    sql = (
        "SELECT kind, COUNT(*), SUM(LENGTH(value)), MIN(created), MAX(created) "
        "FROM entries GROUP BY kind"
    )
    for kind, count, size, first, last in cache.query(sql):
        table.add_row(kind, f"{count:,}", f"{size / 1e6:,.1f}", first, last)
    console = Console()
    console.print(table)
    names = ("model", "prompt", "usage.input", "usage.output")
    model, prompt, read, written = (_FIELD.format(name) for name in names)
    sql = (
        f"SELECT {model}, SUBSTR({prompt}, 1, 12), {_OUTCOME}, "  # noqa: S608
        f"COUNT(*), SUM({read}), SUM({written}) "
        "FROM entries WHERE kind = 'rationale' GROUP BY 1, 2, 3"
    )
    detail = Table("model", "prompt", "outcome", "rationales", "input tokens", "output tokens")
    for *texts, count, read_tokens, written_tokens in cache.query(sql):
        numbers = [f"{number or 0:,}" for number in (count, read_tokens, written_tokens)]
        detail.add_row(*(str(text or "") for text in texts), *numbers)
    if detail.row_count:
        console.print(detail)


def _where(chosen: argparse.Namespace) -> tuple[str, list[str]]:
    """SQL condition of the chosen entries, and the values of its question marks."""
    conditions, values = ["1"], []
    columns = {
        "kind": chosen.kind,
        "key": chosen.key,
        _FIELD.format("model"): chosen.model,
        _OUTCOME: chosen.outcome,
    }
    for column, wanted in columns.items():
        if wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if chosen.prompt:
        conditions.append(f"{_FIELD.format('prompt')} LIKE ?")
        values.append(f"{chosen.prompt}%")
    if getattr(chosen, "older_than", None) is not None:
        conditions.append("created < DATETIME('now', ?)")
        values.append(f"-{chosen.older_than} days")
    return " AND ".join(conditions), values


def _export(cache: Cache, chosen: argparse.Namespace) -> int:
    where, values = _where(chosen)
    if not chosen.kind:
        where += f" AND kind IN {PAID}"
    sql = f"SELECT key, kind, created, value FROM entries WHERE {where} ORDER BY created, key"  # noqa: S608
    ambiguous = _ambiguous_ids(value for _, _, _, value in _read(cache, sql, values))
    count = 0
    with atomic_write(chosen.file) as file:
        for key, kind, created, value in _read(cache, sql, values):
            row = dict(value) if isinstance(value, dict) else {"value": value}
            if row.get("id") in ambiguous:
                # two datasets may use the same ids: those rationales join by the text of the
                # question
                del row["id"]
            row |= {"key": key, "kind": kind, "created": created}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _read(cache: Cache, sql: str, values: Sequence[Any]) -> Iterator[tuple[str, str, str, Any]]:
    for key, kind, created, value in cache.query(sql, values):
        if kind in NUMBERS:
            raise InputError(
                f"--kind {kind}: these entries are numbers, not text; they are not exported"
            )
        try:
            yield key, kind, created, json.loads(value)
        except (ValueError, RecursionError) as error:
            raise cache.damaged(key, str(error)) from None


def _ambiguous_ids(values: Iterable[Any]) -> set[str]:
    """Ids that stand for different questions."""
    first: dict[str, str] = {}
    ambiguous = set()
    for value in values:
        if isinstance(value, dict) and "id" in value and "question" in value:
            text = normalise_question(value["question"])
            if first.setdefault(value["id"], text) != text:
                ambiguous.add(value["id"])
    return ambiguous


def _import(cache: Cache, path: Path) -> tuple[int, int]:
    """Store the rows of a file that are not there yet; returns how many were new, and how many
    there are."""
    new = total = 0
    waiting: dict[str, tuple[str, Any]] = {}
    for place, row in read_rows(path):
        key, kind, value = _entry(place, row)
        waiting[key] = (kind, value)
        total += 1
        if len(waiting) == PART:
            new += _store(cache, waiting)
            waiting = {}
    return new + _store(cache, waiting), total


def _store(cache: Cache, entries: Mapping[str, tuple[str, Any]]) -> int:
    """Store those entries that the cache lacks; returns how many they were."""
    lacking = cache.missing(list(entries))
    by_kind: dict[str, dict[str, Any]] = {}
    for key in lacking:
        kind, value = entries[key]
        by_kind.setdefault(kind, {})[key] = value
    for kind, values in by_kind.items():
        cache.put_json(kind, values)
    return len(lacking)


def _entry(place: str, row: dict[str, Any]) -> tuple[str, str, Any]:
    """Key, kind and value of a row of the file."""
    for name in ("key", "kind"):
        if not isinstance(row.get(name), str):
            raise InputError(
                f"{place}: key {name!r} is missing: expected a row of 'radio cache export' "
                "(files of rationales alone are read by Recorded)"
            )
    key, kind = row.pop("key"), row.pop("kind")
    row.pop("created", None)
    value = row["value"] if set(row) == {"value"} else row
    _check(place, kind, value)
    return key, kind, value


def _check(place: str, kind: str, value: Any) -> None:
    """Refuse what could not be read again."""
    if kind in NUMBERS:
        raise InputError(f"{place}: key 'kind': found {kind!r}, expected entries that are text")
    if kind != "rationale":
        return
    from radio.rationales.base import from_row

    try:
        from_row("", value)
    except (KeyError, TypeError) as error:
        raise InputError(f"{place}: found no {kind} of 'radio cache export' ({error})") from None


def _prune(cache: Cache, chosen: argparse.Namespace) -> None:
    where, values = _where(chosen)
    if where == "1":
        raise InputError(
            "prune: say what to remove: --kind, --model, --prompt, --outcome, --key or --older_than"
        )
    sql = f"SELECT kind, COUNT(*) FROM entries WHERE {where} GROUP BY kind"  # noqa: S608
    counts = dict(cache.query(sql, values))
    shown = ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "nothing"
    if not chosen.yes:
        print(f"would remove: {shown} (add --yes to do it)")
        return
    cache.execute(f"DELETE FROM entries WHERE {where}", values)  # noqa: S608
    print(f"removed: {shown}")
    # made from entries that are no more
    shutil.rmtree(cache.path.parent / FOLDER, ignore_errors=True)
    cache.execute("VACUUM")
