"""The one way in which answers come into the cache: each is stored as it comes, and asked for once.

Safe to kill at any moment and to run again, in several processes too.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from radio.cache import Cache
from radio.lines import write_jsonl
from radio.llm.base import Failure
from radio.llm.outcomes import USELESS, kept_as_they_are
from radio.schema import InputError


@dataclass(frozen=True, slots=True)
class Answer:
    """What is stored under a key, and its outcome (:class:`radio.schema.Rationale` has them)."""

    key: str
    row: Mapping[str, Any]
    outcome: str


class Source(ABC):
    """Where the answers to some keys come from. A subclass implements :meth:`is_current` and
    :meth:`obtain`."""

    kind: ClassVar[str]
    """The kind of the cache's entries, in the singular."""

    title = ""
    """Stands before the progress bar and the messages."""

    unit = ""
    """What the progress bar counts."""

    keeps_bar = True
    """Whether the progress bar stays when it is full."""

    useless: tuple[str, ...] = USELESS
    """Outcomes that are told at the end, with :meth:`advice`."""

    @abstractmethod
    def is_current(self, row: Any) -> bool:
        """Whether a stored answer is as good as a new one.

        Raises:
            TypeError: it is no such entry; other errors of reading a value of the wrong form too.
        """

    @abstractmethod
    def obtain(self, keys: Sequence[str]) -> Iterator[Answer | Failure]:
        """Yield answers as they are finished, in any order; each is stored before the next one is
        taken."""

    def prepare(self, keys: Sequence[str]) -> None:  # noqa: B027 -- optional
        """Do what :meth:`obtain` will need, before its progress bar begins (optional)."""

    def estimate(self, keys: Sequence[str]) -> str:
        """What they will cost, to print beforehand; empty if nothing."""
        return ""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    def advice(self, useless: Mapping[str, int]) -> str:
        """What to do about answers that are of no use; empty if nothing can be done."""
        return kept_as_they_are(useless)


def fill(
    source: Source, keys: Sequence[str], cache: Cache, failures: Path | None = None
) -> Counter[str]:
    """Obtain the answers that the cache lacks, each stored as it comes.

    Prints what is missing and what it will cost, a progress bar, and at the end the count of each
    outcome: ``cached``, ``written``, ``empty``, ``refused``, ``truncated``, ``failed``.

    Args:
        source: where they come from.
        keys: cache keys, each once.
        cache: where they are kept.
        failures: file that lists those that failed.

    Raises:
        InputError: the source cannot go on, or the cache cannot be written.
    """
    if not _missing(source, keys, cache):
        # a cache that can only be read is enough
        return Counter({"cached": len(keys)})
    # one process asks at a time: a second one that started together would pay for the same answers
    with _alone(source.kind, cache):
        missing = _missing(source, keys, cache)
        outcomes = Counter({"cached": len(keys) - len(missing)})
        if not missing:
            return outcomes
        estimate = source.estimate(missing)
        if estimate:
            _say(source, f"{len(missing):,} of {len(keys):,} missing; {estimate}")
        source.prepare(missing)
        failed: list[Failure] = []
        try:
            for result in _stored(source, missing, cache):
                if isinstance(result, Failure):
                    failed.append(result)
                    outcomes["failed"] += 1
                else:
                    outcomes[result.outcome] += 1
        finally:
            # what stopped the run is said by its own error, such as that of a full disk
            with suppress(OSError):
                list_failures(failures, failed)
    useless = {name: outcomes[name] for name in source.useless if outcomes[name]}
    if estimate or failed or useless:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
        where = f"failures: {failures}" if failed and failures else ""
        _say(source, "; ".join(filter(None, [counts, source.status(), where])))
    if useless and (advice := source.advice(useless)):
        _say(source, advice)
    return outcomes


def _say(source: Source, message: str) -> None:
    print(f"{source.title}: {message}", file=sys.stderr, flush=True)


def _missing(source: Source, keys: Sequence[str], cache: Cache) -> list[str]:
    """Keys without an entry, or with one that is out of date."""
    missing: list[str] = []
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        current = cache.get_json(part, source.is_current)
        missing += [key for key in part if not current.get(key)]
    return missing


def _stored(source: Source, keys: Sequence[str], cache: Cache) -> Iterator[Answer | Failure]:
    """Results as they come, stored first, behind a progress bar."""
    from tqdm import tqdm

    with tqdm(total=len(keys), desc=source.title, unit=source.unit, leave=source.keeps_bar) as bar:
        for result in source.obtain(keys):
            if isinstance(result, Answer):
                cache.put_json(source.kind, {result.key: result.row})
            bar.update()
            bar.set_postfix_str(source.status(), refresh=False)
            yield result


@contextmanager
def _alone(kind: str, cache: Cache) -> Iterator[None]:
    """Wait until no other process asks for answers of this kind for this cache.

    Raises:
        InputError: its folder cannot be written.
    """
    from filelock import FileLock

    path = cache.path.with_suffix(f".{kind}.lock")
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}), and there are {kind}s to "
            "store; make the folder writable, or copy it and give the copy with "
            "--data.init_args.cache_dir"
        ) from None
    try:
        yield
    finally:
        lock.release()


def list_failures(path: Path | None, failed: Sequence[Failure]) -> None:
    """Write the file of those that failed, or remove that of an earlier run where none did."""
    if path is None:
        return
    if failed:
        rows = [{"id": failure.question_id, "error": failure.error} for failure in failed]
        write_jsonl(path, rows)
    else:
        path.unlink(missing_ok=True)
