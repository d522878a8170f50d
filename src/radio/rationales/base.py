"""What a writer of rationales is, and how the cache is filled from one."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from radio import contracts
from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.formats import RationaleRow, read_rationale_files
from radio.lines import write_jsonl
from radio.schema import InputError, Passage, Question, Rationale
from radio.text import normalise_question

KIND = "rationale"
"""The kind of the cache's entries."""


@dataclass(frozen=True, slots=True)
class Request:
    """One rationale to write: its cache key, the question and the passages that the prompt shows,
    best first."""

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

    def asked(self, question: Question) -> list[Any]:
        """What a rationale may depend on of a question, for the key: all but its id, unless a
        subclass knows better."""
        return question.content

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        """Cache key of the rationale: the same question, answers and settings never cost a second
        request."""
        shown = [[passage.id, passage.contents] for passage in passages]
        return fingerprint(["rationale/3", self.fingerprint(), self.asked(question), shown])

    @abstractmethod
    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        """Yield rationales as they are finished, in any order; the caller stores each one at once.

        A question for which there is none is left out or yielded as a :class:`Failure`; the next
        run asks again.

        Args:
            requests: what to write, each key once.
            cache: for what else must outlive the process, such as the number of a batch in flight.
        """

    def outdated(self, rationale: Rationale) -> bool:
        """Whether a stored rationale is to be asked for again, for example cut off under a lower
        limit."""
        return False

    def estimate(self, requests: Sequence[Request]) -> str:
        """What they will cost, to print beforehand; empty if nothing."""
        return ""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    asks = True
    """Whether ``radio prepare`` can obtain what is missing; a reader of files cannot."""

    def hint(self) -> str:
        """What a user can do about a missing rationale."""
        return "run that command again to ask for those that failed"


class Recorded(RationaleWriter):
    """Rationales from JSONL files, by question id; rows without an id (as published) join by
    question text.

    Where a row has both, its question must be the one of that id (but for case and punctuation):
    ids of two datasets are often the same.

    Args:
        paths: one file or several; see :func:`radio.formats.read_rationales`.

    Raises:
        InputError: no file is given.
    """

    identity = "Recorded"

    def __init__(self, paths: list[str] | str) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        self._tables: tuple[dict[str, RationaleRow], dict[str, RationaleRow]] | None = None
        if not self.paths:
            raise InputError(
                "Recorded: paths: found no file, expected one or several of rationales"
            )

    def _find(self, question: Question) -> Rationale | None:
        if self._tables is None:
            self._tables = read_rationale_files(self.paths)
        by_id, by_text = self._tables
        # a dataset may ask in words of its own about what its file says (a claim, say)
        texts = [normalise_question(text) for text in (question.question, question.query)]
        row = by_id.get(question.id)
        if row is None:
            row = by_text.get(texts[0])
        elif row.question is not None and normalise_question(row.question) not in texts:
            raise InputError(
                f"{row.place}: id {question.id!r}: found the question {row.question!r}, expected "
                f"{question.question!r}, which has this id in the data; ids of two datasets may be "
                "the same: leave 'id' out to join the rows by their question, or 'question' to "
                "join them by id alone"
            )
        return row.rationale if row else None

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        # by the row itself, not by the file: adding rows to a file leaves the others where they are
        found = self._find(question)
        return fingerprint(
            ["recorded/3", question.id, question.question, found.content if found else None]
        )

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
        for request in requests:
            found = self._find(request.question)
            if found is not None:
                yield Rationale(
                    request.question.id,
                    found.text,
                    found.model,
                    found.prompt,
                    found.usage,
                    found.outcome,
                )

    asks = False

    def hint(self) -> str:
        return f"add their rows to {', '.join(map(str, self.paths))} first"


def shown_by_prompts(question: Question) -> list[Any]:
    """:meth:`RationaleWriter.asked` of a writer that fills in a
    :class:`radio.rationales.PromptTemplate`."""
    return [question.question, question.golden_answers, question.choices]


def to_row(question: Question, rationale: Rationale) -> dict[str, Any]:
    """What the cache keeps of a rationale, in the shape that :func:`radio.formats.read_rationales`
    reads."""
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
    """The rationale of a cache entry, for the question that asks (another may have the same text
    and answers).

    The server's answer stays in the cache: a million of them would fill the memory.

    Raises:
        TypeError: it is no such entry.
    """
    text, outcome = row["rationale"], row["outcome"]
    if not isinstance(text, str) or not isinstance(row["usage"], dict):
        raise TypeError("expected a text and its usage")
    return Rationale(
        question_id, text, row["model"], row["prompt"], row["usage"], _outcome(text, outcome)
    )


def _outcome(text: str, outcome: str) -> str:
    return "empty" if outcome == "written" and not text.strip() else outcome


def read(keys: Mapping[str, str], cache: Cache) -> dict[str, Rationale]:
    """Rationales that the cache has: ``keys`` maps question ids to cache keys; returns question id
    -> rationale."""
    stored = cache.get_json(keys.values(), partial(from_row, ""))
    return {
        question: replace(stored[key], question_id=question)
        for question, key in keys.items()
        if key in stored
    }


def fill(
    writer: RationaleWriter, requests: Sequence[Request], cache: Cache, failures: Path, title: str
) -> Counter[str]:
    """Write the rationales that the cache lacks, each stored as it comes; safe to kill and to run
    again.

    Prints what is missing and what it will cost, a progress bar, and at the end the count of each
    outcome: ``cached``, ``written``, ``empty``, ``refused``, ``truncated``, ``failed``. Those that
    failed are listed in ``failures``.

    Raises:
        InputError: the writer cannot go on, or the cache cannot be written.
    """
    unique = {request.key: request for request in requests}
    if not _missing(writer, list(unique), cache):
        # a cache that can only be read is enough
        return Counter({"cached": len(unique)})
    # one process asks at a time: a second one that started together would pay for the same
    # rationales
    with _alone(cache):
        todo = [unique[key] for key in _missing(writer, list(unique), cache)]
        outcomes = Counter({"cached": len(unique) - len(todo)})
        failed: list[Failure] = []
        if not todo:
            return outcomes
        estimate = writer.estimate(todo)
        if estimate:
            print(
                f"{title}: {len(todo):,} of {len(unique):,} missing; {estimate}",
                file=sys.stderr,
                flush=True,
            )
        try:
            for result in _shown(writer, todo, cache, title):
                if isinstance(result, Failure):
                    failed.append(result)
                    outcomes["failed"] += 1
                else:
                    outcomes[result.outcome] += 1
        finally:
            # what stopped the run is said by its own error, such as that of a full disk
            with suppress(OSError):
                _list_failures(failures, failed)
    useless = {name: outcomes[name] for name in USELESS if outcomes[name]}
    if estimate or failed or useless:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
        said = [counts, writer.status(), f"failures: {failures}" if failed else ""]
        print(f"{title}: {'; '.join(filter(None, said))}", file=sys.stderr, flush=True)
    if useless and writer.asks:
        print(f"{title}: {kept_as_they_are(useless)}", file=sys.stderr, flush=True)
    return outcomes


USELESS = ("empty", "refused", "truncated")
"""Outcomes of which nothing can be learnt; they are kept like the others, and not asked for
again."""


def kept_as_they_are(outcomes: Mapping[str, int]) -> str:
    """How many answers came back that teach nothing, and what to do about them."""
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    advice = ["take another model or prompt"]
    if "truncated" in outcomes:
        advice.append("raise max_tokens")
    prune = " or ".join(f"radio cache prune --outcome {outcome} --yes" for outcome in outcomes)
    advice.append(f"ask the same again after: {prune}")
    return f"{counts}: such answers are kept and not asked for again; {', or '.join(advice)}"


@contextmanager
def _alone(cache: Cache) -> Iterator[None]:
    """Wait until no other process asks for rationales of this cache.

    Raises:
        InputError: its folder cannot be written.
    """
    from filelock import FileLock

    path = cache.path.with_suffix(".lock")
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}), and there are rationales to "
            "store; make the folder writable, or copy it and give the copy with "
            "--data.init_args.cache_dir"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _list_failures(path: Path, failed: Sequence[Failure]) -> None:
    if failed:
        write_jsonl(path, [{"id": f.question_id, "error": f.error} for f in failed])
    else:
        path.unlink(missing_ok=True)


def _missing(writer: RationaleWriter, keys: list[str], cache: Cache) -> list[str]:
    """Keys without an entry, or with one that the writer would write anew."""
    missing: list[str] = []
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        stored = cache.get_json(part, partial(from_row, ""))
        missing += [key for key in part if key not in stored or writer.outdated(stored[key])]
    return missing


def _shown(
    writer: RationaleWriter, todo: Sequence[Request], cache: Cache, title: str
) -> Iterator[Rationale | Failure]:
    """Results as the writer gives them, stored first, behind a progress bar."""
    from tqdm import tqdm

    by_id = {request.question.id: request for request in todo}
    with tqdm(total=len(todo), desc=title, unit="question") as bar:
        for result in contracts.written(writer, todo, writer.write(todo, cache)):
            if isinstance(result, Rationale):
                text = _whole(result.text)
                result = replace(result, text=text, outcome=_outcome(text, result.outcome))
                request = by_id[result.question_id]
                cache.put_json(KIND, {request.key: to_row(request.question, result)})
            bar.update()
            bar.set_postfix_str(writer.status(), refresh=False)
            yield result


def _whole(text: str) -> str:
    """The text without half characters, as one that was cut may end with: no tokenizer takes
    them."""
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")
