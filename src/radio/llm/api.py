"""Language models behind HTTP: many requests at a time, tried again where that helps."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from math import ceil, floor
from types import ModuleType
from typing import Any

from radio.cache import Cache
from radio.engines import current
from radio.llm.addresses import address
from radio.llm.arrivals import Arrivals, Stop, keep, kept
from radio.llm.base import Call, Failure, LanguageModel, Reply, Result
from radio.llm.money import Money
from radio.llm.pace import Pace
from radio.llm.problems import UNREADABLE, Problems
from radio.llm.tally import Tally
from radio.llm.tries import NoAnswerError, Tries
from radio.models.messages import say_once
from radio.ranges import check
from radio.schema import InputError

CHARACTERS_PER_TOKEN = 3.5
"""Where nothing better is known; English prose has more, so that estimates are rather too high."""

MESSAGE = 8
"""Tokens that a prompt has beside those of its texts, about."""

CONNECT = 5.0
"""Seconds until a server that does not take a connection counts as unreachable."""

SAMPLE = 20
"""Prompts whose tokens are counted for an estimate."""


class ApiModel(LanguageModel):
    """Asks a model over HTTP, many calls at a time. A subclass implements :meth:`connect` and
    :meth:`ask`.

    A rate limit, an overloaded server or a broken connection is tried again, after the time that
    the server names or else twice as long each time. A wrong key, an unknown model, an empty
    account or an unreachable server ends the run: nothing more is asked, and what is under way is
    yielded first. What had come when the caller went away is kept in the cache, and yielded to the
    next one that asks. Neither ``max_tokens`` nor anything after it is part of a cache key; an
    answer that was cut off is asked for again when ``max_tokens`` has been raised.

    Args:
        model: its name at the provider.
        sampling: settings that the API takes for this model, for example ``{temperature: 0.2}``
            (published).
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
        max_cost: US dollars after which a run stops; it never starts what could exceed them. What
            came without a count of its tokens, or broke off, counts with the most it may have cost.
        context_window: tokens that prompt and answer may have together; None is not known.
    """

    key_name = ""
    """The environment variable that holds the key."""

    url_name = ""
    """The environment variable that the SDK takes an address from."""

    def __init__(
        self,
        model: str,
        sampling: dict[str, Any] | None = None,
        max_tokens: int = 300,
        base_url: str | None = None,
        concurrency: int = 16,
        retries: int = 8,
        timeout: float = 120.0,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        prices: dict[str, dict[str, float]] | None = None,
        max_cost: float | None = None,
        context_window: int | None = None,
    ) -> None:
        check(self, locals())
        super().__init__(model, sampling, max_tokens)
        self._context_window = context_window
        self._base_url = address(base_url or os.environ.get(self.url_name), self.url_name)
        self._concurrency = concurrency
        self._retries = retries
        self._timeout = timeout
        self._pace = Pace(requests_per_minute, tokens_per_minute)
        self._money = Money(model, prices, max_cost)
        self._tally = Tally(model)
        self._tokens_per_character = 1 / CHARACTERS_PER_TOKEN
        self._in_batches = False  # whether calls go through the provider's batch interface

    # What a subclass gives

    @property
    @abstractmethod
    def sdk(self) -> ModuleType:
        """The provider's package; its exceptions are those of both SDKs that are supported."""

    @abstractmethod
    def connect(self) -> Any:
        """An asynchronous client of the SDK, which itself tries nothing again."""

    @abstractmethod
    async def ask(self, client: Any, call: Call) -> Reply:
        """One request."""

    @abstractmethod
    def count_tokens(self, calls: Sequence[Call]) -> tuple[list[int], str]:
        """Tokens of the whole prompt of each call, and how they were counted."""

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

    @property
    def time_limits(self) -> Any:
        """For the SDK: a server that is not there shows itself at once, whatever time an answer may
        take."""
        return self.sdk.Timeout(self._timeout, connect=min(self._timeout, CONNECT))

    @property
    def problems(self) -> Problems:
        """Who reads the exceptions of the SDK."""
        url = self._base_url or "the provider"
        return Problems(self.sdk, url, self.model, self.key_name, self._timeout)

    # Tokens

    def window(self) -> int | None:
        if self._context_window is None:
            return None
        left = self._context_window - self._max_tokens
        if left < 1:
            raise InputError(
                f"{type(self).__name__}: context_window: found {self._context_window}, expected "
                f"more than max_tokens {self._max_tokens}"
            )
        return left

    def prompt_tokens(self, system: str, user: str) -> int:
        return ceil((len(system) + len(user)) / CHARACTERS_PER_TOKEN) + MESSAGE

    def first_tokens(self, text: str, count: int) -> str:
        return text[: max(0, floor(count * CHARACTERS_PER_TOKEN))]

    # Estimate and money

    def price(self, usage: Mapping[str, float]) -> float | None:
        if not self._money.known:
            return None
        return self._money.cost(usage, batch=self._in_batches)

    def tokens(self, call: Call) -> float:
        """About how many tokens a prompt has."""
        return self._tokens_per_character * (len(call.system) + len(call.user))

    def most(self, call: Call) -> float:
        """US dollars that a call may cost at most."""
        usage = {"input": 1.3 * self.tokens(call) + 50, "output": self._max_tokens}
        return self._money.cost(usage, batch=self._in_batches)

    def estimate(self, calls: Sequence[Call]) -> str:
        step = max(1, len(calls) // SAMPLE)
        sample = calls[::step][:SAMPLE]
        counts, how = self.count_tokens(sample)
        characters = sum(len(call.system) + len(call.user) for call in sample)
        self._tokens_per_character = sum(counts) / max(1, characters)
        read = len(calls) * sum(counts) / len(counts)
        written = len(calls) * self._max_tokens
        if self._money.known:
            usage = {"input": read, "output": written}
            dollars = self._money.cost(usage, batch=self._in_batches)
            money = f"at most ${dollars:,.2f} with {self.model}"
        else:
            money = f"no price is known for {self.model}"
        if self._money.limit is not None:
            money += f", stops before ${self._money.limit:,.2f}"
        return f"about {read:,.0f} tokens of input ({how}), at most {written:,} of output; {money}"

    def status(self) -> str:
        money = f"${self._money.spent:,.2f} spent, " if self._money.known else ""
        if self._money.uncounted:
            money += f"at most ${self._money.uncounted:,.2f} more where no tokens were counted, "
        stopped = ", stopped at max_cost" if self._money.stopped else ""
        return f"{money}{self._tally.retried:,} retries, {self._tally.failed:,} failed{stopped}"

    def hint(self) -> str:
        if self._money.stopped:
            return f"stopped at max_cost {self._money.limit}; raise it to go on"
        return ""

    def paid(self, reply: Reply, most: float) -> Reply:
        """Note what came back, and what it cost: at most so many US dollars."""
        self.charge(reply.usage, most)
        self._tally.answer(reply)
        return reply

    def charge(self, usage: Mapping[str, int] | None, most: float) -> None:
        """Note what a request cost: by its tokens or, where they are not known, the most."""
        if usage:
            self._money.spend(usage, batch=self._in_batches)
        else:
            self._money.lose(most)

    # The work

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        have_come = set()
        for call, reply in kept(calls, cache):
            if not self.outdated(reply.outcome, reply.usage):
                have_come.add(call.key)
                yield call, reply
        left = [call for call in calls if call.key not in have_come]
        if left:
            yield from self._asked(left, cache)

    def _asked(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        """Results of calls of which no answer has come yet."""
        if current().elsewhere:
            say_once(f"{self.model}: asked from this process: the network limits it, no machine")
        # a thread of its own: the caller stores results meanwhile, and a notebook's own event loop
        # is not in the way
        loop = asyncio.new_event_loop()
        arrivals = Arrivals(loop)
        work = loop.create_task(self._ask_all(calls, arrivals))

        def serve() -> None:
            error: BaseException | None = None
            try:
                loop.run_until_complete(work)
            except BaseException as caught:
                error = caught
            finally:
                arrivals.end(error)
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

        thread = threading.Thread(target=serve, name="language model", daemon=True)
        thread.start()
        try:
            yield from arrivals
        finally:
            # where the caller goes away: Ctrl-C, a full disk
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(work.cancel)
            thread.join(timeout=10)
            keep(arrivals.unstored(), cache)

    async def _ask_all(self, calls: Sequence[Call], arrivals: Arrivals) -> None:
        left, stop = iter(calls), Stop()
        async with self.connect() as client:
            # one call alone first: a wrong key or model shows itself before hundreds are under way
            await self._work(client, islice(left, 1), arrivals, stop)
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._work(client, left, arrivals, stop))
        # not before the answers that were under way have come: they are paid for
        if stop.error is not None:
            raise stop.error
        self._tally.check_use()

    async def _work(
        self, client: Any, left: Iterator[Call], arrivals: Arrivals, stop: Stop
    ) -> None:
        """Take one call after the other, until none is left or there is no point in going on."""
        while not (stop.error or self._tally.all_useless):
            try:
                call = next(left, None)
                if call is None or not await self._ask_one(client, call, arrivals, stop):
                    return
            except Exception as error:
                # not raised here: that would break off the requests of all others
                stop.because(error)

    async def _ask_one(self, client: Any, call: Call, arrivals: Arrivals, stop: Stop) -> bool:
        """Whether there was enough money to ask."""
        call = call.written_out()
        most = self.most(call)
        if not self._money.reserve(most):
            return False
        try:
            result = await self._patiently(client, call, most, stop)
        finally:
            self._money.release(most)
        if result is None:
            return False
        await arrivals.store((call, result))
        return True

    async def _patiently(
        self, client: Any, call: Call, most: float, stop: Stop
    ) -> Reply | Failure | None:
        """The reply, after as many tries as it takes; None where money runs out before."""
        tokens = self.tokens(call) + self._max_tokens / 2
        tries = Tries(self._retries, unreadable=UNREADABLE)
        problems = self.problems
        while True:
            with stop.idle():
                await self._pace.wait(tokens)
            start = time.perf_counter()
            try:
                async with asyncio.timeout(self._timeout):
                    reply = await self.ask(client, call)
                return self.paid(replace(reply, seconds=time.perf_counter() - start), most)
            except problems.expected as error:
                problem = problems.read(error)
            except asyncio.CancelledError:
                # the server goes on with it
                self._money.lose(most)
                raise
            if problem.may_cost:
                self.charge(problem.usage, most)
            try:
                seconds = tries.wait(problem, reached=self._tally.answered > 0)
            except NoAnswerError as error:
                return self._tally.failure(call, str(error))
            if not self._money.still_fits():
                return None
            self._tally.retried += 1
            if problem.wait is not None:
                self._pace.pause(problem.wait)
            with stop.idle():
                await asyncio.sleep(seconds)
