"""A part of a page is written between its marks, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pages import MARK, write_part


def test_a_part_is_written_between_its_marks_on_the_page_that_has_them(tmp_path: Path) -> None:
    begin, end = (MARK.format(what="trials", end=end, who="me") for end in ("begins", "ends"))
    pages = tmp_path / "results.md", tmp_path / "trials.md"
    pages[0].write_text("nothing\n")
    pages[1].write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    for lines in (["new", "", "| a |"], ["newer"]):
        write_part(pages, "me", "trials", lines)
        assert pages[0].read_text() == "nothing\n"
        told = "\n".join(lines)
        assert pages[1].read_text() == f"before\n{begin}\n\n{told}\n\n{end}\nafter\n"


def test_marks_of_another_benchmark_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- trials begins by you -->\nold\n<!-- trials ends by you -->\n")
    write_part([page], "me", "trials", ["new"])
    assert "old" in page.read_text()
    assert f"written nowhere: no page of {page} has" in capsys.readouterr().out
