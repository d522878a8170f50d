"""Config files as they are read: dotted keys, encodings, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from radio.config.files import read_config
from radio.schema import InputError


def plain(value: Any) -> Any:
    """Without the marks of where values came from."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return str(value) if isinstance(value, str) else value


def tree(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    return plain(read_config(str(path)).tree)


def test_a_byte_order_mark_is_just_read(tmp_path: Path) -> None:
    assert tree(tmp_path / "bom.yaml", "\ufeffname: windows\n") == {"name": "windows"}


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "found an empty file"),
    "comments": (b"# nothing\n", "found an empty file"),
    "list": (b"- a\n- b\n", "found a list"),
    "text": (b"hello\n", "found the text 'hello'"),
    "syntax": (b"model: [\n", "broken.yaml:2: not valid YAML"),
    "twice": (b"name: a\nseed_everything: 1\nname: b\n", "line 3: key 'name' stands twice"),
    "binary": (b"name: \x00\x01\n", "found a binary file"),
    "latin": (b"a: 1\nname: caf\xe9\n", "broken.yaml:2: byte 0xe9 is not UTF-8"),
    "utf16": ("name: a".encode("utf-16"), "found UTF-16, expected UTF-8"),
    "brackets": (b"[" * 200_000, "nested too deeply"),
    "objects": (b'{"a":' * 200_000, "nested too deeply"),
    "dots": (b'{"a..b": 1}', "found an empty part between dots"),
    "number": (b"1: 2\n", "found 1 as a key"),
    "both": (b'{"a": null, "a.b": 1}', "found null and also keys below it"),
    "other both": (b'{"a.b": 1, "a": null}', "found null and also keys below it"),
    "scalar": (b'{"a": 3, "a.b": 1}', "found 3 and also keys below it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_config_file_that_is_none_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, message = BROKEN[name]
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_config(str(path))
    assert message in str(caught.value)
    assert "broken.yaml" in str(caught.value)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "real.yaml").write_text("name: a\n")
    for name, message in [
        ("pipe", "found a pipe or device"),
        ("folder", "found a folder"),
        ("absent.yaml", "no such file"),
        ("real", f"did you mean {tmp_path}/real.yaml?"),
        ("x" * 300, "cannot be read"),
    ]:
        with pytest.raises(InputError, match="--config") as caught:
            read_config(str(tmp_path / name))
        assert message in str(caught.value)
