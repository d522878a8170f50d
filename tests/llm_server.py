"""A loopback server that speaks the wire formats of Anthropic's and OpenAI's APIs, and fails on
demand.

Started as a process of its own (:func:`serve`), so that it outlives clients that are killed, and so
that it does not share their processor time slices. It answers each prompt from its text alone and
notes every answer that it sent in full, which is what a provider would charge for.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests import llm_files
from tests.llm_wire import KEY, MODELS, completion, error, message

ROOT = Path(__file__).parents[1]
FAULTS = ("429", "500", "529", "drop", "stall", "truncate", "refusal")
PAID = ("refusal", "empty", "cut")
"""Faults of an answer that is sent in full: it is of no use, and charged for."""
ON_DEMAND = (*FAULTS, "html", "empty", "cut")
PAGE = "<!doctype html><html><head><title>502</title></head><body>Bad gateway</body></html>"


class Provider:
    """State of the server: what was asked, answered and is under way."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.rng = random.Random(args.seed)
        self.answered: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.batches: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count()
        self.in_a_row = 0
        self.bodies: list[dict[str, Any]] = []

    def question(self, body: dict[str, Any]) -> str:
        content = body["messages"][-1]["content"]
        match = re.search(r"Question: (.*)", content)
        return match[1] if match else content[:60]

    def fault(self) -> str | None:
        lucky = self.rng.random() >= self.args.faults
        if lucky or self.in_a_row == self.args.in_a_row:
            self.in_a_row = 0
            return None
        self.in_a_row += 1
        return self.rng.choice(self.args.kinds or FAULTS)


def application(provider: Provider) -> Any:
    from aiohttp import web

    args = provider.args
    routes = web.RouteTableDef()

    def refused(request: Any, body: dict[str, Any] | None, api: str) -> Any:
        """The answer to what no retry would help."""
        key = request.headers.get("x-api-key") or request.headers.get(
            "Authorization", ""
        ).removeprefix("Bearer ")
        if key != KEY and not args.open:
            kind = "authentication_error" if api == "anthropic" else "invalid_api_key"
            return error(401, kind, f"invalid key: {key}", api)
        if body is not None and body.get("model") not in MODELS:
            return error(
                404,
                "not_found_error" if api == "anthropic" else "model_not_found",
                "no such model",
                api,
            )
        if args.quota == "anthropic":
            return error(
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the API.",
                api,
            )
        if args.quota == "openai":
            return error(429, "insufficient_quota", "You exceeded your current quota.", api)
        if body is not None and "temperature" in body and api == "anthropic":
            return error(
                400, "invalid_request_error", "temperature: Extra inputs are not permitted", api
            )
        return None

    async def answer(request: Any, api: str, make: Any) -> Any:
        provider.calls[request.path] += 1
        body = await request.json()
        if (no := refused(request, body, api)) is not None:
            return no
        if len(provider.bodies) < 5:
            provider.bodies.append(body)
        provider.in_flight += 1
        provider.most_in_flight = max(provider.most_in_flight, provider.in_flight)
        try:
            return await respond(request, body, api, make)
        finally:
            provider.in_flight -= 1

    async def respond(request: Any, body: dict[str, Any], api: str, make: Any) -> Any:
        question = provider.question(body)
        fault = provider.fault()
        if "too long" in question:
            return error(400, "invalid_request_error", "prompt is too long", api)
        if fault and fault not in PAID:
            provider.faults[fault] += 1
        if args.latency:
            await asyncio.sleep(args.latency * (0.5 + random.random()))
        if fault == "429":
            return error(
                429, "rate_limit_error", "slow down", api, **{"retry-after": str(args.retry_after)}
            )
        if fault in ("500", "529"):
            return error(int(fault), "overloaded_error", "try again", api)
        if fault == "drop":
            request.transport.close()
            return web.Response()
        if fault == "stall":
            await asyncio.sleep(args.stall)
            request.transport.close()
            return web.Response()
        if fault == "html":
            # what a proxy says of a server that is away
            return web.Response(text=PAGE, content_type="text/html")
        found = re.search(args.find, body["messages"][-1]["content"]) if args.find else None
        text = found[0] if found else None
        text = "" if fault == "empty" else text
        kind = {"refusal": "refused", "cut": "cut"}.get(fault or "")
        data = json.dumps(
            make(body, next(provider.numbers), kind=kind, question=question, text=text)
        ).encode()
        if fault == "truncate":
            # half of them say that more was to come, half are complete HTTP with half of the JSON
            half = data[: len(data) // 2]
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.content_length = len(data) if provider.rng.random() < 0.5 else len(half)
            await response.prepare(request)
            await response.write(half)
            request.transport.close()
            return response
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data)
        await response.write_eof()
        provider.answered[question] += 1
        asked = json.dumps([body.get("system"), body["messages"]])
        provider.paid[hashlib.sha256(asked.encode()).hexdigest()] += 1
        if fault in PAID:
            provider.faults[fault] += 1
        return response

    @routes.post("/v1/messages")
    async def messages(request: Any) -> Any:
        return await answer(request, "anthropic", message)

    @routes.post("/v1/chat/completions")
    async def completions(request: Any) -> Any:
        return await answer(request, "openai", completion)

    @routes.post("/v1/messages/count_tokens")
    async def count(request: Any) -> Any:
        provider.calls[request.path] += 1
        body = await request.json()
        if (no := refused(request, body, "anthropic")) is not None:
            return no
        return web.json_response({"input_tokens": len(json.dumps(body["messages"])) // 4 + 60})

    def view(identifier: str) -> dict[str, Any]:
        batch = provider.batches[identifier]
        ended = time.monotonic() >= batch["ends"]
        size = len(batch["requests"])
        kinds = Counter(row["result"]["type"] for row in batch["results"])
        counts = {
            kind: kinds[kind] if ended else 0
            for kind in ("succeeded", "errored", "canceled", "expired")
        }
        url = f"http://{args.host}:{args.port}/v1/messages/batches/{identifier}/results"
        return {
            "id": identifier,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {"processing": 0 if ended else size, **counts},
            "created_at": batch["created"].isoformat(),
            "expires_at": (batch["created"] + timedelta(days=1)).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": url if ended else None,
        }

    @routes.post("/v1/messages/batches")
    async def create(request: Any) -> Any:
        provider.calls[request.path] += 1
        body = await request.json()
        if (no := refused(request, None, "anthropic")) is not None:
            return no
        if provider.fault() in ("429", "500", "529"):
            return error(529, "overloaded_error", "try again", "anthropic")
        identifier = f"msgbatch_{next(provider.numbers):06}"
        results = []
        for order in body["requests"]:
            params = order["params"]
            question = provider.question(params)
            provider.answered[question] += 1
            if "too long" in question:
                result: dict[str, Any] = {
                    "type": "errored",
                    "error": {
                        "type": "error",
                        "error": {"type": "invalid_request_error", "message": "too long"},
                    },
                }
            elif "expire" in question:
                result = {"type": "expired"}
            else:
                number = next(provider.numbers)
                whole = message(params, number, question=question)
                if "odd" in question:
                    whole.pop("content")
                result = {"type": "succeeded", "message": whole}
            results.append({"custom_id": order["custom_id"], "result": result})
        provider.rng.shuffle(results)
        provider.batches[identifier] = {
            "requests": body["requests"],
            "results": results,
            "created": datetime.now(UTC),
            "ends": time.monotonic() + args.batch_seconds,
        }
        if args.batch_drop and provider.rng.random() < args.batch_drop:
            # accepted, but the client never hears of it
            request.transport.close()
        return web.json_response(view(identifier))

    @routes.get("/v1/messages/batches")
    async def batches(request: Any) -> Any:
        if (no := refused(request, None, "anthropic")) is not None:
            return no
        data = [view(identifier) for identifier in reversed(provider.batches)]
        ends = {
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
        return web.json_response({"data": data, "has_more": False, **ends})

    @routes.get("/v1/messages/batches/{id}")
    async def batch(request: Any) -> Any:
        if request.match_info["id"] not in provider.batches:
            return error(404, "not_found_error", "no such batch", "anthropic")
        return web.json_response(view(request.match_info["id"]))

    @routes.get("/v1/messages/batches/{id}/results")
    async def results(request: Any) -> Any:
        rows = provider.batches[request.match_info["id"]]["results"]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if provider.fault() in ("drop", "truncate"):
            response = web.StreamResponse(headers={"Content-Type": "application/x-jsonl"})
            response.content_length = len(text)
            await response.prepare(request)
            await response.write(text[: len(text) // 2].encode())
            request.transport.close()
            return response
        return web.Response(text=text, content_type="application/x-jsonl")

    @routes.get("/stats")
    async def stats(request: Any) -> Any:
        return web.json_response(
            {
                "answered": dict(provider.answered),
                "paid": dict(provider.paid),
                "faults": dict(provider.faults),
                "calls": dict(provider.calls),
                "most_in_flight": provider.most_in_flight,
                "bodies": provider.bodies,
                "batches": len(provider.batches),
            }
        )

    app = web.Application(client_max_size=256 * 2**20)
    app.add_routes(routes)
    app.add_routes(llm_files.routes(provider, refused))
    return app


def main() -> None:
    from aiohttp import web

    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--faults", type=float, default=0.0, help="share of the requests that fail")
    parser.add_argument(
        "--in-a-row",
        type=int,
        help="most faults that follow each other: a client that has just started and meets nothing "
        "else takes the server for one that is down",
    )
    parser.add_argument("--kinds", nargs="*", choices=ON_DEMAND)
    parser.add_argument(
        "--find", help="reply with what this expression finds in the prompt, if anything"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, times 0.5 to 1.5")
    parser.add_argument("--retry-after", type=float, default=0.05)
    parser.add_argument("--stall", type=float, default=30.0)
    parser.add_argument("--quota", choices=["anthropic", "openai"])
    parser.add_argument("--open", action="store_true", help="take any key, or none")
    parser.add_argument("--batch-seconds", type=float, default=0.2)
    parser.add_argument(
        "--batch-drop", type=float, default=0.0, help="share of accepted batches without an answer"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    async def run() -> None:
        runner = web.AppRunner(application(Provider(args)), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, args.host, 0, backlog=1024)
        await site.start()
        args.port = runner.addresses[0][1]
        args.port_file.write_text(str(args.port))
        await asyncio.Event().wait()

    asyncio.run(run())


class Server:
    """A running server: its address, and what it has seen."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats") as response:
            found: dict[str, Any] = json.load(response)
            return found


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Server]:
    """Start a server with the options of :func:`main`; stops it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = folder / "port"
    port.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.llm_server", "--port-file", str(port.absolute())]
    process = subprocess.Popen([*command, *options], cwd=ROOT)
    try:
        while not (port.is_file() and port.read_text()):
            if process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port.read_text()}")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
