"""What is put into a page stays text."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from radio.pages import content_hash, inert_json, template


def filled(folder: Path, text: str, **values: object) -> str:
    (folder / "page.html").write_text(text, encoding="utf-8")
    return template([folder], "page.html").render(**values)


def test_what_is_put_in_is_escaped(tmp_path: Path) -> None:
    page = filled(tmp_path, '<p title="{{ x }}">{{ x }}</p>', x="\"><script>alert('x')</script>&")
    assert page.count("<") == 2
    assert '"&#34;&gt;&lt;script' in page


def test_controls_that_turn_the_text_are_named(tmp_path: Path) -> None:
    page = filled(tmp_path, "{{ x }}", x="a\u202egnp.exe \u0645\u0631\u062d\u0628\u0627")
    assert page == "a[U+202E]gnp.exe \u0645\u0631\u062d\u0628\u0627"


def test_what_a_page_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        filled(tmp_path, "{{ x }}")


def test_a_block_of_json_cannot_be_ended() -> None:
    value = {"</script><!--": ["<script>", "a & b", "line\u2028paragraph\u2029", 1.5, None]}
    text = inert_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_a_number_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        inert_json([float("nan")])


def test_the_hash_is_that_of_the_policy() -> None:
    digest = base64.b64encode(hashlib.sha256("a \u00e4\n".encode()).digest()).decode()
    assert content_hash("a \u00e4\n") == f"'sha256-{digest}'"
