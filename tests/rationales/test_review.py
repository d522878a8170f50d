"""A review, from its start to Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from radio.rationales.review import review
from radio.rationales.server import ReviewServer
from radio.schema import InputError
from tests.conftest import PATIENCE, heed_ctrl_c
from tests.rationales.reviewing import make_items, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    with serving(make_items(), tmp_path / "marks") as running:
        yield running


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
