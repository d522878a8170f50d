"""What the rationale adds: ``python -m benchmarks.dissection``.

Natural Questions of ``../shared/data``: how each teacher orders the candidates of the first
training questions that have a rationale (``radio teachers report``), and what a reranker learns
from each of them, with three seeds (``radio fit``), measured on 200 dev questions. Teachers that
ask nobody are compared on 1,000 training questions too, and some of them teach those. Two
generators read: Qwen2.5-Coder-0.5B-Instruct and an extractive reader; one that a teacher has asked
is no judge of it, and marked as such. Rationales that belong to other questions show what losses
and weightings bear.

Each step prints its ``radio`` command and is kept in ``runs/dissection``: it may be killed at any
time, and goes on where it was. ``--steps`` does some of them. The tables go into
docs/teachers-figures.md, what they say into docs/teachers.md.

The language model is ``runs/models/qwen2.5-coder-0.5b-instruct`` (``../shared/tools/get-models``).
"""

from __future__ import annotations

import argparse

from benchmarks.dissection.runs import report, report_on_texts
from benchmarks.dissection.settings import LANGUAGE_MODEL, MORE_QUESTIONS, READER, TAUGHT_MORE
from benchmarks.dissection.tables import order_tables, student_tables, swapped_table
from benchmarks.pages import write_part
from benchmarks.results.settings import DATA, ROOT

PAGE = ROOT / "docs" / "teachers-figures.md"
STEPS = ("teachers", "texts", "students", "swapped")


def write(step: str, lines: list[str]) -> None:
    """Write the tables of a step."""
    write_part([PAGE], "benchmarks.dissection", step, lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=100, help="training questions")
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=list(STEPS))
    options = parser.parse_args()
    for path in (DATA, READER, LANGUAGE_MODEL):
        if not path.is_dir():
            raise SystemExit(f"{path} is not there: the dissection needs it")
    if "teachers" in options.steps:
        report(options.questions)
        write("teachers", order_tables(options.questions, "Orders of the teachers"))
    if "texts" in options.steps:
        report_on_texts(MORE_QUESTIONS)
        orders = order_tables(MORE_QUESTIONS, "Texts of the similarity")
        taught = student_tables(MORE_QUESTIONS, TAUGHT_MORE)
        write("texts", [*orders, "", *taught])
    if "students" in options.steps:
        write("students", student_tables(options.questions))
    if "swapped" in options.steps:
        write("swapped", swapped_table(options.questions))


if __name__ == "__main__":
    main()
