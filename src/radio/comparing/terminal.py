"""A comparison on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from radio.comparing.choosing import Comparison
from radio.comparing.sheets import Sheet, remarks, sheets

GAP = 2
"""Blanks between columns."""


def show(comparison: Comparison) -> None:
    """Print the tables, and under them what is to be known; columns that the terminal is too narrow
    for stand in a further table."""
    from rich.console import Console

    width = Console().width
    for sheet in sheets(comparison):
        for part in fitting(sheet, width):
            print()
            for line in lines(part):
                print(line)
    print()
    for remark in remarks(comparison):
        print(textwrap.fill(printable(remark), width, subsequent_indent="  "))


def fitting(sheet: Sheet, width: int) -> list[Sheet]:
    """The table in parts, each as wide as the terminal at most, all with the names."""
    widths = _widths(sheet)
    parts: list[list[int]] = []
    used = 0
    for place in range(1, len(sheet.columns)):
        needed = GAP + widths[place]
        if not parts or used + needed > width:
            parts.append([0])
            used = widths[0]
        parts[-1].append(place)
        used += needed
    found = []
    for number, places in enumerate(parts):
        columns = [sheet.columns[place] for place in places]
        rows = [[row[place] for place in places] for row in sheet.rows]
        found.append(Sheet("" if number else sheet.title, columns, rows))
    return found


def lines(sheet: Sheet) -> list[str]:
    """The table: names to the left, numbers to the right."""
    widths = _widths(sheet)
    rule = "-" * (sum(widths) + GAP * (len(widths) - 1))
    found = [printable(sheet.title)] if sheet.title else []
    found += [_line(sheet.columns, widths), rule]
    found += [_line(row, widths) for row in sheet.rows]
    return found


def _widths(sheet: Sheet) -> list[int]:
    table = [sheet.columns, *sheet.rows]
    return [max(len(printable(cell)) for cell in column) for column in zip(*table, strict=True)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = map(printable, cells)
    parts = [first.ljust(widths[0])]
    parts += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return (" " * GAP).join(parts).rstrip()


def printable(text: str) -> str:
    """Text without what would move the cursor or turn its direction: names come from folders."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
