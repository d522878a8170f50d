"""Where the files of a model are, and a file in the place of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.rerankers import CrossEncoder
from radio.schema import InputError


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("x")
    with pytest.raises(InputError, match="found a file, expected the folder of a model"):
        CrossEncoder(str(path)).configure_model()
