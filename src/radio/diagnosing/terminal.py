"""A diagnosis on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from radio.comparing.sheets import Sheet
from radio.comparing.terminal import fitting, lines, printable
from radio.reporting.diagnosis import diagnosed, said


def show(document: Mapping[str, Any]) -> None:
    """Print the tables, and under each what is to be known of it."""
    from rich.console import Console

    width = Console().width
    for group in diagnosed(document):
        for part in group.parts:
            sheet = Sheet(f"{part.title}", part.columns, [row.cells for row in part.rows])
            for piece in fitting(sheet, width):
                print()
                for line in lines(piece):
                    print(line)
            for note in part.notes:
                print(textwrap.fill(printable(note), width, subsequent_indent="  "))
    print()
    for line in said(document):
        print(textwrap.fill(printable(line), width, subsequent_indent="  "))
