"""What is shown to others without what may be a secret: configs, command lines, addresses.

It is told by the name of a key or by its place in an address. A value that is a secret under a name
which does not say so is shown: what is secret belongs into the environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

LEFT_OUT = "(left out)"

ANYWHERE = re.compile(
    r"api_?keys?|(access|private|secret|signing|encryption|account|auth|ssh|client|master)_?keys?"
    r"|secret|passw|passphrase|credential|bearer|authori[sz]ation|(api|auth|access|refresh)_?tokens?"
)
"""What is in the name of a secret."""

AT_THE_END = re.compile(r"(^|_)(auth|pwd|jwt|cookies?|token)$|^pass$")
"""What is the last word of one: author, max_tokens and tokenizer are none."""

OF_A_MODEL = re.compile(
    r"(^|_)(pad|padding|eos|bos|sep|separator|cls|class|unk|mask|image|audio|special|control|marker"
    r"|start|end|stop|begin|first|last|next|prefix|suffix|extra|new|dummy|per|each|yes|no|true|false"
    r"|query|question|document|doc|passage|prompt|answer|target)_token$"
)
"""Tokens of a vocabulary."""

WHERE_IT_IS = re.compile(r"_(name|env|environment|var|variable|file|path|type)$")
"""Ends of names that say where a secret is kept, or of which kind it is."""

IN_AN_ADDRESS = re.compile(r"(key|sig|auth|pw|pass|(.*[_-])?signature)", re.IGNORECASE)
"""Names that are those of secrets after the ? of an address alone."""

# each begins where a word does, and gives nothing back: else a long word takes a minute
USER = re.compile(r"(?<![\w+.-])([\w+.-]++://)[^/?#\s\"'<>]+@")
PAIR = re.compile(rf"([?&;#]?)(?<![\w.-])([\w.-]++)=(?!{re.escape(LEFT_OUT)})([^&;#\s\"'<>]+)")
"""``name=value``, in an address or a line of settings."""

QUOTED = re.compile(
    r"""(["'])([\w.-]+)\1(\s*:\s*)("[^"]*"|'[^']*'|\[[^\]]*\]|\{[^}]*\}|[^\s,}\]]+)"""
)
"""``'name': value``, as Python and JSON write it."""

HEADER = re.compile(
    rf"\b((?:proxy-)?authorization|x-api-key|api-key)(\s*:\s*)(?!{re.escape(LEFT_OUT)})"
    r"((?:(?:bearer|basic|token)\s+)?[^\s\"'<>,}\]]+)",
    re.IGNORECASE,
)
"""``Authorization: Bearer value``."""


def is_secret(key: object) -> bool:
    """Whether a key is the name of a secret; one with dots, if a part of it is."""
    return any(_names_a_secret(part) for part in str(key).split("."))


def _names_a_secret(part: str) -> bool:
    # apiKey, API-KEY and api_key are one
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    if WHERE_IT_IS.search(name) or OF_A_MODEL.search(name):
        return False
    return bool(ANYWHERE.search(name) or AT_THE_END.search(name))


def plain(value: Any) -> Any:
    """A config for other eyes: what stands under the name of a secret is left out, whatever it is,
    and so is what is secret in an address. None and booleans stay."""
    if isinstance(value, Mapping):
        return {
            plain(key): LEFT_OUT if is_secret(key) and _says_something(item) else plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return plain_text(value) if isinstance(value, str) else value


def _says_something(value: object) -> bool:
    return value is not None and not isinstance(value, bool)


def plain_text(text: str) -> str:
    """A text for other eyes: user and password of each address in it are left out, and values that
    stand behind the name of a secret."""
    text = USER.sub(rf"\1{LEFT_OUT}@", text)
    text = HEADER.sub(rf"\1\2{LEFT_OUT}", text)
    text = QUOTED.sub(_plain_entry, text)
    return PAIR.sub(_plain_pair, text)


def _plain_entry(found: re.Match[str]) -> str:
    quote, name, colon, value = found.groups()
    if not is_secret(name) or value in ("None", "null", "True", "true", "False", "false"):
        return found[0]
    return f"{quote}{name}{quote}{colon}{quote}{LEFT_OUT}{quote}"


def _plain_pair(found: re.Match[str]) -> str:
    before, name, _ = found.groups()
    in_an_address = bool(before and IN_AN_ADDRESS.fullmatch(name))
    return f"{before}{name}={LEFT_OUT}" if in_an_address or is_secret(name) else found[0]


def plain_words(words: Sequence[str]) -> list[str]:
    """A command line for other eyes, see :func:`plain`."""
    found, option = [], ""
    for word in words:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            found.append(f"{option}={_plain_value(option, value)}" if equals else word)
        else:
            found.append(_plain_value(option, word))
            option = ""
    return found


def _plain_value(option: str, value: str) -> str:
    """The value of an option; one of several keys is looked into."""
    if is_secret(option):
        return LEFT_OUT
    try:
        loaded = yaml.safe_load(value)
    except yaml.YAMLError:
        loaded = value
    if isinstance(loaded, dict | list):
        cleaned = plain(loaded)
        return value if cleaned == loaded else json.dumps(cleaned, default=str)
    return plain_text(value)


def secrets_in(value: Any, place: str = "") -> Iterator[str]:
    """The keys of a config whose values :func:`plain` shows otherwise."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{place}.{key}" if place else str(key)
            if is_secret(key) and _says_something(item):
                yield below
            else:
                yield from secrets_in(item, below)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from secrets_in(item, f"{place}.{number}")
    elif isinstance(value, str) and plain_text(value) != value:
        yield place
