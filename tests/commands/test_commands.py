"""Commands beside those of Lightning: found by name, with a config and options of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.commands import COMMANDS, PARTS, Command
from tests.conftest import PATIENCE, read_jsonl
from tests.forked import Forked

Radio = Callable[..., tuple[int, str, str]]
MODULE = [sys.executable, "-m", "radio"]


def test_rationales_are_reported_and_reviewed_by_command(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    assert radio("prepare", *tiny_run)[0] == 0
    status, out, err = radio("rationales", "report", *tiny_run, "--split", "validation")
    assert status == 0, err
    page = tmp_path / "runs/tiny/rationales.html"
    assert str(page.relative_to(tmp_path)) in out
    assert "<html" in page.read_text()
    assert len(read_jsonl(page.with_suffix(".jsonl"))) == 2

    command = [*MODULE, "rationales", "review", *tiny_run, "--annotator", "ada", "--limit", "3"]
    reading, writing = os.pipe()
    process = Forked(command, cwd=tmp_path, stdout=writing)
    os.close(writing)
    said = os.fdopen(reading)
    line = next(line for line in said if line.startswith("review: "))
    url = line.split()[1]
    assert b"<!doctype html>" in urlopen(url).read()
    with pytest.raises(HTTPError, match="403"):
        urlopen(url.split("?")[0])
    process.send_signal(signal.SIGINT)
    assert "0 of 3 marked: runs/tiny/reviews/ada.jsonl" in said.read()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rationales"], "rationales: found nothing, expected report or review"),
        (["rationales", "revue"], "rationales: found revue, expected report or review"),
    ],
)
def test_an_unknown_command_about_rationales_is_answered(
    arguments: list[str], message: str, radio: Radio
) -> None:
    status, _, err = radio(*arguments)
    assert (status, err) == (2, f"radio: error: {message}\n")


OWN = """
from pathlib import Path

def hello(folder: Path, datamodule: "RationaleDataModule", name_of: str, times: int = 1) -> None:
    \"\"\"Greet.

    Args:
        name_of: whom.
        times: how often.
    \"\"\"
    print(f"hello {name_of} " * times, folder, len(datamodule.split_questions("train")))
"""


def test_a_command_is_a_function_in_one_file_and_a_line_in_the_table(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_command.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "say hello", Command("greet", "own_command:hello"))
    status, out, err = radio("say", "hello", *tiny_run, "--name_of", "Ada", "--times", "2")
    assert status == 0, err
    assert "hello Ada hello Ada  runs/tiny 12" in out
    status, _, err = radio("say", "hello", *tiny_run, "--name_of", "Ada", "--times", "two")
    assert (status, err) == (2, "radio: error: --times: found 'two', expected int\n")
    status, _, err = radio("say", "hello", *tiny_run, "--nameof", "Ada")
    assert status == 2
    assert "unknown option '--nameof'; did you mean '--name_of'?" in err
    assert radio("say")[2] == "radio: error: say: found nothing, expected hello\n"


def test_every_command_of_the_table_is_there() -> None:
    from radio.cli import RadioCLI
    from radio.trainer import RadioTrainer

    for name, command in COMMANDS.items():
        if command.function is None:
            assert name in RadioCLI.subcommands()
            assert callable(getattr(RadioTrainer, name))
        elif not command.own_parser:
            assert RadioCLI.subcommands()[name.replace(" ", "_")] == set(PARTS)
            assert (command.load().__doc__ or "").strip()
        assert len(name) < 19, "its column of radio --help"


def test_commands_are_imported_without_what_takes_seconds() -> None:
    code = (
        "import sys\nfrom radio.commands import COMMANDS\n"
        "for command in COMMANDS.values(): command.options()\n"
        "assert not {'torch', 'lightning', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
