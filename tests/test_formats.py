"""Files: what is accepted, and errors that name the file, the line, the key, what was found and
what was expected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.formats import (
    read_candidates,
    read_passages,
    read_questions,
    read_rationales,
    read_run,
    write_run,
)
from radio.lines import atomic_write, write_jsonl
from radio.schema import Candidate, InputError, Passage, Question, Rationale, Run, ranked
from radio.text import normalise_question

QUESTION = '{"id": "q1", "question": "Who?", "golden_answers": ["Ada"]}'
CANDIDATES = '{"id": "q1", "candidates": [{"id": "p1", "score": 2.0}, %s]}'

Reader = Callable[[str | Path], Any]
READERS = [read_questions, read_passages, read_rationales, read_candidates, read_run]
every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "data.jsonl") -> Path:
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return write


def message(reader: Reader, path: Path) -> str:
    with pytest.raises(InputError) as error:
        reader(path)
    return str(error.value)


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
    valid = '{"id": "1", "question": "Who?", "golden_answers": ["a"], "contents": "text", "rationale": "why"}'
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


@pytest.mark.parametrize("reader", [read_run, read_candidates])
@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "q1 p1 1 2.0 tag",
            ["found 5 columns", "expected 6: question_id Q0 passage_id rank score tag"],
        ),
        ("q1 Q0 p2 2 1.0 my tag", ["found 7 columns", "expected 6"]),
        ("q1 Q0 p2 2 best tag", ["column 5", "found 'best'", "expected a finite score"]),
        ("q1 Q0 p2 2 nan tag", ["column 5", "found 'nan'", "expected a finite score"]),
        ("q1 Q0 p2 2 -inf tag", ["column 5", "found '-inf'", "expected a finite score"]),
        ("q1 Q0 p1 2 1.0 tag", ["'p1'", "twice"]),
    ],
)
def test_a_wrong_line_of_a_trec_run_is_named(
    reader: Reader, line: str, parts: list[str], file: Callable[..., Path]
) -> None:
    path = file("q1 Q0 p1 1 2.0 tag", "", line, name="run.trec")
    found = message(reader, path)
    assert found.startswith(f"{path}:3: ")
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


def test_gzip_and_plain_runs_read_the_same(file: Callable[..., Path], tmp_path: Path) -> None:
    plain = file("q1 Q0 p1 1 2.5 tag", "q1 Q0 p2 2 -1e-3 tag", name="run.trec")
    (tmp_path / "run.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_run(tmp_path / "run.gz") == read_run(plain) == {"q1": {"p1": 2.5, "p2": -0.001}}


def test_questions_keep_their_order_and_optional_keys(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "b", "question": " Who? ", "golden_answers": ["Ada", "", "Ada L."], "metadata": '
        '{"hops": 2}, "x": 1}',
        "",
        '{"id": 7, "question": "What?", "golden_answers": ["x"]}',
    )
    assert read_questions(path) == [
        Question("b", "Who?", ("Ada", "Ada L."), (), {"hops": 2}),
        Question("7", "What?", ("x",)),
    ]


@pytest.mark.parametrize("answer", ["1", "[1]", '["b"]'])
def test_a_multiple_choice_answer_may_be_an_index(answer: str, file: Callable[..., Path]) -> None:
    path = file(
        f'{{"id": "m", "question": "Which?", "choices": ["a", "b"], "golden_answers": {answer}}}'
    )
    assert read_questions(path) == [Question("m", "Which?", ("b",), ("a", "b"))]


@pytest.mark.parametrize("answers", ["", ', "golden_answers": []', ', "golden_answers": null'])
def test_questions_to_be_reranked_only_need_no_answers(
    answers: str, file: Callable[..., Path]
) -> None:
    path = file(f'{{"id": "q1", "question": "Who?"{answers}}}')
    assert read_questions(path, need_answers=False) == [Question("q1", "Who?")]


def test_passages_have_a_title_and_a_text(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "p1", "contents": "\\"Fog\\"\\nIt is grey.\\nAnd wet."}',
        '{"id": 2, "contents": "No title."}',
    )
    passages = read_passages(path)
    assert list(passages) == ["p1", "2"]
    assert (passages["p1"].title, passages["p1"].text) == ("Fog", "It is grey.\nAnd wet.")
    assert (passages["2"].title, passages["2"].text) == ("", "No title.")


def test_rationales_join_by_id_and_published_rows_by_text(file: Callable[..., Path]) -> None:
    path = file(
        '{"question_id": "q1", "rationale": " because ", "model": "m", "prompt": "f", "usage": '
        '{"out": 3}}',
        '{"id": 2, "rationale": "for a reason"}',
        '{"question": "Who, then, wrote it?", "golden_answers": ["Ada"], "reason": "Ada wrote '
        'it."}',
    )
    by_id, by_text = read_rationales(path)
    assert by_id == {
        "q1": Rationale("q1", "because", "m", "f", {"out": 3}),
        "2": Rationale("2", "for a reason"),
    }
    assert by_text == {normalise_question("who then WROTE it"): Rationale("", "Ada wrote it.")}


def test_the_same_rationale_twice_is_one(file: Callable[..., Path]) -> None:
    row = '{"question": "Who?", "golden_answers": ["Ada"], "reason": "Ada did."}'
    assert len(read_rationales(file(row, row))[1]) == 1


@pytest.mark.parametrize(
    ("text", "same", "equal"),
    [
        ("Who wrote it?", "  who  wrote IT", True),
        ("the ﬁrst?", "The first", True),
        ("Café?", "cafe\u0301", True),
        ("Who wrote it?", "Who wrote that?", False),
    ],
)
def test_questions_are_the_same_but_for_case_punctuation_and_encoding(
    text: str, same: str, equal: bool
) -> None:
    assert (normalise_question(text) == normalise_question(same)) is equal


def test_candidates_are_ranked_by_score_and_carry_their_passages(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "q1", "candidates": [{"id": "a", "score": 1, "contents": "T\\nA"}, {"id": 5, '
        '"score": 2.5}]}',
        '{"id": "q2", "candidate_ids": ["c", "d"], "scores": [1, 3]}',
        '{"id": "q3", "candidate_ids": ["c", "d"]}',
        '{"id": "q4", "candidates": []}',
    )
    candidates, passages = read_candidates(path)
    assert candidates == {
        "q1": [Candidate("5", 0, 2.5), Candidate("a", 1, 1.0)],
        "q2": [Candidate("d", 0, 3.0), Candidate("c", 1, 1.0)],
        "q3": [Candidate("c", 0, 1.0), Candidate("d", 1, 0.5)],
        "q4": [],
    }
    assert passages == {"a": Passage("a", "T\nA")}


def test_an_id_may_not_name_two_passages(file: Callable[..., Path]) -> None:
    rows = [
        {"id": question, "candidates": [{"id": "0", "contents": text}]}
        for question, text in (("q1", "a"), ("q2", "b"))
    ]
    path = file(*map(json.dumps, rows))
    assert message(read_candidates, path) == (
        f"{path}:2: candidate 1: passage id '0' had another text before; ids must name one passage "
        "each, whatever the question"
    )


def test_candidates_that_were_put_in_by_hand_are_marked(file: Callable[..., Path]) -> None:
    rows = [
        ("found", ["bm25"]),
        ("both", ["gold", "bm25"]),
        ("injected", ["gold"]),
        ("unknown", []),
    ]
    entries = [
        {"id": name, "score": -i, "from": o, "contents": name} for i, (name, o) in enumerate(rows)
    ]
    candidates, _ = read_candidates(file(json.dumps({"id": "q1", "candidates": entries})))
    found = [(c.passage_id, c.rank, c.injected) for c in candidates["q1"]]
    assert found == [
        ("found", 0, False),
        ("both", 1, False),
        ("injected", 2, True),
        ("unknown", 3, False),
    ]


def test_candidates_from_a_trec_run_equal_those_from_jsonl(file: Callable[..., Path]) -> None:
    trec = file("q1 Q0 a 1 0.5 tag", "q1 Q0 b 2 0.9 tag", name="run.trec")
    rows = file(
        '{"id": "q1", "candidates": [{"id": "a", "score": 0.5}, {"id": "b", "score": 0.9}]}'
    )
    assert read_candidates(trec) == read_candidates(rows)


# Writing


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run: Run = {
        "q2": {"tied-z": 0.1, "tied-a": 0.1, "best": 1 / 3, "last": -1e-300},
        "q1": {"p": 1e20},
    }
    path = tmp_path / "deep" / "folder" / "run.trec"
    write_run(path, run, "tag")
    assert read_run(path) == run
    assert list(read_run(path)) == ["q2", "q1"]
    assert [line.split() for line in path.read_text().splitlines()][:4] == [
        ["q2", "Q0", "best", "1", repr(1 / 3), "tag"],
        ["q2", "Q0", "tied-a", "2", "0.1", "tag"],
        ["q2", "Q0", "tied-z", "3", "0.1", "tag"],
        ["q2", "Q0", "last", "4", "-1e-300", "tag"],
    ]
    assert read_candidates(path)[0]["q2"] == ranked(run["q2"])


def test_equal_scores_are_ordered_by_passage_id_and_not_as_they_were_given() -> None:
    ids = [c.passage_id for c in ranked({"z": 0.0, "m": 1.0, "a": 0.0, "b": 1.0})]
    assert ids == ["b", "m", "a", "z"]


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
