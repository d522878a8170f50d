"""Files: what is accepted, and errors that name the file, the line, the key, what was found and
what was expected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.formats import (
    read_candidates,
    read_passages,
    read_questions,
    read_rationales,
    read_run,
)
from tests.formats.readers import CANDIDATES, QUESTION, Reader, every_reader, message

# Errors


@every_reader
def test_a_missing_file_is_named_with_where_the_search_starts(
    reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere.jsonl"
    assert message(reader, path) == f"{path}: no such file (relative paths start at {Path.cwd()})"


@every_reader
def test_a_folder_is_not_a_file(reader: Reader, tmp_path: Path) -> None:
    assert message(reader, tmp_path) == f"{tmp_path}: this is a folder, expected a file"


def test_a_path_through_a_file_is_an_input_error(file: Callable[..., Path]) -> None:
    path = file(QUESTION) / "more.jsonl"
    assert str(path) in message(read_questions, path)


@every_reader
def test_text_that_is_not_utf8_is_named(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(QUESTION.replace("Ada", "Renée").encode("latin-1"))
    assert message(reader, path).startswith(f"{path}:1: not UTF-8 text")


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def wrong_checksum(data: bytes) -> bytes:
    return data[:-8] + b"\0" * 8


def wrong_body(data: bytes) -> bytes:
    return data[:10] + b"\xff" * 30 + data[40:]


def wrong_header(data: bytes) -> bytes:
    return data[:2] + b"\xff" + data[3:]


@pytest.mark.parametrize("reader", [read_passages, read_run])
@pytest.mark.parametrize(
    "damage", [cut_off, wrong_checksum, wrong_body, wrong_header], ids=lambda x: x.__name__
)
def test_a_damaged_gzip_file_is_named(
    reader: Reader, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b" \n" * 5000)))
    assert message(reader, path).startswith(f"{path}: the gzip file is damaged or cut off")


@pytest.mark.parametrize("reader", [read_questions, read_passages, read_rationales])
@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"id": "x", ', ["not valid JSON", "at column", "expected one JSON object a line"]),
        ("[1, 2]", ["found a list", "expected a JSON object"]),
        ("null", ["found null", "expected a JSON object"]),
        ("true", ["found true or false", "expected a JSON object"]),
    ],
)
def test_a_broken_line_is_named(
    reader: Reader, line: str, parts: list[str], tmp_path: Path, file: Callable[..., Path]
) -> None:
    question = '"id": "1", "question": "Who?", "golden_answers": ["a"]'
    valid = f'{{{question}, "contents": "text", "rationale": "why"}}'
    path = file(valid, "", line)
    found = message(reader, path)
    assert found.startswith(f"{path}:3: ")
    for part in parts:
        assert part in found


@pytest.mark.parametrize(
    ("reader", "line", "parts"),
    [
        # questions
        (
            read_questions,
            '{"question": "Who?"}',
            ["'id' is missing", "only the keys 'question'", "expected a string"],
        ),
        (read_questions, "{}", ["'id' is missing", "(none)"]),
        (read_questions, '{"id": null, "question": "Who?"}', ["'id' is missing", "found null"]),
        (
            read_questions,
            '{"id": 1.5, "question": "Who?"}',
            ["'id'", "found a number ('1.5')", "expected a string"],
        ),
        (
            read_questions,
            '{"id": true, "question": "Who?"}',
            ["'id'", "found true or false", "expected a string"],
        ),
        (
            read_questions,
            '{"id": "a b", "question": "Who?"}',
            ["'id'", "found 'a b'", "without white space"],
        ),
        (
            read_questions,
            '{"id": "", "question": "Who?"}',
            ["'id'", "found ''", "expected a non-empty string"],
        ),
        (read_questions, '{"id": "2"}', ["'question' is missing", "only the keys 'id'"]),
        (
            read_questions,
            '{"id": "2", "question": ["Who?"]}',
            ["'question'", "found a list", "expected a string"],
        ),
        (read_questions, '{"id": "2", "question": "  "}', ["'question' is empty"]),
        (
            read_questions,
            '{"id": "2", "question": "Who?"}',
            ["'golden_answers' is missing", "expected a list"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": "Ada"}',
            ["'golden_answers'", "found a string ('Ada')", "expected a list"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": ["Ada", 7]}',
            ["'golden_answers'", "found a number in the list", "expected strings only"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": []}',
            ["'golden_answers'", "'2'", "is empty", "expected at least one answer"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": ["  "]}',
            ["'golden_answers'", "'2'", "is empty", "expected at least one answer"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": 2, "choices": ["a", "b"]}',
            ["'golden_answers'", "found index 2", "expected 0..1"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": ["a"], "choices": "ab"}',
            ["'choices'", "found a string", "expected a list"],
        ),
        (
            read_questions,
            '{"id": "2", "question": "Who?", "golden_answers": ["a"], "metadata": []}',
            ["'metadata'", "found a list", "expected an object"],
        ),
        (read_questions, QUESTION, ["id 'q1' is a duplicate", "data.jsonl:1"]),
        (
            read_questions,
            # half of an emoji, as a text that was cut at a fixed length ends: no file and no cache
            # key can hold it
            r'{"id": "2", "question": "Who \ud83d", "golden_answers": ["a"]}',
            ["'question'"],
        ),
        # passages
        (
            read_passages,
            '{"id": "p2", "text": "x"}',
            ["'contents' is missing", "'id', 'text'", "expected a string"],
        ),
        (
            read_passages,
            '{"id": "p2", "contents": 5}',
            ["'contents'", "found a number", "expected a string"],
        ),
        (
            read_passages,
            '{"id": "p1", "contents": "x"}',
            ["id 'p1' is a duplicate", "data.jsonl:1"],
        ),
        # rationales
        (
            read_rationales,
            '{"id": "2", "text": "x"}',
            ["'rationale' is missing", "expected a string"],
        ),
        (read_rationales, '{"id": "2", "rationale": " "}', ["'rationale' is empty"]),
        (read_rationales, '{"question": "Who?", "reason": ""}', ["'reason' is empty"]),
        (read_rationales, '{"rationale": "why"}', ["'question' is missing", "expected a string"]),
        (
            read_rationales,
            '{"question_id": 1.5, "rationale": "why"}',
            ["'question_id'", "found a number"],
        ),
        (
            read_rationales,
            '{"id": "2", "rationale": "why", "usage": 3}',
            ["'usage'", "found a number", "an object"],
        ),
        (
            read_rationales,
            '{"id": "1", "rationale": "other"}',
            ["second, different rationale for '1'", "one a question"],
        ),
        # candidates
        (
            read_candidates,
            '{"id": "2"}',
            ["'candidates' is missing", "only the keys 'id'", "expected a list"],
        ),
        (
            read_candidates,
            '{"id": "2", "candidates": {}}',
            ["'candidates'", "found an object", "expected a list"],
        ),
        (
            read_candidates,
            CANDIDATES % '"p2"',
            ["candidate 2", "found a string", "expected an object"],
        ),
        (read_candidates, CANDIDATES % '{"score": 1}', ["candidate 2", "'id' is missing"]),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "score": "1"}',
            ["candidate 2", "'score'", "expected a number"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "score": true}',
            ["candidate 2", "'score'", "expected a number"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "score": NaN}',
            ["NaN is no JSON", "expected"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "score": 1e999}',
            ["candidate 2", "'score'", "expected"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "from": 3}',
            ["candidate 2", "'from'", "found a number"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p2", "contents": 3}',
            ["candidate 2", "'contents'", "found a number"],
        ),
        (
            read_candidates,
            CANDIDATES % '{"id": "p1"}',
            ["candidate 2", "passage id 'p1' stands twice in the list"],
        ),
        (read_candidates, '{"id": "0", "candidates": []}', ["question id '0' is a duplicate"]),
        (
            read_candidates,
            '{"id": "2", "candidate_ids": ["a", "b"], "scores": [1]}',
            ["found 2 candidate_ids but 1 scores"],
        ),
        (
            read_candidates,
            '{"id": "2", "candidate_ids": ["a", "a"]}',
            ["candidate 2", "passage id 'a' stands twice"],
        ),
    ],
)
def test_a_wrong_row_is_named(
    reader: Reader, line: str, parts: list[str], file: Callable[..., Path]
) -> None:
    valid = {
        read_questions: QUESTION,
        read_passages: '{"id": "p1", "contents": "x"}',
        read_rationales: '{"id": "1", "rationale": "why"}',
        read_candidates: '{"id": "0", "candidates": []}',
    }
    path = file(valid[reader], line)
    found = message(reader, path)
    assert found.startswith(f"{path}:2: ")
    for part in parts:
        assert part in found


@pytest.mark.parametrize(
    ("reader", "expected"),
    [(read_questions, "the file holds no question"), (read_passages, "the corpus is empty")],
)
def test_a_file_without_a_row_is_refused(
    reader: Reader, expected: str, file: Callable[..., Path]
) -> None:
    path = file("", "  ")
    assert message(reader, path).startswith(f"{path}: {expected}")


# What is accepted


@pytest.mark.parametrize(
    "reader", [read_questions, read_passages, read_rationales, read_candidates]
)
@pytest.mark.parametrize("name", ["data.jsonl.gz", "zipped_but_not_called_so.jsonl"])
def test_gzip_and_plain_files_read_the_same(
    reader: Reader, name: str, file: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        {
            "id": f"é{i}",
            "question": f"Who ünd {i}?",
            "golden_answers": ["a"],
            "contents": "título\ntext",
            "rationale": "because",
            "candidates": [{"id": "p", "score": 0.5}],
        }
        for i in range(3)
    ]
    plain = file(*(json.dumps(row, ensure_ascii=False) for row in rows))
    (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
    assert reader(tmp_path / name) == reader(str(plain))


# Writing
