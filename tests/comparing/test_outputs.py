"""A comparison as JSON, CSV, Markdown and LaTeX: the same numbers, and names that mean nothing to
these formats."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from radio.comparing.choosing import Comparison, compare_runs
from radio.comparing.outputs import as_csv, as_json, as_latex, as_markdown, check_output, write
from radio.comparing.sheets import sheets
from radio.schema import InputError
from tests.comparing.runs import seeded, write_run

UNTRUSTED = "=a|b_c%$&#{x}~^\\<script>*[l](j)\u202e"


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare_runs(seeded(tmp_path), draws=300)


@pytest.fixture
def hostile(tmp_path: Path) -> Comparison:
    numbers = {"base": {UNTRUSTED: [1, 0]}, UNTRUSTED: {UNTRUSTED: [1, 1]}}
    return compare_runs([write_run(tmp_path / "one", numbers)], draws=200)


def test_json_has_all_that_was_found(comparison: Comparison) -> None:
    found = json.loads(as_json(comparison))
    assert (found["baseline"], found["measures"], found["draws"]) == (
        "base",
        ["em@1", "nDCG@5"],
        300,
    )
    assert found["family"] == {"em@1": 2, "nDCG@5": 2}
    assert [run["seed"] for run in found["runs"]] == [1, 2, 3]
    assert {run["group"] for run in found["runs"]} == {"ours"}
    assert found["systems"]["tuned"] == {"system": "tuned", "groups": ["ours"], "seeds": 3}
    mean = comparison.figures.means["em@1"]["tuned"]
    assert found["means"]["em@1"]["tuned"]["by_seed"] == list(mean.by_seed)
    difference = comparison.figures.differences["em@1"]["tuned"]
    assert found["differences"]["em@1"]["tuned"] == vars(difference)
    assert len(found["remarks"]) >= 3


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    numbers = {"base": {"em": [1, 0]}, "tuned": {"em": [1, 0]}}
    same = compare_runs([write_run(tmp_path / "one", numbers)], draws=200)
    assert json.loads(as_json(same))["differences"]["em"]["tuned"]["effect"] is None


def test_csv_has_a_line_for_each_measure_and_system(comparison: Comparison) -> None:
    rows = list(csv.DictReader(as_csv(comparison).splitlines()))
    assert [(row["measure"], row["system"]) for row in rows] == [
        (measure, system)
        for measure in ("em@1", "nDCG@5")
        for system in ("retriever", "base", "tuned")
    ]
    tuned, base = rows[2], rows[1]
    found = comparison.figures.differences["em@1"]["tuned"]
    assert float(tuned["difference"]) == found.difference
    assert float(tuned["p_holm"]) == found.p_holm
    assert (tuned["won"], tuned["family"], tuned["seeds"]) == (str(found.won), "2", "3")
    assert base["difference"] == ""
    by_seed = comparison.figures.means["em@1"]["tuned"].by_seed
    assert (float(tuned["lowest_seed"]), float(tuned["highest_seed"])) == (
        min(by_seed),
        max(by_seed),
    )


def test_markdown_has_the_cells_of_the_tables(comparison: Comparison) -> None:
    lines = as_markdown(comparison).splitlines()
    tables = sheets(comparison)
    assert len([line for line in lines if line.startswith("|")]) == sum(
        len(sheet.rows) + 2 for sheet in tables
    )
    # what is escaped is read as it was
    cells = [cell.strip() for cell in re.sub(r"\\(.)", r"\1", lines[6]).strip("|").split("|")]
    assert cells == list(tables[0].rows[2])


def test_latex_has_the_cells_of_the_tables(comparison: Comparison) -> None:
    text = as_latex(comparison)
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    (row,) = [line for line in text.splitlines() if line.startswith("{tuned}")][:1]
    cells = re.findall(r"\{(.*?)\}(?: &| \\\\)", row)
    plain = [cell.replace("$-$", "-") for cell in cells]
    assert plain == list(sheets(comparison)[0].rows[2])
    assert r"{d\_z}" in text
    assert text.count(r"\begin{tabular}{lrrrrrrr}") == 1


def test_names_mean_nothing_to_the_formats(hostile: Comparison) -> None:
    assert json.loads(as_json(hostile))["measures"] == [UNTRUSTED]
    rows = list(csv.DictReader(as_csv(hostile).splitlines()))
    assert {row["measure"] for row in rows} == {f"'{UNTRUSTED}"}
    markdown = as_markdown(hostile)
    assert "<script>" not in markdown.replace(r"\<", "")
    assert not re.search(r"(?<!\\)[<\[*]", markdown.replace("**", ""))
    assert all(len(re.findall(r"(?<!\\)\|", line)) in (0, 8) for line in markdown.splitlines())
    latex = as_latex(hostile).partition("\n% ")[0]
    assert (
        r"=a\textbar{}b\_c\%\$\&\#\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
        r"\textless{}script\textgreater{}*[l](j)?" in latex
    )
    assert "\u202e" not in markdown + latex


def compiled(latex: str, folder: Path) -> str:
    """What pdfLaTeX says of a table in a document; skips the test where it is not there."""
    program, finder = shutil.which("pdflatex"), shutil.which("kpsewhich")
    if not program or not finder:
        pytest.skip("no pdflatex: apt-get install texlive-latex-recommended")
    there = subprocess.run([finder, "booktabs.sty"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip("booktabs.sty is not there: apt-get install texlive-latex-recommended")
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (folder / "table.tex").write_text(f"{head}{latex}\\end{{document}}\n", encoding="utf-8")
    words = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "table.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    said = done.stdout.decode("latin-1")
    assert done.returncode == 0, said[-2000:]
    assert (folder / "table.pdf").read_bytes().startswith(b"%PDF")
    return said


def test_latex_compiles(comparison: Comparison, hostile: Comparison, tmp_path: Path) -> None:
    for name, found in (("plain", comparison), ("hostile", hostile)):
        folder = tmp_path / f"latex-{name}"
        folder.mkdir()
        said = compiled(as_latex(found), folder)
        assert "Missing character" not in said
        assert "Output written on table.pdf" in said


def test_a_file_is_of_the_kind_that_its_name_says(comparison: Comparison, tmp_path: Path) -> None:
    for ending, made in (
        (".json", as_json),
        (".csv", as_csv),
        (".md", as_markdown),
        (".TEX", as_latex),
    ):
        path = tmp_path / "out" / f"table{ending}"
        write(comparison, path)
        assert path.read_text(encoding="utf-8") == made(comparison)
    with pytest.raises(
        InputError, match=r"--output table.xlsx: found the ending '.xlsx', expected"
    ):
        check_output(Path("table.xlsx"))
    with pytest.raises(InputError, match="cannot be written"):
        write(comparison, tmp_path / "ours-1/config.yaml/table.md")
