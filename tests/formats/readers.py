"""What the tests of formats share: the readers, and rows that they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.formats import (
    read_candidates,
    read_passages,
    read_questions,
    read_rationales,
    read_run,
)
from radio.schema import InputError

QUESTION = '{"id": "q1", "question": "Who?", "golden_answers": ["Ada"]}'


CANDIDATES = '{"id": "q1", "candidates": [{"id": "p1", "score": 2.0}, %s]}'


Reader = Callable[[str | Path], Any]


READERS = [read_questions, read_passages, read_rationales, read_candidates, read_run]


every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


def message(reader: Reader, path: Path) -> str:
    with pytest.raises(InputError) as error:
        reader(path)
    return str(error.value)
