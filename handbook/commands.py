"""The commands and their options, from the commands themselves."""

from __future__ import annotations

import contextlib
import inspect
import io
import re

import docstring_parser

from handbook.rewriting import without_roles
from radio.__main__ import HELP
from radio.commands import COMMANDS, PARTS, Command

INTRODUCTION = """# Commands

`radio COMMAND --help` says the same in the terminal. Commands with a config take `--config`,
`--name`, `--overwrite` and any key of the [configuration](configuration/index.md) beside their own
options.

"""


def pages() -> dict[str, str]:
    """The page of all commands."""
    parts = []
    for name, command in COMMANDS.items():
        parts += [f"## radio {name}", f"{command.about[0].upper()}{command.about[1:]}."]
        if command.own_parser:
            parts.append(f"```text\n{help_of(command)}\n```")
        elif options := options_of(command):
            rows = ["| option | default | what |", "|---|---|---|", *options]
            parts.append("\n".join(rows))
    options = HELP.partition("options:\n")[2].partition("\n\n")[0]
    common = f"## Options of all commands with a config\n\n```text\n{_wrapped(options)}\n```\n"
    return {"commands.md": INTRODUCTION + "\n\n".join(parts) + "\n\n" + common}


def _wrapped(options: str) -> str:
    return "\n".join(line[2:] if line.startswith("  ") else line for line in options.splitlines())


def help_of(command: Command) -> str:
    """What ``--help`` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        command.load()(["--help"])
    return printed.getvalue().strip()


def options_of(command: Command) -> list[str]:
    """Rows of a table: the options that the command has beside those of all."""
    if command.function is None:
        return []
    function = command.load()
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    about = {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in PARTS:
            text = re.sub(r"\|", r"\\|", without_roles(about.get(name, "")))
            rows.append(f"| `--{name}` | `{parameter.default}` | {text} |")
    return rows
