"""``radio rationales review``: a local web page where people read rationales and mark what they are worth.

Marks go to ``FOLDER/ANNOTATOR.jsonl``, one row a change, on disk before the page hears that it is saved. Several people
use the same folder, each under their own name; the page shows how far they agree.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from radio.cache import fingerprint
from radio.rationales.base import read
from radio.rationales.checks import CHECKS
from radio.schema import InputError

MARKS = ("correct", "partly", "wrong", "leaks")
"""What a reviewer can say of a rationale; ``leaks`` is one that gives the answer away without a reason for it."""

PAGE = Path(__file__).with_name("review.html")
MAX_BODY = 64 * 1024
"""Bytes of the largest request; a mark with a long note has a few thousand."""

Key = tuple[str, str]
"""Question id and fingerprint: a mark belongs to one text of the rationale and does not count for another."""


@dataclass(frozen=True, slots=True)
class ReviewCandidate:
    """A passage as the page shows it; ``score`` is the retriever's, ``teacher`` lies in [0, 1] or is unknown."""

    id: str
    title: str
    text: str
    score: float
    teacher: float | None = None


@dataclass(frozen=True)
class ReviewItem:
    """One rationale to review, with its question, its best candidates and the names of the checks that it fails."""

    id: str
    question: str
    golden_answers: tuple[str, ...]
    choices: tuple[str, ...]
    rationale: str
    model: str = "recorded"
    failed: tuple[str, ...] = ()
    candidates: tuple[ReviewCandidate, ...] = ()

    @cached_property
    def key(self) -> Key:
        return self.id, fingerprint([self.question, self.golden_answers, self.rationale])


@dataclass(frozen=True, slots=True)
class Mark:
    """What one person says of one rationale; ``mark`` is None where there is only a note, or nothing (any more)."""

    mark: str | None = None
    note: str = ""
    time: str = ""
    """UTC, ISO 8601."""


def review_items(
    datamodule: Any, split: str, top_k: int = 5, checks: Sequence[str] | None = CHECKS
) -> list[ReviewItem]:
    """The rationales of a split that the cache has, with the ``top_k`` best candidates and the teacher's scores.

    Rationales that fail the data module's filters are among them, since those are worth a look; such without any text
    (the model declined) are not. A teacher score that the cache lacks is None.

    Args:
        datamodule: a :class:`data_modules.base.RationaleDataModule`, prepared; nothing is asked, loaded or written.
        split: ``train``, ``validation`` or ``test``.
        top_k: candidates to show.
        checks: which checks to make; None is the data module's ``rationale_filters``.

    Raises:
        InputError: the candidates are not in the cache, or no rationale is.
    """
    candidates = datamodule._read_candidates(split)
    requests = datamodule._rationale_requests(split, candidates)
    found = read({request.question.id: request.key for request in requests}, datamodule.cache)
    found = {identifier: rationale for identifier, rationale in found.items() if rationale.text.strip()}
    if not found:
        raise InputError(
            f"{split}: found no rationale of its {len(candidates)} questions in {datamodule.cache.path}, expected at "
            "least one to review; `radio prepare` with the same --config obtains them"
        )
    corpus = datamodule.corpus
    questions = [request.question for request in requests if request.question.id in found]
    rows = [(q, found[q.id], [corpus[c.passage_id] for c in candidates[q.id]]) for q in questions]
    names = datamodule.rationale_filters if checks is None else checks
    failed = datamodule.rationale_checks.run(rows, datamodule.cache, names)
    keys = {key: question.id for key, question, *_ in datamodule._taught(split, candidates, found)}
    teacher = {keys[key]: scores for key, scores in datamodule.cache.get_json(keys).items()}
    items = []
    for question, rationale, passages in rows:
        scores = teacher.get(question.id, {})
        shown = tuple(
            ReviewCandidate(passage.id, passage.title, passage.text, candidate.score, scores.get(passage.id))
            for candidate, passage in zip(candidates[question.id][:top_k], passages, strict=False)
        )
        about = (question.id, question.question, question.golden_answers, question.choices)
        items.append(ReviewItem(*about, rationale.text, rationale.model, tuple(failed.get(question.id, ())), shown))
    return items


def read_marks(path: Path) -> dict[Key, Mark]:
    """The latest mark of each rationale in one person's file; a last line that a crash cut off is ignored.

    Raises:
        InputError: another line is not a mark.
    """
    marks: dict[Key, Mark] = {}
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            mark, *texts = (row[name] for name in ("mark", "id", "rationale", "note", "time"))
            if mark not in (None, *MARKS) or not all(isinstance(text, str) for text in texts):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise InputError(
                f"{path}:{number}: found {line[:80]!r}, expected a JSON object with id, rationale, note and time "
                f"(strings) and mark ({', '.join(MARKS)} or null)"
            ) from None
        identifier, text, note, time = texts
        marks[identifier, text] = Mark(mark, note, time)
    return marks


class Reviews:
    """One person's marks, in ``folder/ANNOTATOR.jsonl``: rows are only added, the latest of a rationale counts.

    Rows are ``{"id", "rationale", "mark", "note", "annotator", "time"}`` with the fingerprint of the rationale; the
    row of a mark that was taken back has null for it.

    Raises:
        InputError: the name is no plain file name, the file is damaged, or the same person reviews there already.
    """

    def __init__(self, folder: Path, annotator: str) -> None:
        from filelock import FileLock, Timeout

        # starts with a letter or digit, so that it can be neither a hidden file nor an option of a command
        if not re.fullmatch(r"\w[\w.-]{0,99}", annotator):
            raise InputError(
                f"annotator: found {annotator!r}, expected a plain name of at most 100 letters, digits, '_', '-' or '.'"
            )
        self.folder, self.annotator = folder, annotator
        self.path = folder / f"{annotator}.jsonl"
        self._lock = Lock()
        self._history: list[tuple[Key, Mark]] = []
        self._claim = FileLock(folder / f".{annotator}.lock", timeout=0)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._claim.acquire()
            # unbuffered: a row is with the operating system in one write, or not at all
            self._file = self.path.open("ab", buffering=0)
        except Timeout:
            raise InputError(f"{self.path}: {annotator!r} is reviewing there already; end that review first") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        try:
            self._repair()
            self.marks = read_marks(self.path)
        except InputError:
            self.close()
            raise

    def _repair(self) -> None:
        """End the last line, so that the next row starts on a new one; what a crash cut off goes."""
        data = self.path.read_bytes()
        whole, newline, tail = data.rpartition(b"\n")
        if not tail:
            return
        try:
            json.loads(tail)
            self._file.write(b"\n")
        except ValueError:
            self._file.truncate(len(whole + newline))

    def put(self, key: Key, mark: str | None, note: str = "") -> Mark:
        """Set the mark of a rationale; it is on disk when this returns. The same mark again adds no row."""
        with self._lock:
            before = self.marks.get(key, Mark())
            if (before.mark, before.note) == (mark, note):
                return before
            self._history.append((key, before))
            try:
                return self._write(key, mark, note)
            except OSError:
                self._history.pop()
                raise

    def undo(self) -> Key | None:
        """Put back what was there before the last change of this session; returns whose, None if there was none."""
        with self._lock:
            if not self._history:
                return None
            key, before = self._history[-1]
            self._write(key, before.mark, before.note)
            self._history.pop()
            return key

    def _write(self, key: Key, mark: str | None, note: str) -> Mark:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"id": key[0], "rationale": key[1], "mark": mark, "note": note, "annotator": self.annotator, "time": time}
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError("the disk is full")
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)
            raise
        self.marks[key] = Mark(mark, note, time)
        return self.marks[key]

    def everyone(self) -> dict[str, dict[Key, Mark]]:
        """The marks of all who review in the folder, by name."""
        files = sorted(path for path in self.folder.glob("*.jsonl") if path != self.path)
        return dict(sorted({**{path.stem: read_marks(path) for path in files}, self.annotator: self.marks}.items()))

    def close(self) -> None:
        self._file.close()
        self._claim.release()


def agreement(items: Sequence[ReviewItem], everyone: Mapping[str, Mapping[Key, Mark]]) -> dict[str, Any]:
    """How far the reviewers agree about these items.

    Returns:
        ``marked``: name -> number of marks; ``pairs``: for each two people with items in common ``annotators``,
        ``common``, ``agree`` (share, in [0, 1]) and Cohen's ``kappa`` (None where both know one and the same mark only,
        since chance alone would agree as well); ``disagreements``: ``index``, ``id``, ``question``, ``marks`` by name.
    """
    from sklearn.metrics import cohen_kappa_score

    given = {
        name: {n: mark for n, item in enumerate(items) if (mark := marks.get(item.key, Mark()).mark)}
        for name, marks in everyone.items()
    }
    pairs = []
    for first, second in combinations(given, 2):
        common = sorted(given[first].keys() & given[second].keys())
        if not common:
            continue
        a, b = [given[first][n] for n in common], [given[second][n] for n in common]
        share = sum(x == y for x, y in zip(a, b, strict=True)) / len(common)
        kappa = float(cohen_kappa_score(a, b)) if len({*a, *b}) > 1 else None
        pairs.append({"annotators": [first, second], "common": len(common), "agree": share, "kappa": kappa})
    apart = []
    for n, item in enumerate(items):
        marks = {name: found[n] for name, found in given.items() if n in found}
        if len(set(marks.values())) > 1:
            apart.append({"index": n, "id": item.id, "question": item.question, "marks": marks})
    return {"marked": {name: len(found) for name, found in given.items()}, "pairs": pairs, "disagreements": apart}


class _Refused(Exception):
    """A request that is not answered, with the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves the page and its JSON API on 127.0.0.1 alone; ``url`` carries the token that every call needs.

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
            raise InputError(f"port: found {port} ({reason}), expected one that is free, or 0 for any") from None
        self.url = f"http://127.0.0.1:{self.server_port}/?token={self.token}"

    def _own(self, item: ReviewItem) -> Mark:
        return self.reviews.marks.get(item.key, Mark())

    def state(self) -> dict[str, Any]:
        """All that the page must know of each item to filter and count; the texts come one by one."""
        rows = [[item.id, self._own(item).mark, item.failed] for item in self.items]
        return {"annotator": self.reviews.annotator, "file": str(self.reviews.path.absolute()), "items": rows}

    def item(self, number: str) -> dict[str, Any]:
        if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) >= len(self.items):
            raise _Refused(HTTPStatus.NOT_FOUND, f"item: found {number!r}, expected 0..{len(self.items) - 1}")
        item, own = self.items[int(number)], self._own(self.items[int(number)])
        fields = ("id", "question", "golden_answers", "choices", "rationale", "model", "failed")
        candidates = [{name: getattr(c, name) for name in ReviewCandidate.__slots__} for c in item.candidates]
        about = {"index": int(number), "fingerprint": item.key[1], "mark": own.mark, "note": own.note}
        return {**{name: getattr(item, name) for name in fields}, "candidates": candidates, **about}

    def mark(self, body: Mapping[str, Any]) -> dict[str, Any]:
        identifier, text, mark, note = (body.get(name) for name in ("id", "rationale", "mark", "note"))
        if mark not in (None, *MARKS):
            raise InputError(f"mark: found {str(mark)[:60]!r}, expected one of {', '.join(MARKS)} or null")
        if not isinstance(note, str):
            raise InputError("note: expected a string")
        try:
            note.encode()
        except UnicodeEncodeError:
            raise InputError("note: found half a character, expected valid Unicode") from None
        if not isinstance(identifier, str) or identifier not in self.index:
            raise _Refused(HTTPStatus.NOT_FOUND, f"id: found {str(identifier)[:60]!r}, expected that of a question")
        key = self.items[self.index[identifier]].key
        if text != key[1]:
            raise _Refused(HTTPStatus.CONFLICT, f"the rationale of {identifier!r} is another one now; read it again")
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
            about = {"id": item.id, "question": item.question, "golden_answers": item.golden_answers}
            for name, marks in everyone.items():
                own = marks.get(item.key, Mark())
                if own.mark or own.note:
                    said = {"mark": own.mark, "note": own.note, "annotator": name, "time": own.time}
                    lines.append(json.dumps({**about, "rationale": item.rationale, **said}, ensure_ascii=False) + "\n")
        return "".join(lines)


class _Handler(BaseHTTPRequestHandler):
    """HTTP: who may ask, what is answered."""

    server: ReviewServer
    server_version = "radio"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        try:
            # the body is read whatever follows: the connection of an unread one breaks before the answer is there
            self._send(HTTPStatus.OK, *self._answer(self._body()))
        except _Refused as refused:
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
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        body = self.rfile.read(min(int(length), 16 * MAX_BODY))
        if int(length) > MAX_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"found {length} bytes, expected at most {MAX_BODY}")
        return body

    def _answer(self, body: bytes) -> tuple[str, str, str]:
        """Content, its type, and the nonce of the page's script and style."""
        url = urlsplit(self.path)
        # the name alone: another port is a tunnel (ssh -L), another name a page elsewhere that has it point here
        if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            raise _Refused(HTTPStatus.FORBIDDEN, "Host: expected 127.0.0.1 or localhost")
        page = (self.command, url.path) == ("GET", "/")
        token = parse_qs(url.query).get("token", [""])[0] if page else self.headers.get("X-Token", "")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "wrong token: open the address that radio rationales review printed")
        if page:
            nonce = secrets.token_urlsafe(16)
            return PAGE.read_text("utf-8").replace("{{nonce}}", nonce), "text/html", nonce
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
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    raise InputError("found something else, expected a JSON object")
                return server.mark(row)
        raise _Refused(HTTPStatus.NOT_FOUND, f"{self.command} {path[:60]}: no such thing here")

    def _send(self, status: HTTPStatus, content: str, kind: str, nonce: str = "") -> None:
        data = content.encode()
        allowed = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:"
        rules = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        with suppress(ConnectionError):  # the page was closed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Security-Policy", f"default-src 'none'; {allowed if nonce else ''}; {rules}")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors as JSON, also those that the base class finds itself."""
        self._send(HTTPStatus(code), json.dumps({"error": message or HTTPStatus(code).phrase}), "application/json")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address of the page holds the token."""


def review(
    items: Sequence[ReviewItem],
    folder: Path,
    annotator: str,
    port: int = 0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        items: what to review, in order; ids must differ.
        folder: where the marks of all annotators are kept.
        annotator: the reviewer's name, that of the file of marks.
        port: of 127.0.0.1; 0 takes a free one.
        ready: called with the address of the page once it can be opened.

    Raises:
        InputError: the name, the port or the folder cannot be used, or a file of marks is damaged.
    """
    reviews = Reviews(folder, annotator)
    try:
        reviews.everyone()  # a damaged file of somebody else shows now rather than in the middle
        with ReviewServer(items, reviews, port) as server:
            print(f"review: {server.url}  (Ctrl-C ends; marks: {reviews.path})", flush=True)
            if ready is not None:
                ready(server.url)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
            marked = sum(server._own(item).mark is not None for item in items)
            print(f"\nreview: {marked} of {len(items)} marked: {reviews.path}", flush=True)
    finally:
        reviews.close()
