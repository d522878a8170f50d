"""OpenAI's Batch API: requests go up as a file, answers come down as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from radio.llm.base import Reply
from radio.llm.batches import BatchApi, Orders, State
from radio.llm.problems import UnreadableError, read_reply

ENDPOINT = "/v1/chat/completions"
"""What each request of a batch is sent to."""

OVER = ("completed", "failed", "expired", "cancelled")
"""States of a batch that nothing more comes of."""


class FileBatches(BatchApi):
    """The Batch API.

    Args:
        client: the SDK's synchronous one, which itself tries nothing again.
        read: makes a reply of the SDK's chat completion.
    """

    most_bytes = 200 * 10**6

    def __init__(self, client: Any, read: Callable[[Any], Reply]) -> None:
        self._client = client
        self._read = read

    def upload(self, orders: Orders) -> str:
        lines = []
        for key, body in orders.items():
            row = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}
            lines.append(f"{json.dumps(row)}\n".encode("ascii"))
        file = ("radio.jsonl", b"".join(lines))
        return str(read_reply(self._client.files.create(file=file, purpose="batch"), "id"))

    def create(self, orders: Orders, file: str | None) -> str:
        made = self._client.batches.create(
            input_file_id=file, endpoint=ENDPOINT, completion_window="24h"
        )
        return str(read_reply(made, "id"))

    def state(self, identifier: str) -> State:
        return _state(self._client.batches.retrieve(identifier))

    def newest(self) -> Iterator[State]:
        return map(_state, self._client.batches.list(limit=100))

    def results(self, identifier: str) -> Iterator[tuple[str, Reply | UnreadableError | str]]:
        batch = self._client.batches.retrieve(identifier)
        read_reply(batch, "status")
        # all of them first: what broke off may end with a whole line
        rows: list[dict[str, Any]] = []
        for file in (batch.output_file_id, batch.error_file_id):
            if file is not None:
                content: bytes = self._client.files.content(file).content
                rows += [json.loads(line) for line in content.split(b"\n") if line.strip()]
        completed = batch.request_counts.completed if batch.request_counts else 0
        if len(rows) < completed:
            raise ValueError(f"found {len(rows):,} results of a batch, expected {completed:,}")
        for row in rows:
            yield row["custom_id"], self._result(row)

    def _result(self, row: dict[str, Any]) -> Reply | UnreadableError | str:
        """The reply in a line of a file, or what went wrong."""
        from openai.types.chat import ChatCompletion

        response = row.get("response") or {}
        body = response.get("body") or {}
        error = row.get("error") or body.get("error")
        if error:
            status = response.get("status_code", error.get("code"))
            return f"{status}: {error.get('message') or 'no answer'}"
        try:
            return self._read(ChatCompletion.construct(**body))
        except UnreadableError as unreadable:
            return unreadable


def _state(batch: Any) -> State:
    status = read_reply(batch, "status")
    counts = batch.request_counts
    refused = _refused(batch) if status == "failed" else ""
    return State(
        batch.id,
        counts.total if counts else 0,
        counts.completed + counts.failed if counts else 0,
        datetime.fromtimestamp(batch.created_at, UTC),
        status in OVER,
        batch.input_file_id,
        refused,
    )


def _refused(batch: Any) -> str:
    """What the server found wrong with the requests of a batch."""
    errors = (batch.errors.data if batch.errors else None) or []
    if not errors:
        return "it does not say why"
    first = errors[0]
    line = f"line {first.line}: " if first.line is not None else ""
    more = f" (and {len(errors) - 1:,} more)" if len(errors) > 1 else ""
    return f"{line}{first.message or first.code}{more}"
