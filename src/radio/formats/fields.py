"""Values of a row by key, checked; errors name place, key, what was found and expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radio.lines import NAMES, broken_character, kind_of
from radio.schema import InputError


def take(row: Mapping[str, Any], place: str, key: str, kind: type, default: object = ...) -> Any:
    """Value of ``key`` after a type check; a missing key is an error unless a default is given."""
    value = row.get(key)
    if value is None:
        if default is not ...:
            return default
        found = "null" if key in row else f"only the keys {', '.join(map(repr, row)) or '(none)'}"
        raise InputError(f"{place}: key {key!r} is missing: found {found}, expected {NAMES[kind]}")
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InputError(
            f"{place}: key {key!r}: found {kind_of(value)} ({str(value)[:60]!r}), expected "
            f"{NAMES[kind]}"
        )
    if isinstance(value, str):
        check_text(value, place, key)
    return value


def check_text(value: str, place: str, key: str) -> None:
    """Refuse half of a surrogate pair, as a cut text ends: it cannot be hashed or written."""
    if problem := broken_character(value):
        raise InputError(
            f"{place}: key {key!r}: found a broken character ({problem}), expected valid Unicode"
        )


def take_id(row: Mapping[str, Any], place: str, key: str = "id") -> str:
    """The id of a row; a whole number is taken as its digits.

    Raises:
        InputError: it is missing, empty, or has white space.
    """
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text: str = take(row, place, key, str)
    if not text or text.split() != [text]:
        raise InputError(
            f"{place}: key {key!r}: found {text!r}, expected a non-empty string without white space"
        )
    return text


def take_strings(row: Mapping[str, Any], place: str, key: str) -> tuple[str, ...]:
    """A list of strings; empty where the key is missing.

    Raises:
        InputError: it is no list, or something in it is no string.
    """
    values = take(row, place, key, list, default=[])
    for value in values:
        if not isinstance(value, str):
            raise InputError(
                f"{place}: key {key!r}: found {kind_of(value)} in the list, expected strings only"
            )
        check_text(value, place, key)
    return tuple(values)
