"""The rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        what: was measured.
        found: the number as text.
        aim: as text; empty if there is none.
        reached: None where there is no aim.
        detail: settings, and what it is compared with.
    """

    what: str
    found: str
    aim: str = ""
    reached: bool | None = None
    detail: str = ""


def at_least(what: str, found: float, aim: float, unit: str, detail: str) -> Row:
    return Row(what, f"{found:.2f} {unit}", f">= {aim:g} {unit}", found >= aim, detail)


def at_most(what: str, found: float, aim: float, detail: str) -> Row:
    return Row(what, f"{found:.1e}", f"<= {aim:.0e}", found <= aim, detail)


def not_run(what: str, why: str) -> Row:
    """A row that is missing is said, not left out; it counts as an aim that was not reached."""
    return Row(what, "not run", reached=False, detail=why)


def table(rows: Sequence[Row]) -> str:
    """As markdown."""
    marks = {True: "yes", False: "**no**", None: "-"}
    lines = ["| what | found | aim | reached | how |", "|---|---|---|---|---|"]
    for row in rows:
        aim, detail = row.aim or "-", row.detail.replace("|", "/").replace("\n", " ")
        lines.append(f"| {row.what} | {row.found} | {aim} | {marks[row.reached]} | {detail} |")
    return "\n".join(lines)
