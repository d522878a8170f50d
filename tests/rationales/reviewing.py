"""Rationales to review, and a server that is asked about them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from radio.rationales.marks import ReviewCandidate, ReviewItem, Reviews
from radio.rationales.server import ReviewServer
from tests.conftest import PATIENCE

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
