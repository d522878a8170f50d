"""``radio report``: one page about runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from radio.commands.report import main
from radio.schema import InputError
from radio.transfer.gains import write
from radio.transfer.table import markdown
from tests.reporting.runs import config_of, corpus, told_run
from tests.reporting.test_transfer import crossed


def test_the_command_writes_the_page_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = told_run(tmp_path / "run", 20)
    page = tmp_path / "out" / "report.html"
    assert main([str(folder), "--output", str(page), "--questions", "5", "--draws", "200"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"5 questions, 0.1 MB: written to {page}"
    assert told[1].startswith("5 of 20 questions are here: 4 of the 4 on which")
    assert "their ids alone" in told[2]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    main([str(folder), "--output", str(page), "--corpus", str(corpus(tmp_path / "c", 20))])
    assert "ids alone" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "report.pdf"], "expected a file FILE.html"),
        (["--questions", "0"], "questions"),
        (["--measure", "nDCG5"], "did you mean nDCG@5"),
        (["--split", "validation"], "no results of validation"),
        (["--baseline", "nobody"], "none of that name"),
        (["--group", "a"], "expected NAME=RUN,RUN"),
        (["--transfer", "nowhere"], "nowhere: no such file; expected the folder of a matrix"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = told_run(tmp_path / "run")
    with pytest.raises(InputError, match=message):
        main([str(folder), *options])
    assert not list(tmp_path.glob("*.html"))


def test_runs_are_put_together_by_group(tmp_path: Path) -> None:
    for number, won in enumerate(((0, 1), (2,), (4, 5))):
        told_run(tmp_path / f"run-{number}", won=won, config={"model": number})
    page = tmp_path / "report.html"
    groups = ["--group", f"ours={tmp_path}/run-[01]", "--group", f"theirs={tmp_path}/run-2"]
    assert main([*groups, "--output", str(page), "--draws", "200"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "<bdi>ours, theirs</bdi></h1>" in text
    assert "<bdi>ours:tuned</bdi>" in text
    assert "ours: run-0 (seed 0), run-1 (seed 0)" in text
    with pytest.raises(InputError, match="found no run, expected some run folders"):
        main(["--output", str(page)])


def test_a_matrix_gets_a_section(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run")
    document = crossed("no key <b>")
    write(document, tmp_path / "m", markdown(document))
    page = tmp_path / "report.html"
    main([str(folder), "--output", str(page), "--draws", "200"])
    assert 'id="transfer"' not in page.read_text(encoding="utf-8")
    matrix = ["--transfer", str(tmp_path / "m")]
    main([str(folder), "--output", str(page), "--draws", "200", *matrix])
    text = page.read_text(encoding="utf-8")
    assert '<a href="#transfer">Transfer</a>' in text
    assert "<b>+50.0</b> <small>" in text
    assert text.count('aria-label="em on ') == text.count('aria-label="f1 on ') == 2
    assert "Failed: mine, better, h: no key &lt;b&gt;" in text


def test_it_imports_neither_torch_nor_lightning(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", config=config_of(corpus(tmp_path / "c.jsonl")))
    words = ["radio", "report", str(folder), "--output", str(tmp_path / "r.html")]
    code = (
        f"import sys; sys.argv = {words!r}; from radio.__main__ import main; status = main(); "
        "print(status, *[name for name in ('torch', 'lightning', 'transformers') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


@pytest.mark.slow
def test_a_thousand_questions_take_less_than_five_megabytes(tmp_path: Path) -> None:
    passages = corpus(tmp_path / "c.jsonl", 1000, text="Of lamp {n} and part {p}. " * 30)
    folder = told_run(tmp_path / "run", 1000, config=config_of(passages), won=range(0, 1000, 9))
    page = tmp_path / "report.html"
    main([str(folder), "--output", str(page), "--draws", "200"])
    assert 3e6 < page.stat().st_size < 5e6
