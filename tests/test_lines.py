"""Files as real people have them: any editor, any locale, any script, and things that are no file
of text."""

from __future__ import annotations

import ast
import codecs
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.corpus import DiskCorpus
from radio.evaluation.results import Results
from radio.fingerprints import path_fingerprint
from radio.formats import (
    read_candidates,
    read_passages,
    read_qrels,
    read_questions,
    read_rationales,
    read_run,
)
from radio.lines import (
    atomic_write,
    find_file,
    read_lines,
    read_rows,
    rows_of,
    stream_lines,
    write_jsonl,
)
from radio.schema import InputError, Question
from tests.conftest import PATIENCE, ROOT
from tests.synced import Synced

READERS: dict[Callable[[Path], Any], tuple[str, str]] = {
    read_questions: (
        '{"id": "a", "question": "Who?", "golden_answers": ["x"]}',
        '{"id": "b", "question": "Why?", "golden_answers": ["y"]}',
    ),
    read_passages: ('{"id": "a", "contents": "x"}', '{"id": "b", "contents": "y"}'),
    read_rationales: ('{"id": "a", "rationale": "x"}', '{"question": "Who?", "reason": "y"}'),
    read_candidates: ('{"id": "a", "candidate_ids": ["p"]}', '{"id": "b", "candidate_ids": ["p"]}'),
    read_run: ("a Q0 p 1 2.0 tag", "b Q0 p 1 3.0 tag"),
    read_qrels: ("query-id\tcorpus-id\tscore", "a\tp\t1"),
}
every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c"


@every_reader
def test_marks_of_windows_change_nothing(reader: Callable[[Path], Any], tmp_path: Path) -> None:
    first, second = READERS[reader]
    path = tmp_path / "file"
    path.write_bytes(f"{first}\n{second}\n".encode())
    plain = reader(path)
    for text in (
        f"\ufeff{first}\n{second}",
        f"{first}\r\n{second}\r\n",
        f"\ufeff{first}\r\n\r\n\ufeff{second}\r\n",
    ):
        path.write_bytes(text.encode())
        assert reader(path) == plain
        path.write_bytes(gzip.compress(text.encode()))
        assert reader(path) == plain


def test_lines_end_at_newlines_alone(tmp_path: Path) -> None:
    text = f"Who{SEPARATORS}wrote it?"
    row = {"id": "q1", "question": text, "golden_answers": [text]}
    (tmp_path / "q.jsonl").write_bytes((json.dumps(row, ensure_ascii=False) + "\n").encode())
    assert read_questions(tmp_path / "q.jsonl") == [Question("q1", text, (text,))]
    for _ in range(2):  # the second one reads what the first one wrote
        results = Results()
        results.add("test", "tuned", "q1", {"em": 1.0}, answer=text)
        results.write(tmp_path)
        results.add("validation", "tuned", "q1", {"em": 1.0}, answer=text)
        results.write(tmp_path)
    assert [row["tuned"]["answer"] for _, row in read_rows(tmp_path / "predictions.jsonl")] == [
        text,
        text,
    ]


IN_LATIN = """
import sys
from pathlib import Path
from radio.formats import read_questions
from radio.evaluation.results import Results
folder = Path(sys.argv[1])
question, = read_questions(folder / "q.jsonl")
for split in ("validation", "test"):
    results = Results()
    results.add(split, "tuned", question.id, {"em": 1.0}, answer=question.question)
    results.write(folder)
text = (folder / "predictions.jsonl").read_text(encoding="utf-8")
assert text.count("\\N{HIRAGANA LETTER GA}") == 2
"""


def test_no_locale_changes_what_is_read_and_written(tmp_path: Path) -> None:
    row = {"id": "q1", "question": "がé\u2028?", "golden_answers": ["ü"]}
    (tmp_path / "q.jsonl").write_bytes(json.dumps(row, ensure_ascii=False).encode())
    locale = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONWARNDEFAULTENCODING": "1",
    }
    command = [sys.executable, "-W", "error::EncodingWarning:radio", "-c", IN_LATIN, str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, **locale}, timeout=PATIENCE)


@every_reader
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(
    reader: Callable[[Path], Any], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(
            InputError, match=f"{path}: this is a pipe or a device, expected a file"
        ):
            reader(path)


def test_no_fingerprint_or_corpus_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe or a device"):
        path_fingerprint(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe or a device"):
        DiskCorpus([tmp_path / "pipe"], tmp_path / "cache")


def test_a_name_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_questions(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot be read"):
        read_questions("a\0b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": ' + b"1" * 5000 + b"}", r"file:2: not valid JSON \(Exceeds the limit"),
        (
            b'{"id": "b", "question": "?", "golden_answers": ["x"], "score": NaN}',
            "file:2: .*NaN is no JSON",
        ),
        (b'{"id": "b", "metadata": {"x": -Infinity}}', "file:2: .*-Infinity is no JSON"),
        (b"[" * 200_000, "file:2: brackets within brackets too deep"),
        (b'{"id": ' * 200_000, "file:2: brackets within brackets too deep"),
        (b"\x80\x02\x7d\x71\x00", "file:2: not UTF-8 text"),
        (b"\x00\x01\x02", "file:2: not valid JSON"),
        (b"PK\x03\x04", "file:2: not valid JSON"),
    ],
)
def test_a_line_that_is_no_row_is_named(line: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(READERS[read_questions][0].encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=message):
        read_questions(path)


@every_reader
def test_a_file_of_another_encoding_or_of_nothing_is_named(
    reader: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(codecs.BOM_UTF16_LE + READERS[reader][0].encode("utf-16-le"))
    with pytest.raises(InputError, match=r"file:1: not UTF-8 text .*save the file as UTF-8"):
        reader(path)
    path.write_bytes(gzip.compress(READERS[reader][0].encode() * 100)[:-9])
    with pytest.raises(InputError, match="file: the gzip file is damaged or cut off after line"):
        reader(path)


def test_a_file_is_found_in_any_case_and_packed(tmp_path: Path) -> None:
    for name in ("Corpus.JSONL", "queries.jsonl.GZ", "both.tsv", "BOTH.tsv.gz"):
        (tmp_path / name).touch()
    found = [
        find_file(tmp_path, name).name
        for name in ("corpus.jsonl", "queries.jsonl", "both.tsv", "none.jsonl")
    ]
    assert found == ["Corpus.JSONL", "queries.jsonl.GZ", "both.tsv", "none.jsonl"]


def text_calls(tree: ast.AST) -> list[str]:
    """Calls that read or write text in the encoding of the locale, or split a file's text at more
    than newlines."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = (
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        )
        given = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        mode = next((k.value for k in call.keywords if k.arg == "mode"), None)
        modes = [*given, *([mode.value] if isinstance(mode, ast.Constant) else [])]
        encoded = any(k.arg == "encoding" for k in call.keywords) or "utf-8" in given
        binary = name == "open" and any(
            isinstance(m, str) and "b" in m and len(m) <= 3 for m in modes
        )
        if name in ("open", "fdopen"):
            # gzip.open is binary unless told otherwise; os.open and urlopen take no text
            owner = getattr(getattr(call.func, "value", None), "id", "")
            if not encoded and not binary and owner not in ("os", "gzip", "webbrowser", "Image"):
                found.append(f"{call.lineno}: {name}() without an encoding")
        elif name in ("read_text", "write_text") and not encoded:
            found.append(f"{call.lineno}: {name}() without an encoding")
        elif name == "splitlines" and "read_text" in ast.dump(call.func):
            found.append(f"{call.lineno}: splitlines() on the text of a file")
    return found


@pytest.mark.parametrize("folder", ["src", "data_modules", "benchmarks"])
def test_every_text_file_is_read_and_written_as_utf8(folder: str) -> None:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        calls = text_calls(ast.parse(path.read_text(encoding="utf-8")))
        found += [f"{path.relative_to(ROOT)}:{call}" for call in calls]
    assert found == []


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04", "a zip archive"),
        (b"BZh9", "packed with bzip2"),
        (b"PAR1", "Parquet under another name"),
    ],
)
def test_an_archive_in_the_place_of_text_is_named(tmp_path: Path, head: bytes, kind: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(head + b"\0\1\2")
    with pytest.raises(InputError, match=f"corpus.jsonl: found {kind}, expected lines of text"):
        list(read_lines(path))


def test_jsonl_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [{"id": "é", "n": [1, None]}, {"id": "line\nbreak"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    text = (tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in text.splitlines()] == rows
    assert "é" in text


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "run.trec"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write("new" * 100_000)
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_only_when_complete_with_the_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as file:
        file.write("text")
        file.flush()
        assert not path.exists()
    assert path.read_text() == "text"
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Synced(monkeypatch)
    write_jsonl(tmp_path / "rows.jsonl", [{"n": 1}])
    synced.check(tmp_path / "rows.jsonl")


def test_a_stream_gives_each_line_as_soon_as_it_has_come() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as given:
        rows = rows_of(stream_lines(stream, "here"), "here")
        for number in range(2):
            given.write(b'\n{"n": %d}\n' % number)
            # the stream is open still
            assert next(rows) == (f"here:{2 * number + 2}", {"n": number})
        given.close()
        assert list(rows) == []
    with pytest.raises(InputError, match="here:2: not UTF-8 text"):
        list(stream_lines(io.BytesIO(b"{}\n\xff\n"), "here"))
