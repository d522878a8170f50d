"""What a writer of rationales is, and how the cache is filled from one."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radio import contracts
from radio.cache import Cache, Fingerprinted, fingerprint
from radio.formats import normalise_question, read_rationales, write_jsonl
from radio.schema import Passage, Question, Rationale

KIND = "rationale"
"""The kind of the cache's entries."""


@dataclass(frozen=True, slots=True)
class Request:
    """One rationale to write: its cache key, the question and the passages that the prompt shows, best first."""

    key: str
    question: Question
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A question for which no answer could be had; the next run asks again."""

    question_id: str
    error: str


class RationaleWriter(Fingerprinted):
    """Turns questions with golden answers into rationales. A subclass implements :meth:`write`."""

    passages_shown = 0
    """How many candidates the prompt shows; they are part of the key."""

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        """Cache key of the rationale: the same question, answers and settings never cost a second request."""
        shown = [[passage.id, passage.contents] for passage in passages]
        parts = [self.fingerprint(), question.question, question.golden_answers, question.choices]
        return fingerprint(["rationale/2", *parts, *([shown] if shown else [])])

    @abstractmethod
    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        """Yield rationales as they are finished, in any order; the caller stores each one at once.

        A question for which there is none is left out or yielded as a :class:`Failure`; the next run asks again.

        Args:
            requests: what to write, each key once.
            cache: for what else must outlive the process, such as the number of a batch in flight.
        """

    def outdated(self, rationale: Rationale) -> bool:
        """Whether a stored rationale is to be asked for again, for example cut off under a lower limit."""
        return False

    def estimate(self, requests: Sequence[Request]) -> str:
        """What they will cost, to print beforehand; empty if nothing."""
        return ""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    def hint(self) -> str:
        """What a user can do about a missing rationale."""
        return "run that command again to ask for those that failed"


class Recorded(RationaleWriter):
    """Rationales from JSONL files, by question id; rows without an id (as published) join by question text.

    Args:
        paths: one file or several; see :func:`radio.formats.read_rationales`.
    """

    def __init__(self, paths: list[str] | str) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        self._by_id: dict[str, Rationale] = {}
        self._by_text: dict[str, Rationale] = {}
        self._read = False

    def _find(self, question: Question) -> Rationale | None:
        if not self._read:
            for path in self.paths:
                by_id, by_text = read_rationales(path)
                self._by_id.update(by_id)
                self._by_text.update(by_text)
            self._read = True
        return self._by_id.get(question.id) or self._by_text.get(normalise_question(question.question))

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        # by the row itself, not by the file: adding rows to a file leaves the others where they are
        found = self._find(question)
        row = [found.text, found.outcome] if found and found.outcome != "written" else found.text if found else None
        return fingerprint(["recorded/2", question.id, question.question, row])

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
        for request in requests:
            found = self._find(request.question)
            if found is not None:
                yield Rationale(request.question.id, found.text, found.model, found.prompt, found.usage, found.outcome)

    def hint(self) -> str:
        return f"add their rows to {', '.join(map(str, self.paths))} first"


def to_row(question: Question, rationale: Rationale) -> dict[str, Any]:
    """What the cache keeps of a rationale, in the shape that :func:`radio.formats.read_rationales` reads."""
    return {
        "id": question.id,
        "question": question.question,
        "golden_answers": list(question.golden_answers),
        "rationale": rationale.text,
        "model": rationale.model,
        "prompt": rationale.prompt,
        "outcome": rationale.outcome,
        "usage": dict(rationale.usage),
        "response": dict(rationale.response),
    }


def from_row(question_id: str, row: Mapping[str, Any]) -> Rationale:
    """The rationale of a cache entry, for the question that asks (another may have the same text and answers).

    The server's answer stays in the cache: a million of them would fill the memory.
    """
    return Rationale(question_id, row["rationale"], row["model"], row["prompt"], row["usage"], row["outcome"])


def read(keys: Mapping[str, str], cache: Cache) -> dict[str, Rationale]:
    """Rationales that the cache has: ``keys`` maps question ids to cache keys; returns question id -> rationale."""
    stored = cache.get_json(keys.values())
    return {question: from_row(question, stored[key]) for question, key in keys.items() if key in stored}


def fill(
    writer: RationaleWriter, requests: Sequence[Request], cache: Cache, failures: Path, title: str
) -> Counter[str]:
    """Write the rationales that the cache lacks, each stored as it comes; safe to kill and to run again.

    Prints what is missing and what it will cost, a progress bar, and at the end the count of each outcome: ``cached``,
    ``written``, ``refused``, ``truncated``, ``failed``. Those that failed are listed in ``failures``.
    """
    from filelock import FileLock

    # one process asks at a time: a second one that started together would pay for the same rationales
    with FileLock(cache.path.with_suffix(".lock")):
        unique = {request.key: request for request in requests}
        todo = [unique[key] for key in _missing(writer, list(unique), cache)]
        outcomes = Counter({"cached": len(unique) - len(todo)})
        failed: list[Failure] = []
        if not todo:
            return outcomes
        estimate = writer.estimate(todo)
        if estimate:
            print(f"{title}: {len(todo):,} of {len(unique):,} missing; {estimate}", file=sys.stderr, flush=True)
        try:
            for result in _shown(writer, todo, cache, title):
                if isinstance(result, Failure):
                    failed.append(result)
                    outcomes["failed"] += 1
                else:
                    outcomes[result.outcome] += 1
        finally:
            if failed:
                write_jsonl(failures, [{"id": f.question_id, "error": f.error} for f in failed])
            else:
                failures.unlink(missing_ok=True)
    if estimate or failed:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
        listed = f"; failures: {failures}" if failed else ""
        print(f"{title}: {counts}; {writer.status()}{listed}".replace("; ;", ";"), file=sys.stderr, flush=True)
    return outcomes


def _missing(writer: RationaleWriter, keys: list[str], cache: Cache) -> list[str]:
    """Keys without an entry, or with one that the writer would write anew."""
    missing: list[str] = []
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        stored = cache.get_json(part)
        missing += [key for key in part if key not in stored or writer.outdated(from_row("", stored[key]))]
    return missing


def _shown(writer: RationaleWriter, todo: Sequence[Request], cache: Cache, title: str) -> Iterator[Rationale | Failure]:
    """Results as the writer gives them, stored first, behind a progress bar."""
    from tqdm import tqdm

    by_id = {request.question.id: request for request in todo}
    with tqdm(total=len(todo), desc=title, unit="question") as bar:
        for result in contracts.written(writer, todo, writer.write(todo, cache)):
            if isinstance(result, Rationale):
                request = by_id[result.question_id]
                cache.put_json(KIND, {request.key: to_row(request.question, result)})
            bar.update()
            bar.set_postfix_str(writer.status(), refresh=False)
            yield result
