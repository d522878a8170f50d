"""How the code reads, in numbers: a thermometer, not limits (``python -m benchmarks.style [FOLDER
...]``).

Code lines are lines without blanks, comments and docstrings. The figures are those of the survey
that this project was compared with seven others by: comprehensions and comments a hundred code
lines, lines over 100 columns, lengths of functions and files, the commonest local names, and how
many arguments are typed ``Any``.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src/radio", "data_modules")
WIDE = 100
"""Columns above which a line counts as long."""
LONG = 400
"""Lines above which a file counts as long."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Figures:
    """What was counted in some files."""

    files: int = 0
    lines: int = 0
    code_lines: int = 0
    wide_lines: int = 0
    comments: int = 0
    comprehensions: int = 0
    nested_comprehensions: int = 0
    arguments: int = 0
    any_arguments: int = 0
    function_lengths: list[int] = field(default_factory=list)
    long_files: list[str] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)


def measure(paths: Sequence[Path]) -> Figures:
    """Count in these files."""
    figures = Figures()
    for path in paths:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        code, comments = code_lines_of(text, tree)
        figures.files += 1
        figures.lines += len(lines)
        figures.code_lines += len(code)
        figures.comments += comments
        figures.wide_lines += sum(len(line) > WIDE for line in lines)
        if len(lines) > LONG:
            figures.long_files.append(f"{path} ({len(lines)})")
        count_nodes(tree, code, figures)
    return figures


def code_lines_of(text: str, tree: ast.Module) -> tuple[set[int], int]:
    """Numbers of the lines that hold code, and how many comments stand in the file."""
    code: set[int] = set()
    comments = 0
    no_code = {
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.COMMENT,
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += 1
        if token.type not in no_code:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        # docstrings, of attributes too
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return code, comments


def count_nodes(tree: ast.Module, code: set[int], figures: Figures) -> None:
    """Count functions, arguments, comprehensions and names of a file."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            body = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            figures.function_lengths.append(sum(line in code for line in body))
            for argument in arguments_of(node):
                figures.arguments += 1
                figures.any_arguments += is_any(argument.annotation)
        elif isinstance(node, COMPREHENSIONS):
            figures.comprehensions += 1
            inner = [child for child in ast.walk(node) if isinstance(child, COMPREHENSIONS)]
            figures.nested_comprehensions += len(inner) > 1
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            figures.names[node.id] += 1


def arguments_of(function: Function) -> Iterator[ast.arg]:
    """Arguments that can be given, without ``self`` and ``cls``; ``**kwargs`` are passed on as they
    are."""
    found = function.args
    for argument in (*found.posonlyargs, *found.args, *found.kwonlyargs):
        if argument.arg not in ("self", "cls"):
            yield argument


def is_any(annotation: ast.expr | None) -> bool:
    """Whether an argument is typed ``Any`` and nothing else."""
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def show(figures: Figures) -> None:
    """Print the figures, one a line."""
    lengths = sorted(figures.function_lengths)
    hundred = figures.code_lines / 100
    common = ", ".join(f"{name} {count}" for name, count in figures.names.most_common(12))
    print(f"files: {figures.files}, {figures.code_lines:,} code lines of {figures.lines:,}")
    print(
        f"functions: {len(lengths)}, median {statistics.median(lengths):.0f} lines, longest "
        f"{lengths[-1]}"
    )
    print(f"comprehensions per 100 code lines: {figures.comprehensions / hundred:.1f}")
    print(f"  of them around another one: {figures.nested_comprehensions}")
    print(f"comments per 100 code lines: {figures.comments / hundred:.1f}")
    print(f"lines over {WIDE} columns: {100 * figures.wide_lines / figures.lines:.1f} %")
    share = 100 * figures.any_arguments / figures.arguments
    print(f"arguments typed Any: {figures.any_arguments} of {figures.arguments} ({share:.1f} %)")
    print(f"commonest names: {common}")
    print(f"files over {LONG} lines: {', '.join(figures.long_files) or 'none'}")


def main(folders: Sequence[str]) -> None:
    """Measure folders, by default those of the two packages."""
    paths = []
    for folder in folders or FOLDERS:
        paths += sorted((ROOT / folder).rglob("*.py"))
    show(measure(paths))


if __name__ == "__main__":
    main(sys.argv[1:])
