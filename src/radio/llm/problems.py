"""What the errors of a provider mean, in words for people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from radio.llm.addresses import shown_address, with_shown_addresses
from radio.llm.base import Reply

UNREADABLE = 2
"""Further tries of a request whose answer could not be read."""

WRONG_SHAPE = (ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What reading an answer of another shape raises."""

QUOTA = (
    "insufficient_quota",
    "billing",
    "credit balance",
    "exceeded your current quota",
    "spend limit",
)
"""How providers name an account that is used up."""


BROKEN = {"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"}
"""What aiohttp calls a connection that broke."""


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
    """It has answered, with something else than was expected."""
    may_cost: bool = False
    """The server may have taken money for it: it did not say that it has no answer."""
    usage: Mapping[str, int] | None = None
    """Tokens of an answer that could not be read, where they are known."""


class UnreadableError(ValueError):
    """An answer without what it should have.

    Args:
        message: what was found.
        usage: its tokens, where they are known.
    """

    def __init__(self, message: str, usage: Mapping[str, int] | None) -> None:
        super().__init__(message)
        self.usage = usage


class Problems:
    """Reads the exceptions of an SDK, and of looking into its answers.

    Args:
        sdk: the provider's package.
        url: address of the server, or what stands for it in messages; secrets in it are not said.
        model: its name.
        key_name: the environment variable that holds the key.
        timeout: seconds that a request may take.
    """

    def __init__(
        self, sdk: ModuleType, url: str, model: str, key_name: str, timeout: float
    ) -> None:
        self._sdk = sdk
        self._url = shown_address(url)
        self._model = model
        self._key_name = key_name
        self._timeout = timeout

    @property
    def expected(self) -> tuple[type[Exception], ...]:
        """What a request may raise, and the reading of its answer."""
        return (self._sdk.APIError, OSError, *WRONG_SHAPE)

    def is_refusal(self, error: Exception) -> bool:
        """Whether the server has answered, and said no."""
        return isinstance(error, self._sdk.APIStatusError)

    def is_missing(self, error: Exception) -> bool:
        """Whether the server says that it has no such thing."""
        return isinstance(error, self._sdk.NotFoundError)

    def read(self, error: Exception) -> Problem:
        """What one of these exceptions means."""
        causes = list(_causes(error))
        names = {type(cause).__name__ for cause in causes}
        # before what the SDK makes of it: a ConnectTimeout, as if nobody had been there
        if names & BROKEN:
            return self._broken(causes)
        if any(map(_is_no_connection, names)):
            reason = str(causes[-1]) or type(causes[-1]).__name__
            message = self.clean(f"cannot reach {self._url} ({reason})")
            return Problem(message, retry=True, unreachable=True, patience=1)
        if isinstance(error, TimeoutError | self._sdk.APITimeoutError):
            message = f"no answer within {self._timeout:g} s from {self._url}"
            return Problem(message, retry=True, patience=1, may_cost=True)
        if isinstance(error, self._sdk.APIConnectionError):
            return self._broken(causes)
        if isinstance(error, self._sdk.APIStatusError):
            return self._of_status(error)
        said = str(error) or type(error).__name__
        message = self.clean(f"unreadable answer from {self._url}: {said}")
        usage = error.usage if isinstance(error, UnreadableError) else None
        return Problem(
            message,
            retry=True,
            unreadable=True,
            patience=UNREADABLE,
            may_cost=True,
            usage=usage,
        )

    def _broken(self, causes: Sequence[BaseException]) -> Problem:
        message = self.clean(f"the connection to {self._url} broke ({causes[-1]})")
        return Problem(message, retry=True, patience=3, may_cost=True)

    def _of_status(self, error: Any) -> Problem:
        url, status = self._url, error.status_code
        body = error.body if isinstance(error.body, dict) else {}
        inner: Mapping[str, Any] = body["error"] if isinstance(body.get("error"), dict) else body
        said = self.clean(str(inner.get("message") or error.message))
        code = " ".join(str(inner.get(name, "")) for name in ("type", "code"))
        is_empty = status == 402 or any(word in f"{code} {said}".lower() for word in QUOTA)
        if status in (401, 403):
            message = f"{url} refused the key in {self._key_name} ({status}: {said})"
            return Problem(message, fatal=True)
        if status == 404:
            message = f"{url} knows no model {self._model!r}, or no such address (404: {said})"
            return Problem(message, fatal=True)
        if is_empty and status in (400, 402, 403, 429):
            message = f"the account at {url} has no money or quota left ({status}: {said})"
            return Problem(message, fatal=True)
        message = f"{url}: {status}: {said}"
        if status in (408, 409, 429) or status >= 500:
            # a server that only ever fails is down; one that is asked too often says so for as long
            # as it takes
            patience = 8 if status == 429 else 5
            wait = _retry_after(error.response.headers)
            return Problem(message, retry=True, wait=wait, patience=patience)
        # this question's own, such as a prompt that is too long; many in a row end the run
        # (radio.llm.tally.HOPELESS)
        return Problem(message)

    def clean(self, message: str) -> str:
        """One line without the key, which some servers repeat, and without secrets in addresses."""
        key = os.environ.get(self._key_name)
        message = " ".join(message.split())
        if key:
            message = message.replace(key, "***")
        return with_shown_addresses(message)[:500]


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


def read_whole(
    answer: Any,
    read: Callable[[Any], Reply],
    usage: Callable[[Any], Mapping[str, int]],
) -> Reply:
    """What ``read`` makes of an answer of the SDK.

    Raises:
        UnreadableError: it cannot, with what ``usage`` finds.
    """
    try:
        return read(answer)
    except WRONG_SHAPE as error:
        found: Mapping[str, int] | None = None
        with suppress(*WRONG_SHAPE):
            found = usage(answer) or None
        raise UnreadableError(str(error) or type(error).__name__, found) from None


def _is_no_connection(name: str) -> bool:
    # the transports name their exception differently; none of them got a connection at all
    return "Connect" in name and "Connection" not in name


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
