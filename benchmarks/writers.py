"""What asking for rationales costs on the client's side: ``python -m benchmarks.writers``.

Against the loopback server of the tests, which runs as a process of its own and answers after
``--latency`` seconds: requests in flight, requests a second, processor time of this process for a
request (SDK, retries, cache and progress bar together), and the resident memory as the number of
questions grows.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from radio.cache import Cache
from radio.rationales import AnthropicWriter, OpenAIWriter, Request, fill
from radio.schema import Question
from tests.llm_server import serve
from tests.llm_wire import KEY


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--api", choices=["anthropic", "openai"], default="anthropic")
    parser.add_argument(
        "--questions", type=int, nargs="+", default=[2_000, 20_000, 200_000], help="of each run"
    )
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.5, help="mean seconds of an answer")
    args = parser.parse_args()
    os.environ.update(ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=KEY)
    print(
        "| API | questions | in flight, most | requests/s | client's processor ms a request | "
        "resident MiB |"
    )
    print("|---|---|---|---|---|---|")
    for count in args.questions:
        with (
            tempfile.TemporaryDirectory() as name,
            serve(Path(name), "--latency", str(args.latency)) as server,
        ):
            kind = AnthropicWriter if args.api == "anthropic" else OpenAIWriter
            url = server.url if args.api == "anthropic" else f"{server.url}/v1"
            model = "claude-haiku-4-5" if args.api == "anthropic" else "gpt-4o-mini"
            writer = kind(model, base_url=url, concurrency=args.concurrency)
            questions = (
                Question(str(n), f"Which lamp burns in tower {n}?", (f"lamp {n}",))
                for n in range(count)
            )
            requests = [Request(writer.key(question), question) for question in questions]
            before, start, used = resident_mib(), time.monotonic(), processor_seconds()
            outcomes = fill(
                writer,
                requests,
                Cache(Path(name) / "c.sqlite"),
                Path(name) / "failures.jsonl",
                "writing",
            )
            wall, used, after = time.monotonic() - start, processor_seconds() - used, resident_mib()
            assert outcomes["written"] == count, outcomes
            most = server.stats()["most_in_flight"]
        print(
            f"| {args.api} | {count:,} | {most} | {count / wall:.0f} | {1000 * used / count:.2f} "
            f"| {before:.0f} before, {after:.0f} after |",
            flush=True,
        )


if __name__ == "__main__":
    main()
