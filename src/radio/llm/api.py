"""What writers that ask a model over HTTP have in common: concurrency, retries, budgets, plain
messages."""

from __future__ import annotations

import asyncio
import os
import queue
import random
import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from radio.cache import Cache
from radio.llm.prompts import PromptTemplate
from radio.ranges import check
from radio.rationales.base import (
    USELESS,
    Failure,
    RationaleWriter,
    Request,
    kept_as_they_are,
    shown_by_prompts,
)
from radio.schema import InputError, Question, Rationale

CHARACTERS_PER_TOKEN = 3.5
"""Where nothing better is known; English prose has more, so that estimates are rather too high."""

HOPELESS = 20
"""Questions that fail one after the other, with no success in between, before a run gives up."""

CONNECT = 5.0
"""Seconds until a server that does not take a connection counts as unreachable."""

FIRST_WAIT = 0.5
"""Seconds before the second try of a request; twice as many before each further one."""

UNREADABLE = 2
"""Further tries of a request whose answer could not be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of a model: ``outcome`` and ``usage`` as in :class:`radio.schema.Rationale`."""

    text: str
    outcome: str
    usage: Mapping[str, int]
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error means: ``fatal`` concerns every request, ``retry`` may pass, else it is this
    question's own."""

    message: str
    fatal: bool = False
    retry: bool = False
    wait: float | None = None
    """Seconds that the server asks to wait."""
    unreachable: bool = False
    patience: int = 8
    """Further tries that are worth it as long as this server has answered nothing at all."""
    unreadable: bool = False
    """It has answered, and may have taken money for it."""


class Pace:
    """Spaces requests so that a minute holds no more requests and tokens than allowed; all wait
    when told to."""

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        self._per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._ready = 0.0

    async def wait(self, tokens: float) -> None:
        clock = asyncio.get_running_loop().time
        start = max(clock(), self._ready)
        self._ready = start + max(self._per_request, tokens * self._per_token)
        while (left := start - clock()) > 0:
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """The server said that there were too many: nothing starts before that time is over."""
        self._ready = max(self._ready, asyncio.get_running_loop().time() + seconds)


class ApiWriter(RationaleWriter):
    """Asks a model over HTTP, many questions at a time. A subclass implements :meth:`connect` and
    :meth:`ask`.

    A rate limit, an overloaded server or a broken connection is tried again, after the time that
    the server names or else twice as long each time. A wrong key, an unknown model, an empty
    account or an unreachable server ends the run at once. What was answered is in the cache by
    then. Neither ``max_tokens`` nor anything after it is part of the cache key; an answer that was
    cut off is asked for again when ``max_tokens`` has been raised.

    Args:
        model: its name at the provider.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        sampling: settings that the API takes for this model, for example ``{temperature: 0.2}``
            (published).
        passages: candidates to show, if the prompt has ``{passages}``.
        max_tokens: limit of an answer.
        base_url: other address than the provider's, with ``http://`` or ``https://``. Not part of
            the cache key: a model is known by its name, wherever it is served.
        concurrency: requests in flight.
        retries: further tries of a request.
        timeout: seconds until a try is given up.
        requests_per_minute: budget; None is no limit.
        tokens_per_minute: budget of input and output together; None is no limit.
        prices: US dollars for a million tokens, by model: ``input``, ``output``, and where they
            differ ``cache_read``, ``cache_write``; ``batch`` is the factor of the batch interface.
        max_cost: US dollars after which a run stops; it never starts what could exceed them.
    """

    key_name = ""
    """The environment variable that holds the key."""

    url_name = ""
    """The environment variable that the SDK takes an address from."""

    def __init__(
        self,
        model: str,
        prompt: str = "published",
        sampling: dict[str, Any] | None = None,
        passages: int = 5,
        max_tokens: int = 300,
        base_url: str | None = None,
        concurrency: int = 16,
        retries: int = 8,
        timeout: float = 120.0,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        prices: dict[str, dict[str, float]] | None = None,
        max_cost: float | None = None,
    ) -> None:
        check(self, locals())
        self._template = PromptTemplate(prompt)
        self.model = model
        self.prompt = self._template.fingerprint
        self.sampling = sampling or {}
        self.passages_shown = passages if self._template.shows_passages else 0
        self._max_tokens = max_tokens
        self._base_url = address(base_url or os.environ.get(self.url_name), self.url_name)
        self._concurrency = concurrency
        self._retries = retries
        self._timeout = timeout
        self._pace = Pace(requests_per_minute, tokens_per_minute)
        self._prices = (prices or {}).get(model)
        self._max_cost = max_cost
        self._tokens_per_character = 1 / CHARACTERS_PER_TOKEN
        self._spent = self._reserved = 0.0
        self._answered = self._retried = self._failed = self._in_a_row = 0
        self._useless: Counter[str] = Counter()
        self._stopped = False
        self._batch = False  # whether requests go through the provider's batch interface
        if max_cost is not None and self._prices is None:
            raise InputError(
                f"max_cost is set, but prices has no entry for {model!r}: add its input and output "
                "prices"
            )
        if self._prices is not None and not {"input", "output"} <= set(self._prices):
            raise InputError(
                f"prices: {model!r}: found {', '.join(self._prices)}, expected input and output"
            )

    # What a subclass gives

    @property
    @abstractmethod
    def sdk(self) -> ModuleType:
        """The provider's package; its exceptions are those of both SDKs that are supported."""

    @abstractmethod
    def connect(self) -> Any:
        """An asynchronous client of the SDK, which itself tries nothing again."""

    @abstractmethod
    async def ask(self, client: Any, text: str) -> Reply:
        """One request; ``text`` is the user's part of the prompt."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], str]:
        """Tokens of the whole prompt for each text, and how they were counted."""

    def api_key(self) -> str:
        """The key from the environment.

        Raises:
            InputError: there is none.
        """
        key = os.environ.get(self.key_name, "")
        if not key:
            raise InputError(
                f"the environment variable {self.key_name} is not set: export {self.key_name}=..."
            )
        return key

    # Estimate and money

    def cost(self, usage: Mapping[str, float], *, batch: bool = False) -> float:
        """US dollars of a number of tokens; 0 where no price is known."""
        if self._prices is None:
            return 0.0
        price = {
            "cache_read": self._prices["input"],
            "cache_write": self._prices["input"],
            **self._prices,
        }
        kinds = ("input", "output", "cache_read", "cache_write")
        dollars = sum(usage.get(kind, 0) * price[kind] for kind in kinds) / 1e6
        return dollars * (self._prices.get("batch", 1.0) if batch else 1.0)

    def _most(self, text: str, *, batch: bool = False) -> float:
        """The most that a request can cost."""
        tokens = 1.3 * self._tokens_per_character * (len(text) + len(self._template.system)) + 50
        return self.cost({"input": tokens, "output": self._max_tokens}, batch=batch)

    def estimate(self, requests: Sequence[Request]) -> str:
        sample = [self._text(request) for request in requests[:: max(1, len(requests) // 20)][:20]]
        counts, how = self.count_tokens(sample)
        length = sum(len(text) + len(self._template.system) for text in sample)
        self._tokens_per_character = sum(counts) / max(1, length)
        read, written = len(requests) * sum(counts) / len(counts), len(requests) * self._max_tokens
        dollars = self.cost({"input": read, "output": written}, batch=self._batch)
        money = (
            f"at most ${dollars:,.2f} with {self.model}"
            if self._prices
            else f"no price is known for {self.model}"
        )
        limit = f", stops before ${self._max_cost:,.2f}" if self._max_cost is not None else ""
        return f"about {read:,.0f} tokens of input ({how}), at most {written:,} of output; {money}{limit}"

    def status(self) -> str:
        money = f"${self._spent:,.2f} spent, " if self._prices else ""
        stopped = ", stopped at max_cost" if self._stopped else ""
        return f"{money}{self._retried:,} retries, {self._failed:,} failed{stopped}"

    def hint(self) -> str:
        if self._stopped:
            return f"stopped at max_cost {self._max_cost}; raise it to go on"
        return super().hint()

    def asked(self, question: Question) -> list[Any]:
        return shown_by_prompts(question)

    def outdated(self, rationale: Rationale) -> bool:
        return (
            rationale.outcome == "truncated" and rationale.usage.get("output", 0) < self._max_tokens
        )

    # The work

    def _text(self, request: Request) -> str:
        return self._template.render(request.question, request.passages)

    def _rationale(self, request: Request, reply: Reply) -> Rationale:
        self._answered += 1
        self._in_a_row = 0
        usable = reply.outcome == "written" and reply.text.strip()
        self._useless["usable" if usable else reply.outcome if reply.text.strip() else "empty"] += 1
        self._spent += self.cost(reply.usage, batch=self._batch)
        return Rationale(
            request.question.id,
            reply.text,
            self.model,
            self.prompt,
            reply.usage,
            reply.outcome,
            reply.response,
        )

    def _failure(self, request: Request, message: str) -> Failure:
        self._failed += 1
        self._in_a_row += 1
        if self._in_a_row >= HOPELESS:
            raise InputError(
                f"{self.model}: {HOPELESS} questions in a row failed, the last one with: {message}"
            )
        return Failure(request.question.id, message)

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        # a thread of its own: the caller stores results meanwhile, and a notebook's own event loop
        # is not in the way
        results: queue.Queue[Rationale | Failure | BaseException | None] = queue.Queue()
        loop = asyncio.new_event_loop()
        work = loop.create_task(self._run(requests, results))

        def serve() -> None:
            try:
                loop.run_until_complete(work)
                results.put(None)
            except BaseException as error:
                results.put(error)
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

        thread = threading.Thread(target=serve, name="rationales", daemon=True)
        thread.start()
        try:
            while (result := results.get()) is not None:
                if isinstance(result, BaseException):
                    raise _first(result)
                yield result
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(work.cancel)
            thread.join(timeout=10)

    async def _run(self, requests: Sequence[Request], results: queue.Queue[Any]) -> None:
        todo = iter(requests)
        async with self.connect() as client:

            async def work(limit: int | None = None) -> None:
                for number, request in enumerate(todo, 1):
                    if self._all_useless():
                        return
                    text = self._text(request)
                    most = self._most(text)
                    if (
                        self._max_cost is not None
                        and self._spent + self._reserved + most > self._max_cost
                    ):
                        self._stopped = True
                        return
                    self._reserved += most
                    result = await self._one(client, request, text)
                    self._reserved -= most
                    results.put(result)
                    if number == limit:
                        return

            # one request alone first: a wrong key or model shows itself before hundreds are under
            # way
            await work(limit=1)
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(work())
        # not before the answers that were under way have come: they are paid for
        if self._all_useless():
            raise InputError(
                f"{self.model}: of no use so far, so that the rest is not asked for: "
                f"{self._came_back()}"
            )

    def _all_useless(self) -> bool:
        """Whether many answers came and none that teaches anything."""
        return self._useless.total() >= HOPELESS and not self._useless["usable"]

    def _came_back(self) -> str:
        return kept_as_they_are(
            {name: self._useless[name] for name in USELESS if self._useless[name]}
        )

    async def _one(self, client: Any, request: Request, text: str) -> Rationale | Failure:
        tokens = (
            self._tokens_per_character * (len(text) + len(self._template.system))
            + self._max_tokens / 2
        )
        unreadable = 0
        for attempt in range(self._retries + 1):
            await self._pace.wait(tokens)
            try:
                async with asyncio.timeout(self._timeout):
                    return self._rationale(request, await self.ask(client, text))
            except (
                self.sdk.APIError,
                OSError,
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                IndexError,
            ) as error:
                problem = self.problem(error)
            never = not self._answered and problem.retry and attempt >= problem.patience
            if problem.fatal or never:
                raise InputError(problem.message)
            unreadable += problem.unreadable
            if not problem.retry or attempt == self._retries or unreadable > UNREADABLE:
                break
            self._retried += 1
            if problem.wait is not None:
                self._pace.pause(problem.wait)
            await asyncio.sleep(problem.wait or backoff(attempt) * random.uniform(0.75, 1.0))
        return self._failure(request, problem.message)

    @property
    def _time_limits(self) -> Any:
        """For the SDK: a server that is not there shows itself at once, whatever time an answer may
        take."""
        return self.sdk.Timeout(self._timeout, connect=min(self._timeout, CONNECT))

    def problem(self, error: Exception) -> Problem:
        """What an exception of the SDK, or of reading its answer, means."""
        url = self._base_url or "the provider"
        causes = list(_causes(error))
        # the transports name it differently; none of them got a connection at all
        if any(
            "Connect" in type(cause).__name__ and "Connection" not in type(cause).__name__
            for cause in causes
        ):
            reason = str(causes[-1]) or type(causes[-1]).__name__
            return Problem(
                self._clean(f"cannot reach {url} ({reason})"),
                retry=True,
                unreachable=True,
                patience=1,
            )
        if isinstance(error, TimeoutError | self.sdk.APITimeoutError):
            return Problem(
                f"no answer within {self._timeout:g} s from {url}", retry=True, patience=1
            )
        if isinstance(error, self.sdk.APIConnectionError):
            return Problem(
                self._clean(f"the connection to {url} broke ({causes[-1]})"), retry=True, patience=3
            )
        if isinstance(error, self.sdk.APIStatusError):
            return self._status_problem(error, url)
        message = self._clean(
            f"unreadable answer from {url}: {error if str(error) else type(error).__name__}"
        )
        return Problem(message, retry=True, unreadable=True, patience=UNREADABLE)

    def _status_problem(self, error: Any, url: str) -> Problem:
        status = error.status_code
        body = error.body if isinstance(error.body, dict) else {}
        inner: Mapping[str, Any] = body["error"] if isinstance(body.get("error"), dict) else body
        said = self._clean(str(inner.get("message") or error.message))
        code = " ".join(str(inner.get(key, "")) for key in ("type", "code"))
        empty = status == 402 or any(word in f"{code} {said}".lower() for word in QUOTA)
        if status in (401, 403):
            return Problem(
                f"{url} refused the key in {self.key_name} ({status}: {said})", fatal=True
            )
        if status == 404:
            return Problem(
                f"{url} knows no model {self.model!r}, or no such address (404: {said})", fatal=True
            )
        if empty and status in (400, 402, 403, 429):
            return Problem(
                f"the account at {url} has no money or quota left ({status}: {said})", fatal=True
            )
        if status in (408, 409, 429) or status >= 500:
            # a server that only ever fails is down; one that is asked too often says so for as long
            # as it takes
            patience = 8 if status == 429 else 5
            wait = _retry_after(error.response.headers)
            return Problem(f"{url}: {status}: {said}", retry=True, wait=wait, patience=patience)
        # this question's own, such as a prompt that is too long; many in a row end the run
        # (HOPELESS)
        return Problem(f"{url}: {status}: {said}")

    def _clean(self, message: str) -> str:
        """One line without the key, which some servers repeat."""
        key = os.environ.get(self.key_name)
        message = " ".join(message.split())[:500]
        return message.replace(key, "***") if key else message


def backoff(attempt: int) -> float:
    """Seconds to wait after the try of this 0-based number."""
    return min(60.0, FIRST_WAIT * 2.0**attempt)


def address(base_url: str | None, variable: str = "") -> str | None:
    """A server's address without its last slash; None stays None, for the provider's own.

    Raises:
        InputError: no ``http://`` or ``https://`` in front, or no server in it.
    """
    found = (base_url or "").strip()
    if not found:
        return None
    try:
        parts = urlsplit(found)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        name = "base_url" if found != os.environ.get(variable) else variable
        example = f"http://{found.rpartition('://')[2].lstrip('/') or 'localhost:8000/v1'}"
        raise InputError(
            f"{name}: found {found!r}, expected an address with http:// or https://, such as "
            f"{example!r}"
        )
    return f"{parts.scheme}://{found.partition('://')[2]}".rstrip("/")


def read_reply(reply: Any, part: str) -> Any:
    """A part of what the SDK made of an answer, which it does not look at itself.

    Raises:
        ValueError: the answer has no such part: another kind of server, or a page of a proxy.
    """
    found = getattr(reply, part, None)
    if found is None or found == []:
        said = reply if isinstance(reply, str) else reply.to_json(indent=None)
        raise ValueError(
            f"found {' '.join(said.split())[:80]!r}, expected an answer with {part!r}; see base_url"
        )
    return found


QUOTA = (
    "insufficient_quota",
    "billing",
    "credit balance",
    "exceeded your current quota",
    "spend limit",
)
"""How providers name an account that is used up."""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait (at most ten minutes); None if it does not say."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) / scale
            if seconds >= 0:
                return min(seconds, 600.0)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error was raised from, the error itself first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _first(error: BaseException) -> BaseException:
    """The error inside a group of them that tasks raised together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
