"""The server of the page on which rationales are marked; on this machine alone."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from radio.rationales.marks import MARKS, Mark, ReviewItem, Reviews, agreement
from radio.schema import InputError

PAGES = Path(__file__).with_name("pages")
SCRIPTS = ("review_server.js", "review_shown.js", "review_actions.js")
"""Parts of the one script of the page, in this order: state and calls, what is shown, keys and
buttons."""

MAX_BODY = 64 * 1024
"""Bytes of the largest request; a mark with a long note has a few thousand."""


def _page(nonce: str) -> str:
    """The page, with its style and script in it: it loads nothing."""
    page = _read("review.html").replace("{{nonce}}", nonce)
    script = "".join(_read(name) for name in SCRIPTS)
    return page.replace("{{style}}\n", _read("review.css")).replace("{{script}}\n", script)


def _read(name: str) -> str:
    return (PAGES / name).read_text("utf-8")


class _HttpError(Exception):
    """A request that is not answered, with the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves the page and its JSON API on 127.0.0.1 alone; ``url`` carries the token that every
    call needs.

    Args:
        items: what to review, in order.
        reviews: where the marks go.
        port: 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, items: Sequence[ReviewItem], reviews: Reviews, port: int = 0) -> None:
        self.items, self.reviews = items, reviews
        self.index = {item.id: n for n, item in enumerate(items)}
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"port: found {port} ({reason}), expected one that is free, or 0 for any"
            ) from None
        self.url = f"http://127.0.0.1:{self.server_port}/?token={self.token}"

    def own(self, item: ReviewItem) -> Mark:
        return self.reviews.marks.get(item.key, Mark())

    def state(self) -> dict[str, Any]:
        """All that the page must know of each item to filter and count; the texts come one by
        one."""
        rows = [[item.id, self.own(item).mark, item.failed] for item in self.items]
        return {
            "annotator": self.reviews.annotator,
            "file": str(self.reviews.path.absolute()),
            "items": rows,
        }

    def item(self, number: str) -> dict[str, Any]:
        if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) >= len(self.items):
            raise _HttpError(
                HTTPStatus.NOT_FOUND, f"item: found {number!r}, expected 0..{len(self.items) - 1}"
            )
        item, own = self.items[int(number)], self.own(self.items[int(number)])
        about = {
            "index": int(number),
            "fingerprint": item.key[1],
            "mark": own.mark,
            "note": own.note,
        }
        return {**asdict(item), **about}

    def mark(self, body: Mapping[str, Any]) -> dict[str, Any]:
        identifier, text, mark, note = (
            body.get(name) for name in ("id", "rationale", "mark", "note")
        )
        if mark not in (None, *MARKS):
            raise InputError(
                f"mark: found {str(mark)[:60]!r}, expected one of {', '.join(MARKS)} or null"
            )
        if not isinstance(note, str):
            raise InputError("note: expected a string")
        try:
            note.encode()
        except UnicodeEncodeError:
            raise InputError("note: found half a character, expected valid Unicode") from None
        if not isinstance(identifier, str) or identifier not in self.index:
            raise _HttpError(
                HTTPStatus.NOT_FOUND,
                f"id: found {str(identifier)[:60]!r}, expected that of a question",
            )
        key = self.items[self.index[identifier]].key
        if text != key[1]:
            raise _HttpError(
                HTTPStatus.CONFLICT,
                f"the rationale of {identifier!r} is another one now; read it again",
            )
        self.reviews.put(key, mark, note)
        return {"id": identifier, "mark": mark, "note": note}

    def undo(self) -> dict[str, Any]:
        key = self.reviews.undo()
        if key is None:
            return {"index": None}
        own = self.reviews.marks[key]
        return {"index": self.index[key[0]], "id": key[0], "mark": own.mark, "note": own.note}

    def export(self) -> str:
        """Everyone's marks and notes as JSONL, in the order of the items."""
        everyone = self.reviews.everyone()
        lines = []
        for item in self.items:
            about = {
                "id": item.id,
                "question": item.question,
                "golden_answers": item.golden_answers,
            }
            for name, marks in everyone.items():
                own = marks.get(item.key, Mark())
                if own.mark or own.note:
                    said = {"mark": own.mark, "note": own.note, "annotator": name, "time": own.time}
                    lines.append(
                        json.dumps(
                            {**about, "rationale": item.rationale, **said}, ensure_ascii=False
                        )
                        + "\n"
                    )
        return "".join(lines)


class _Handler(BaseHTTPRequestHandler):
    """HTTP: who may ask, what is answered."""

    server: ReviewServer
    server_version = "radio"
    sys_version = ""
    timeout = 30
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        try:
            # the body is read whatever follows: the connection of an unread one breaks before the
            # answer is there
            self._send(HTTPStatus.OK, *self._answer(self._body()))
        except _HttpError as refused:
            self.send_error(refused.status, str(refused))
        except InputError as error:
            self.send_error(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _body(self) -> bytes:
        if self.command != "POST":
            return b""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length):
            raise _HttpError(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        body = self.rfile.read(min(int(length), 16 * MAX_BODY))
        if int(length) > MAX_BODY:
            raise _HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"found {length} bytes, expected at most {MAX_BODY}",
            )
        return body

    def _answer(self, body: bytes) -> tuple[str, str, str]:
        """Content, its type, and the nonce of the page's script and style."""
        url = urlsplit(self.path)
        # the name alone: another port is a tunnel (ssh -L), another name a page elsewhere that has
        # it point here
        if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            raise _HttpError(HTTPStatus.FORBIDDEN, "Host: expected 127.0.0.1 or localhost")
        page = (self.command, url.path) == ("GET", "/")
        token = (
            parse_qs(url.query).get("token", [""])[0] if page else self.headers.get("X-Token", "")
        )
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _HttpError(
                HTTPStatus.FORBIDDEN,
                "wrong token: open the address that radio rationales review printed",
            )
        if page:
            nonce = secrets.token_urlsafe(16)
            return _page(nonce), "text/html", nonce
        if (self.command, url.path) == ("GET", "/api/export"):
            return self.server.export(), "application/jsonl", ""
        return json.dumps(self._call(url.path, body)), "application/json", ""

    def _call(self, path: str, body: bytes) -> dict[str, Any]:
        server = self.server
        match self.command, path.split("/")[1:]:
            case "GET", ["api", "state"]:
                return server.state()
            case "GET", ["api", "item", number]:
                return server.item(number)
            case "GET", ["api", "agreement"]:
                return agreement(server.items, server.reviews.everyone())
            case "POST", ["api", "undo"]:
                return server.undo()
            case "POST", ["api", "mark"]:
                try:
                    row = json.loads(body)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise InputError("found something else, expected a JSON object")
                return server.mark(row)
        raise _HttpError(HTTPStatus.NOT_FOUND, f"{self.command} {path[:60]}: no such thing here")

    def _send(self, status: HTTPStatus, content: str, kind: str, nonce: str = "") -> None:
        data = content.encode()
        policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        if nonce:
            policy += f"; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
            policy += "; connect-src 'self'; img-src data:"
        with suppress(ConnectionError):  # the page was closed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors as JSON, also those that the base class finds itself."""
        self._send(
            HTTPStatus(code),
            json.dumps({"error": message or HTTPStatus(code).phrase}),
            "application/json",
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address of the page holds the token."""
