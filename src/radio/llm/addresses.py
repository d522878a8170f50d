"""Addresses of servers: checked before they are used, and shown without secrets."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from radio.schema import InputError

IN_TEXT = re.compile(r"\w+://[^\s\"'<>()]+")
"""Addresses as they stand in a sentence."""


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
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        name = "base_url" if found != os.environ.get(variable) else variable
        # where its parts begin is not known: a password may hold anything
        shown = shown_address(re.sub(r"(^|://).*@", r"\1", found))
        example = f"http://{shown.rpartition('://')[2].lstrip('/') or 'localhost:8000/v1'}"
        raise InputError(
            f"{name}: found {shown!r}, expected an address with http:// or https://, such as "
            f"{example!r}"
        )
    return f"{parts.scheme}://{found.partition('://')[2]}".rstrip("/")


def shown_address(found: str) -> str:
    """An address for messages and files: without user, password and query, which may be secrets."""
    scheme, separator, rest = found.partition("://") if "://" in found else ("", "", found)
    rest = re.split("[?#]", rest, maxsplit=1)[0]
    server, slash, path = rest.partition("/")
    return f"{scheme}{separator}{server.rpartition('@')[2]}{slash}{path}"


def with_shown_addresses(text: str) -> str:
    """A text in which each address is as :func:`shown_address` shows it."""
    return IN_TEXT.sub(lambda found: shown_address(found[0]), text)
