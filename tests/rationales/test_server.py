"""The server of the page for reviews: nobody else can ask it."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.rationales.marks import Reviews
from radio.rationales.server import MAX_BODY, ReviewServer
from tests.conftest import PATIENCE, read_jsonl
from tests.rationales.reviewing import about, ask, make_items, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    with serving(make_items(), tmp_path / "marks") as running:
        yield running


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
