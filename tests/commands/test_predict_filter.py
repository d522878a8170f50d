"""``radio predict --input``: a real process between pipes, with an exported folder alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from radio.rerankers import BiEncoder, CrossEncoder, Reranker
from tests.conftest import PATIENCE, World, read_jsonl, write_jsonl
from tests.forked import Forked
from tests.test_cli import MODULE, Radio

KINDS: dict[str, Callable[..., Reranker]] = {"CrossEncoder": CrossEncoder, "BiEncoder": BiEncoder}
TEXTS = ["The lamp at port1.", "A gull in the fog", "captain1 lit the lamp because of the fog"]


@pytest.fixture(scope="module")
def exports(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An exported folder of each class, which is all that a filter needs."""
    folder = tmp_path_factory.mktemp("exports")
    made = {}
    for name, kind in KINDS.items():
        reranker = kind(model=tiny_bert, max_length=40)
        reranker.configure_model()
        made[name] = str(reranker.eval().export(folder / name))
    return made


def line(number: int, texts: list[str] = TEXTS) -> dict[str, Any]:
    # the ids of the passages are those of other texts in the next line
    candidates = [{"id": str(n), "contents": text} for n, text in enumerate(texts)]
    return {"id": f"q{number}", "question": f"Who lit lamp {number}?", "candidates": candidates}


def command(export: str, *options: str) -> list[str]:
    return [
        *("predict", "--config", "jsonl", "--model.init_args.model", export),
        *("--trainer.accelerator", "cpu", "--input", "-", *options),
    ]


@dataclass
class Pipes:
    """A filter in a process of its own, and the ends of the pipes to and from it."""

    process: Forked
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def give(self, *rows: dict[str, Any]) -> None:
        self.stdin.write(as_bytes(*rows))
        self.stdin.flush()


@contextmanager
def started(folder: Path, export: str, *options: str) -> Iterator[Pipes]:
    (its_in, mine_in), (mine_out, its_out), (mine_err, its_err) = os.pipe(), os.pipe(), os.pipe()
    process = Forked(
        [*MODULE, *command(export, *options)],
        cwd=folder,
        stdin=its_in,
        stdout=its_out,
        stderr=its_err,
    )
    for end in (its_in, its_out, its_err):
        os.close(end)
    with open(mine_in, "wb") as given, open(mine_out, "rb") as out, open(mine_err, "rb") as err:
        yield Pipes(process, given, out, err)


def as_bytes(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def piped(
    radio: Radio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., tuple[int, list[dict[str, Any]], str]]]:
    """The filter in this process, reading these bytes: status, answers, standard error."""
    opened = []

    def run(export: str, given: bytes, *options: str) -> tuple[int, list[dict[str, Any]], str]:
        (tmp_path / "given").write_bytes(given)
        file = (tmp_path / "given").open(encoding="utf-8")
        opened.append(file)
        monkeypatch.setattr(sys, "stdin", file)
        status, out, err = radio(*command(export, *options))
        return status, [json.loads(row) for row in out.splitlines()], err

    yield run
    for file in opened:
        file.close()


def test_a_line_is_answered_before_the_input_ends(exports: dict[str, str], tmp_path: Path) -> None:
    answers = []
    with started(tmp_path, exports["CrossEncoder"], "--block", "2") as pipes:
        for first in (0, 2):
            pipes.give(line(first), line(first + 1))
            # the input is open still
            answers += [json.loads(pipes.stdout.readline()) for _ in range(2)]
        pipes.give(line(4))
        pipes.stdin.close()
        answers += [json.loads(answer) for answer in pipes.stdout]
        said = pipes.stderr.read().decode()
        assert pipes.process.wait(PATIENCE) == 0, said
    assert [row["id"] for row in answers] == [f"q{number}" for number in range(5)]
    for row in answers:
        scores = [one["score"] for one in row["candidates"]]
        assert scores == sorted(scores, reverse=True)
        assert {one["id"]: one["contents"] for one in row["candidates"]} == {
            str(number): text for number, text in enumerate(TEXTS)
        }
    assert "reranked 5 questions" in said
    assert "is the export of CrossEncoder" in said
    # no run folder, no cache
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_ends_it_quietly(exports: dict[str, str], tmp_path: Path) -> None:
    with started(tmp_path, exports["CrossEncoder"], "--block", "1") as pipes:
        pipes.give(line(0))
        assert json.loads(pipes.stdout.readline())["id"] == "q0"
        pipes.stdout.close()
        pipes.give(line(1))
        # what a shell shows for a filter that SIGPIPE has ended, though its input is open still
        assert pipes.process.wait(PATIENCE) == 141
        said = pipes.stderr.read().decode()
    assert "Traceback" not in said
    assert "error" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_reranker_whatever_the_ids(
    kind: str, exports: dict[str, str], piped: Callable[..., Any]
) -> None:
    given = [line(0), line(1, TEXTS[::-1]), line(2, [TEXTS[0], TEXTS[0]]), line(3, [])]
    status, answers, err = piped(exports[kind], as_bytes(*given))
    assert status == 0, err
    first, second, twice, none = [
        {one["id"]: one["score"] for one in row["candidates"]} for row in answers
    ]
    from sentence_transformers import CrossEncoder as Theirs
    from sentence_transformers import SentenceTransformer

    asked = given[0]["question"]
    if kind == "CrossEncoder":
        theirs = Theirs(exports[kind], device="cpu").predict([(asked, text) for text in TEXTS])
    else:
        model = SentenceTransformer(exports[kind], device="cpu")
        theirs = 20 * model.similarity(model.encode_query(asked), model.encode_document(TEXTS))[0]
    assert list(first.values()) == pytest.approx(sorted(map(float, theirs))[::-1], abs=1e-4)
    assert [first[str(n)] for n in range(3)] == pytest.approx(list(map(float, theirs)), abs=1e-4)
    assert len(second) == 3
    assert len(set(twice.values())) == 1
    assert none == {}
    assert "tied at the top, and ordered by passage id there: 1 of 4 questions" in err


def test_what_a_line_leaves_out_is_found(
    exports: dict[str, str], piped: Callable[..., Any], radio: Radio, world: World, tmp_path: Path
) -> None:
    bare = {"id": "n1", "question": "Who lit the lamp at port3?"}
    named = {**bare, "id": "n2", "candidate_ids": ["port3-1", "port2-0"]}
    mixed = {
        **bare,
        "id": "n3",
        "candidates": [{"id": "own", "contents": "My own"}, {"id": "port0-0"}],
    }
    corpus = [
        *("--data.init_args.corpus", str(world.folder / "corpus.jsonl")),
        *("--data.init_args.eval_candidates", "6"),
    ]
    status, answers, err = piped(exports["CrossEncoder"], as_bytes(bare, named, mixed), *corpus)
    assert status == 0, err
    assert len(answers[0]["candidates"]) == 6
    assert {one["id"] for one in answers[1]["candidates"]} == {"port3-1", "port2-0"}
    assert {one["id"]: one["contents"][:10] for one in answers[2]["candidates"]} == {
        "own": "My own",
        "port0-0": "About port",
    }

    # the command that keeps a run folder ranks alike
    write_jsonl(tmp_path / "new.jsonl", [bare])
    options = [word for word in command(exports["CrossEncoder"]) if word not in ("--input", "-")]
    new = ["--data.init_args.predict", str(tmp_path / "new.jsonl")]
    status, _, err = radio(*options, *corpus, *new)
    assert status == 0, err
    (kept,) = read_jsonl(tmp_path / "runs/jsonl/predict.jsonl")
    for theirs, ours in zip(kept["candidates"], answers[0]["candidates"], strict=True):
        # another batch, other roundings
        assert ours == {**theirs, "score": pytest.approx(theirs["score"], abs=1e-5)}


def test_a_broken_line_is_named_after_those_before_it_are_answered(
    exports: dict[str, str], piped: Callable[..., Any]
) -> None:
    given = as_bytes(line(0)) + b'\n{"id": "q1", "question": 3}\n' + as_bytes(line(2))
    status, answers, err = piped(exports["CrossEncoder"], given)
    assert status == 2
    assert [row["id"] for row in answers] == ["q0"]
    assert "standard input:3: key 'question': found a number ('3'), expected a string" in err


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (b"{broken\n", [], "standard input:1: not valid JSON"),
        (b'{"id": "\xff"}\n', [], "standard input:1: not UTF-8 text"),
        (b'{"id": "1", "question": "Who?"}\n', [], "standard input:1: found no 'candidates'"),
        (
            b'{"id": "1", "question": "Who?", "candidates": [{"id": "a"}]}\n',
            [],
            "standard input:1: found candidate 'a' without 'contents'",
        ),
        (b"", ["--block", "0"], "radio predict: block: found 0, expected"),
        (b"", ["--ckpt_path", "best"], "--ckpt_path: found best beside --input"),
        (b"", ["--trainer.devices", "2"], "--input: found 2 devices"),
        (b"", ["--config", "callbacks/fused"], "--input: found the callback Fused"),
    ],
)
def test_mistakes(
    given: bytes,
    options: list[str],
    message: str,
    exports: dict[str, str],
    piped: Callable[..., Any],
) -> None:
    status, answers, err = piped(exports["CrossEncoder"], given, *options)
    assert (status, answers) == (2, [])
    assert message in " ".join(err.split())


def test_a_file_is_read_as_well(exports: dict[str, str], radio: Radio, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "lines.jsonl", [line(0)])
    words = command(exports["CrossEncoder"])
    words[words.index("-")] = str(tmp_path / "lines.jsonl")
    status, out, err = radio(*words)
    assert status == 0, err
    assert json.loads(out)["id"] == "q0"
