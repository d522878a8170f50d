"""Help and plain mistakes: answered before anything is imported that takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = """
import sys
from radio.__main__ import main
try:
    status = main()
except SystemExit as stop:
    status = stop.code
found = {"torch", "lightning", "transformers"} & set(sys.modules)
sys.exit(f"heavy import: {found}" if found else status)
"""


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--help"], 0, "radio fit --config"),
        (["fitt"], 2, "did you mean 'fit'"),
        (["fit", "--modle.init_args.lr", "1"], 2, "did you mean '--model'"),
    ],
)
def test_help_and_plain_mistakes_are_answered_at_once(
    arguments: list[str], status: int, expected: str
) -> None:
    # at once: before anything is imported that takes seconds
    done = subprocess.run([sys.executable, "-c", HEAVY, *arguments], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert expected in done.stdout + done.stderr
    assert status == 0 or len(done.stderr.splitlines()) == 1
