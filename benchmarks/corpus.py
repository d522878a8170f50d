"""A large corpus on disk: ``python -m benchmarks.corpus`` (5 million passages, about 8 GB of disk
while it runs).

Writes a generated corpus, builds its Arrow file and its table of ids in one process, and opens it
in another one that looks up random passages: seconds and peak memory of each. Its own memory is
what counts; pages of the mapped file are resident as long as nobody else needs the room, up to the
whole file, and the kernel drops them when somebody does.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WORDS = [f"word{n}" for n in range(5000)]


def generate(path: Path, count: int) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=100)) for _ in range(1000)]
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            file.write(f'{{"id": "p{n}", "contents": "\\"Title {n}\\"\\n{texts[n % 1000]} {n}"}}\n')


def open_and_read(path: str, folder: str, count: int, lookups: int) -> None:
    """What each process does: open the corpus, then look up random passages, as the candidates of a
    batch are."""
    own = [0.0]
    threading.Thread(target=watch, args=(own,), daemon=True).start()
    start = time.perf_counter()
    from radio.corpus import DiskCorpus

    corpus = DiskCorpus([path], folder)
    opened = time.perf_counter() - start
    rng = random.Random(1)
    wanted = [f"p{rng.randrange(count)}" for _ in range(lookups)]
    start = time.perf_counter()
    assert all(corpus[identifier].id == identifier for identifier in wanted)
    looked = time.perf_counter() - start
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = f"{opened:.1f} s to open, {1000 * looked / lookups:.2f} ms a look-up"
    print(
        f"{times}; peak {own[0]:.0f} MiB of its own, {resident:.0f} MiB with mapped pages",
        flush=True,
    )


def watch(peak: list[float]) -> None:
    """Largest memory of this process that is no page of a file, in MiB, looked at every 20 ms."""
    while True:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        peak[0] = max(peak[0], int(status.partition("RssAnon:")[2].split()[0]) / 1024)
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=5_000_000)
    parser.add_argument(
        "--lookups", type=int, default=1600, help="the candidates of 32 questions, 50 each"
    )
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        open_and_read(*args.read, args.passages, args.lookups)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        generate(path, args.passages)
        print(f"{args.passages:,} passages, {path.stat().st_size / 1e9:.1f} GB", flush=True)
        for title in ("first use, which indexes", "later use"):
            command = [sys.executable, "-m", "benchmarks.corpus", "--read", str(path), folder]
            command += ["--passages", str(args.passages), "--lookups", str(args.lookups)]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
            )
            print(f"{title}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
