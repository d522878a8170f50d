"""The Files and Batch APIs of OpenAI, as :mod:`tests.llm_server` speaks them.

What becomes of a request is said by its question: ``too long`` is an error, of a batch with
``expire`` or ``cancel`` in a question that request is never begun, and ``no line`` has the batch
refused as a whole.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.llm_wire import completion, error

MOST_REQUESTS = 50_000
BROKEN = ("429", "500", "529")


def routes(provider: Any, refused: Callable[..., Any]) -> Any:
    """The routes; ``refused`` answers what no retry would help, such as a wrong key."""
    from aiohttp import web

    table = web.RouteTableDef()
    files: dict[str, bytes] = {}
    args = provider.args

    def store(content: bytes) -> str:
        identifier = f"file-{next(provider.numbers):06}"
        files[identifier] = content
        return identifier

    @table.post("/v1/files")
    async def upload(request: Any) -> Any:
        provider.calls[request.path] += 1
        if (no := refused(request, None, "openai")) is not None:
            return no
        form = await request.post()
        assert form["purpose"] == "batch"
        content = form["file"].file.read()
        if provider.fault() in BROKEN:
            return error(500, "server_error", "try again", "openai")
        return web.json_response(
            {
                "id": store(content),
                "object": "file",
                "bytes": len(content),
                "created_at": int(time.time()),
                "filename": form["file"].filename,
                "purpose": "batch",
                "status": "processed",
            }
        )

    @table.get("/v1/files/{id}/content")
    async def content(request: Any) -> Any:
        provider.calls["/v1/files/content"] += 1
        found = files.get(request.match_info["id"])
        if found is None:
            return error(404, "not_found_error", "no such file", "openai")
        fault = provider.fault()
        if fault in ("drop", "truncate"):
            response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
            half = found[: len(found) // 2]
            # half of them say that more was to come
            response.content_length = len(found) if fault == "drop" else len(half)
            await response.prepare(request)
            await response.write(half)
            request.transport.close()
            return response
        if fault == "html":
            return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
        return web.Response(body=found, content_type="application/octet-stream")

    def answered(rows: list[dict[str, Any]]) -> tuple[str, list[Any], list[Any]]:
        """How a batch of these requests ends, and the lines of its two files."""
        status = "completed"
        output: list[Any] = []
        errors: list[Any] = []
        for row in rows:
            body = row["body"]
            question = provider.question(body)
            if "expire" in question:
                status = "expired"
                said = {"code": "batch_expired", "message": "could not be executed in time"}
                errors.append({"custom_id": row["custom_id"], "response": None, "error": said})
                continue
            if "cancel" in question:
                status = "cancelled"
                continue
            provider.answered[question] += 1
            if "too long" in question:
                bad = {"error": {"message": "prompt is too long", "type": "invalid_request_error"}}
                response = {"status_code": 400, "request_id": "r", "body": bad}
                errors.append({"custom_id": row["custom_id"], "response": response, "error": None})
                continue
            whole = completion(body, next(provider.numbers), question=question)
            if "odd" in question:
                whole.pop("choices")
            response = {"status_code": 200, "request_id": "r", "body": whole}
            output.append({"custom_id": row["custom_id"], "response": response, "error": None})
        provider.rng.shuffle(output)
        return status, output, errors

    def lines(rows: list[Any]) -> str | None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return store(text.encode()) if rows else None

    def view(identifier: str) -> dict[str, Any]:
        batch = provider.batches[identifier]
        ended = time.monotonic() >= batch["ends"]
        return {
            "id": identifier,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": batch["created"],
            "input_file_id": batch["file"],
            "status": batch["status"] if ended else "in_progress",
            "errors": batch["errors"] if ended else None,
            "output_file_id": batch["output_file"] if ended else None,
            "error_file_id": batch["error_file"] if ended else None,
            "request_counts": batch["counts"] if ended else {**batch["counts"], "completed": 0},
        }

    @table.post("/v1/batches")
    async def create(request: Any) -> Any:
        provider.calls[request.path] += 1
        asked = await request.json()
        if provider.fault() in BROKEN:
            return error(500, "server_error", "try again", "openai")
        rows = [json.loads(line) for line in files[asked["input_file_id"]].splitlines()]
        keys = Counter(row["custom_id"] for row in rows)
        assert max(keys.values()) == 1
        assert len(rows) <= MOST_REQUESTS
        assert {(row["method"], row["url"]) for row in rows} == {("POST", asked["endpoint"])}
        questions = [provider.question(row["body"]) for row in rows]
        bad = [n for n, question in enumerate(questions, 1) if "no line" in question]
        if bad:
            wrong = [
                {"code": "invalid", "line": n, "message": "no JSON", "param": None} for n in bad
            ]
            status, output, errors = "failed", [], []
        else:
            wrong = []
            status, output, errors = answered(rows)
        identifier = f"batch_{next(provider.numbers):06}"
        provider.batches[identifier] = {
            "created": int(time.time()),
            "ends": time.monotonic() + args.batch_seconds,
            "file": asked["input_file_id"],
            "status": status,
            "errors": {"object": "list", "data": wrong} if wrong else None,
            "output_file": lines(output),
            "error_file": lines(errors),
            "counts": {"total": len(rows), "completed": len(output), "failed": len(errors)},
        }
        if args.batch_drop and provider.rng.random() < args.batch_drop:
            # accepted, but the client never hears of it
            request.transport.close()
        return web.json_response(view(identifier))

    @table.get("/v1/batches")
    async def newest(request: Any) -> Any:
        data = [view(identifier) for identifier in reversed(provider.batches)]
        last = data[-1]["id"] if data else None
        return web.json_response(
            {"object": "list", "data": data, "has_more": False, "last_id": last}
        )

    @table.get("/v1/batches/{id}")
    async def state(request: Any) -> Any:
        if request.match_info["id"] not in provider.batches:
            return error(404, "not_found_error", "no such batch", "openai")
        return web.json_response(view(request.match_info["id"]))

    return table
