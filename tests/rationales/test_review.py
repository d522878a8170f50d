"""Reviewing rationales: no mark is lost, people are compared rightly, and nobody else can ask the
server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from radio.rationales.marks import Mark, ReviewCandidate, ReviewItem, Reviews, agreement, read_marks
from radio.rationales.review import review, review_items
from radio.rationales.server import MAX_BODY, ReviewServer
from radio.schema import InputError
from tests.conftest import PATIENCE, World, heed_ctrl_c, read_jsonl

ATTACK = '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script> Hale lit it.'


def make_items(n: int = 4) -> list[ReviewItem]:
    return [
        ReviewItem(
            id=f"q-{i}",
            question=f"Who lit the lamp at port {i}?",
            golden_answers=("Ada Hale", "Hale"),
            choices=(),
            rationale=f"In the fog of year {i} the keeper ADA HALE lit the lamp, not the whaler.",
            model="test-model",
            failed=("repeats",) if i == 1 else (),
            candidates=(
                ReviewCandidate(
                    "p-0", f"Port {i}", ATTACK if i == 0 else "Nobody knows.", 12.5, 0.75
                ),
                ReviewCandidate("p-1", "<b>Fog</b>", "A whaler sank.", 3.25, None),
            ),
        )
        for i in range(n)
    ]


@contextmanager
def serving(
    items: Sequence[ReviewItem], folder: Path, annotator: str = "ann"
) -> Iterator[ReviewServer]:
    reviews = Reviews(folder, annotator)
    server = ReviewServer(items, reviews)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        reviews.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    with serving(make_items(), tmp_path / "marks") as running:
        yield running


def ask(server: ReviewServer, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and answer of one request, with the token unless another is given."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(
        "POST" if body is not None else "GET", path, data, {"X-Token": server.token, **headers}
    )
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, json.loads(text) if reply.headers.get_content_subtype() == "json" else text


def about(item: ReviewItem, mark: str | None, note: str = "") -> dict[str, Any]:
    return {"id": item.id, "rationale": item.key[1], "mark": mark, "note": note}


# Marks


def test_the_latest_row_counts_and_each_change_is_on_disk(tmp_path: Path) -> None:
    item, other = make_items(2)
    reviews = Reviews(tmp_path / "new" / "folder", "ann")
    reviews.put(item.key, "wrong", "é \u2028 \n second line")
    reviews.put(item.key, "partly")
    reviews.put(other.key, None, "look again")
    assert read_marks(reviews.path)[item.key].mark == "partly"
    assert read_marks(reviews.path)[other.key] == reviews.marks[other.key]
    rows = [json.loads(line) for line in reviews.path.read_bytes().decode().split("\n")[:-1]]
    assert [row["mark"] for row in rows] == ["wrong", "partly", None]
    assert rows[0]["note"] == "é \u2028 \n second line"
    assert set(rows[0]) == {"id", "rationale", "mark", "note", "annotator", "time"}
    reviews.put(item.key, "partly")
    assert len(reviews.path.read_bytes().splitlines()) == 3, "the same mark again is no change"
    reviews.close()


def test_undo_goes_back_change_by_change(tmp_path: Path) -> None:
    item, other = make_items(2)
    reviews = Reviews(tmp_path, "ann")
    reviews.put(item.key, "wrong", "why")
    reviews.put(item.key, "correct", "after all")
    reviews.put(other.key, "leaks")
    assert reviews.undo() == other.key
    assert reviews.marks[other.key].mark is None
    assert reviews.undo() == item.key
    assert (reviews.marks[item.key].mark, reviews.marks[item.key].note) == ("wrong", "why")
    assert reviews.undo() == item.key
    assert reviews.undo() is None
    reviews.close()
    assert {mark.mark for mark in read_marks(reviews.path).values()} == {None}


def test_a_killed_process_loses_no_mark_and_frees_the_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from radio.rationales.marks import "
        "Reviews\n"
        "reviews = Reviews(Path(sys.argv[1]), 'ann')\n"
        "for n in range(50): reviews.put((f'q-{n}', 'x'), 'wrong')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    reviews = Reviews(tmp_path, "ann")
    assert len(reviews.marks) == 50
    reviews.close()


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_cut_off_last_line_is_left_out_and_the_next_mark_starts_a_line(
    tmp_path: Path, cut: int
) -> None:
    items = make_items(3)
    reviews = Reviews(tmp_path, "ann")
    reviews.put(items[0].key, "wrong")
    reviews.put(items[1].key, "leaks")
    reviews.close()
    reviews.path.write_bytes(reviews.path.read_bytes()[:-cut])
    left = (
        {items[0].key, items[1].key} if cut == 1 else {items[0].key}
    )  # 1: only the end of the line is missing
    assert set(read_marks(reviews.path)) == left
    again = Reviews(tmp_path, "ann")
    again.put(items[2].key, "correct")
    again.close()
    assert set(read_marks(again.path)) == {*left, items[2].key}
    assert len(read_jsonl(again.path)) == len(left) + 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "ann.jsonl").write_text('{"id": "q", "mark": "good"}\n')
    with pytest.raises(
        InputError,
        match=r"ann.jsonl:1: found .*good.*expected .*correct, partly, wrong, leaks or null",
    ):
        Reviews(tmp_path, "ann")
    (tmp_path / "ann.jsonl").unlink()
    Reviews(tmp_path, "ann").close()


def test_a_mark_of_an_older_text_does_not_count(tmp_path: Path) -> None:
    (item,) = make_items(1)
    changed = ReviewItem(item.id, item.question, item.golden_answers, (), "Another text.")
    with serving([item], tmp_path) as server:
        assert ask(server, "/api/mark", about(item, "wrong"))[0] == 200
    with serving([changed], tmp_path) as server:
        assert ask(server, "/api/state")[1]["items"] == [[item.id, None, []]]
        status, answer = ask(server, "/api/mark", about(item, "wrong"))
        assert status == 409
        assert "another one now" in answer["error"]
    with serving([item], tmp_path) as server:
        assert ask(server, "/api/state")[1]["items"] == [[item.id, "wrong", []]]


@pytest.mark.parametrize("name", ["", "../ann", "a b", ".ann", "-ann", "a/b", "a\n", "x" * 101])
def test_the_name_must_be_a_plain_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"annotator: found .* expected a plain name"):
        Reviews(tmp_path, name)


def test_a_name_is_used_once_at_a_time(tmp_path: Path) -> None:
    first = Reviews(tmp_path, "ann")
    with pytest.raises(InputError, match="'ann' is reviewing there already"):
        Reviews(tmp_path, "ann")
    Reviews(tmp_path, "ben").close()
    first.close()
    Reviews(tmp_path, "ann").close()


def test_a_folder_that_is_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        Reviews(tmp_path / "file", "ann")


def test_a_full_disk_leaves_whole_lines_and_says_so(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(server, "/api/mark", about(server.items[0], "wrong"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        status, answer = ask(server, "/api/mark", about(server.items[1], "wrong"))
    assert status == 500
    assert "No space left" in answer["error"]
    assert len(read_jsonl(server.reviews.path)) == 1
    assert server.items[1].key not in server.reviews.marks
    assert ask(server, "/api/undo", {})[1]["id"] == "q-0", "the failed mark is no change to undo"


# Agreement


def test_agreement_against_a_hand_computed_kappa() -> None:
    # 20 both correct, 5 and 10 apart, 15 both wrong: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4
    # = 0.5, kappa 0.4
    items = make_items(60)
    both = [("correct", "correct")] * 20 + [("correct", "wrong")] * 5 + [("wrong", "correct")] * 10
    both += [("wrong", "wrong")] * 15
    ann = {item.key: Mark(a) for item, (a, _) in zip(items, both, strict=False)}
    ben = {item.key: Mark(b) for item, (_, b) in zip(items, both, strict=False)}
    ann[items[55].key], ben[items[56].key] = Mark("leaks"), Mark("leaks")
    ann[items[57].key], ben[items[57].key] = Mark(None, "a note is no mark"), Mark("wrong")
    result = agreement(items, {"ann": ann, "ben": ben, "eve": {items[58].key: Mark("wrong")}})
    (pair,) = result["pairs"]
    assert pair == {
        "annotators": ["ann", "ben"],
        "common": 50,
        "agree": 0.7,
        "kappa": pytest.approx(0.4),
    }
    assert result["marked"] == {"ann": 51, "ben": 52, "eve": 1}
    assert [row["index"] for row in result["disagreements"]] == list(range(20, 35))
    assert result["disagreements"][0]["marks"] == {"ann": "correct", "ben": "wrong"}


def test_kappa_of_one_and_the_same_mark_is_unknown() -> None:
    items = make_items(3)
    marks = {item.key: Mark("correct") for item in items}
    (pair,) = agreement(items, {"ann": marks, "ben": marks})["pairs"]
    assert pair["agree"] == 1
    assert pair["kappa"] is None


# Server


def test_the_page_needs_the_token_and_each_call_too(server: ReviewServer) -> None:
    assert ask(server, f"/?token={server.token}", **{"X-Token": ""})[0] == 200
    for path in ("/", "/?token=wrong", "/?token=%C3%A9"):
        assert ask(server, path)[0] == 403
    for path in ("state", "item/0", "agreement", "export"):
        assert ask(server, f"/api/{path}")[0] == 200
        for token in ("", "wrong", "é"):
            status, answer = ask(server, f"/api/{path}", **{"X-Token": token})
            assert status == 403
            assert "wrong token" in answer["error"]
    for path in ("mark", "undo"):
        assert ask(server, f"/api/{path}", {}, **{"X-Token": ""})[0] == 403
    assert not server.reviews.marks


def test_a_foreign_host_is_refused(server: ReviewServer) -> None:
    page = f"/?token={server.token}"
    for host in (
        "evil.example",
        f"evil.example:{server.server_port}",
        "127.0.0.1.evil.example:80",
        "[::1]:80",
    ):
        assert ask(server, "/api/state", Host=host)[0] == 403
        assert ask(server, page, Host=host)[0] == 403
    assert ask(server, page, Host="localhost:9999")[0] == 200, "a tunnel has another port"


def test_only_this_machine_can_connect(server: ReviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_loads_nothing_and_is_not_kept(server: ReviewServer) -> None:
    nonces = set()
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
        connection.request("GET", f"/?token={server.token}")
        reply = connection.getresponse()
        text = reply.read().decode()
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["Cache-Control"] == "no-store"
        nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
        nonces.add(nonce)
        assert f'<script nonce="{nonce}">' in text
        for word in ("http://", "https://", "innerHTML", "{{nonce}}", server.token):
            assert word not in text
    assert len(nonces) == 2


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            {"mark": "good"},
            400,
            "mark: found 'good', expected one of correct, partly, wrong, leaks or null",
        ),
        ({"mark": ["wrong"]}, 400, "mark: found"),
        ({"note": 3}, 400, "note: expected a string"),
        ({"note": "\ud800"}, 400, "half a character"),
        ({"id": "q-99"}, 404, "id: found 'q-99'"),
        ({"id": 5}, 404, "id: found '5'"),
        ({"rationale": "older"}, 409, "another one now"),
        ({"note": "x" * MAX_BODY}, 413, "expected at most"),
        (b"[1", 400, "expected a JSON object"),
        (b"\xff", 400, "expected a JSON object"),
        (b"[]", 400, "expected a JSON object"),
    ],
)
def test_a_wrong_mark_is_refused_with_a_reason(
    server: ReviewServer, body: Any, status: int, message: str
) -> None:
    if isinstance(body, dict):
        body = about(server.items[0], "wrong") | body
    found, answer = ask(server, "/api/mark", body)
    assert found == status
    assert message in answer["error"]
    assert not server.reviews.path.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/api/item/4", "/api/item/-1", "/api/item/x", "/api/item/", "/api/mark", "/favicon.ico"],
)
def test_what_is_not_there_is_404_as_json(server: ReviewServer, path: str) -> None:
    status, answer = ask(server, path)
    assert status == 404
    assert answer["error"]


def test_marks_undo_and_export_over_http(server: ReviewServer) -> None:
    first, second, *_ = server.items
    other = Reviews(server.reviews.folder, "ben")
    other.put(first.key, "correct")
    other.close()
    assert ask(server, "/api/mark", about(first, "partly", "half"))[0] == 200
    assert ask(server, "/api/mark", about(second, "leaks"))[0] == 200
    state = ask(server, "/api/state")[1]
    assert state["annotator"] == "ann"
    assert state["items"][:3] == [
        ["q-0", "partly", []],
        ["q-1", "leaks", ["repeats"]],
        ["q-2", None, []],
    ]
    item = ask(server, "/api/item/0")[1]
    assert (item["mark"], item["note"], item["candidates"][0]["teacher"]) == (
        "partly",
        "half",
        0.75,
    )
    assert ask(server, "/api/undo", {})[1] == {"index": 1, "id": "q-1", "mark": None, "note": ""}
    rows = [json.loads(line) for line in ask(server, "/api/export")[1].splitlines()]
    assert [(row["id"], row["annotator"], row["mark"], row["note"]) for row in rows] == [
        ("q-0", "ann", "partly", "half"),
        ("q-0", "ben", "correct", ""),
    ]
    assert rows[0]["rationale"] == first.rationale
    assert rows[0]["golden_answers"] == ["Ada Hale", "Hale"]
    assert rows[0]["time"].endswith("+00:00")
    assert ask(server, "/api/agreement")[1]["disagreements"][0]["marks"] == {
        "ann": "partly",
        "ben": "correct",
    }


def test_twenty_thousand_questions_go_without_their_texts(tmp_path: Path) -> None:
    items = make_items(20_000)
    with serving(items, tmp_path) as server:
        status, text = ask(server, "/api/state")
        assert status == 200
        assert len(text["items"]) == 20_000
        assert len(json.dumps(text)) < 1_000_000
        assert ask(server, "/api/item/19999")[1]["id"] == "q-19999"


def test_a_taken_port_is_an_input_error(server: ReviewServer, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"port: found {server.server_port} .*expected one that is free"
    ):
        review(make_items(), tmp_path, "ben", port=server.server_port)
    with pytest.raises(InputError, match="port: found 70000"):
        review(make_items(), tmp_path, "ben", port=70000)


def test_review_serves_until_ctrl_c_and_prints_where(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from radio.rationales.review import review\n"
        "from radio.rationales.marks import ReviewItem\n"
        "item = ReviewItem('q-0', 'Who?', ('Ada',), (), 'Since Ada did.')\n"
        "review([item], Path(sys.argv[1]), 'ann', ready=lambda url: print('ready', url, "
        "flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert first.startswith("review: http://127.0.0.1:")
    assert first.endswith(f"(Ctrl-C ends; marks: {tmp_path / 'ann.jsonl'})\n")
    assert second.split()[1] in first
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "0 of 1 marked" in rest


def test_items_come_from_a_prepared_data_module(world: World) -> None:
    from tests.data.test_module import module

    with pytest.raises(InputError, match="candidates missing"):
        review_items(module(world), "train")
    module(world).prepare_data()
    prepared = module(world)
    prepared.setup("fit")
    rows = read_jsonl(world.folder / "train.jsonl")
    items = review_items(module(world), "train", top_k=3)
    assert [item.id for item in items] == [row["id"] for row in rows]
    examples = {example.question.id: example for example in prepared.examples["train"]}
    for item, row in zip(items, rows, strict=True):
        assert (item.question, list(item.golden_answers)) == (
            row["question"],
            row["golden_answers"],
        )
        assert item.rationale.startswith("In fog captain")
        example = examples[item.id]
        assert example.teacher is not None
        assert [(c.id, c.score, c.teacher) for c in item.candidates] == [
            (c.passage_id, c.score, example.teacher[c.passage_id]) for c in example.candidates[:3]
        ]
        assert item.candidates[0].title.startswith("About port")
    with pytest.raises(InputError, match="split: found 'predict'"):
        review_items(module(world), "predict")


def test_rationales_that_fail_a_filter_are_reviewed_too_and_flagged(world: World) -> None:
    from tests.data.test_module import module

    rows = read_jsonl(world.folder / "rationales.jsonl")
    rows[0] |= {"outcome": "truncated"}
    rows[1] |= {"outcome": "refused", "rationale": ""}
    (world.folder / "rationales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    datamodule = module(world, missing_rationales="drop")
    datamodule.prepare_data()
    items = {item.id: item for item in review_items(datamodule, "train")}
    assert "truncated" in items[rows[0]["id"]].failed
    assert all(candidate.teacher is None for candidate in items[rows[0]["id"]].candidates)
    assert rows[1]["id"] not in items, "there is no text to review"
