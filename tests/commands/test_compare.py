"""``radio compare``: a table of real run folders, files of it, and mistakes in one line each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.comparing.runs import questions, seeded, write_run
from tests.test_cli import Radio


def test_seeds_side_by_side_with_files_of_all_kinds(radio: Radio, tmp_path: Path) -> None:
    folders = [str(folder) for folder in seeded(tmp_path / "runs")]
    status, out, err = radio(
        "compare",
        *folders,
        *("--draws", "300", "--output", "table.json", "--output", "table.tex"),
    )
    assert (status, err) == (0, "")
    assert "em@1, in % [95 % interval], of a dataset, test: 40 questions" in out
    assert "2 comparisons with base by em@1" in out
    assert out.endswith("written to table.json\nwritten to table.tex\n")
    assert json.loads(Path("table.json").read_text())["systems"]["tuned"]["seeds"] == 3
    assert "toprule" in Path("table.tex").read_text()


def test_options_choose_what_is_compared(radio: Radio, tmp_path: Path) -> None:
    seeded(tmp_path / "runs")
    seeded(tmp_path / "runs", name="theirs", gain=0.1)
    status, out, err = radio(
        *("compare", "--group", "a=runs/ours-*", "--group", "b=runs/theirs-1,runs/theirs-2"),
        *("--baseline", "a:tuned", "--systems", "tuned", "--measure", "nDCG@5", "--measures", "em"),
        *("--draws", "200", "--output", "table.json", "--split", "test"),
    )
    assert (status, err) == (0, "")
    found = json.loads(Path("table.json").read_text())
    assert {name: system["seeds"] for name, system in found["systems"].items()} == {
        "a:tuned": 3,
        "b:tuned": 2,
    }
    assert (found["baseline"], found["measures"]) == ("a:tuned", ["nDCG@5", "em@1"])
    assert "theirs-3" not in out


def test_what_differs_is_compared_in_common_when_asked(radio: Radio, tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        numbers = {"base": {"em": [1, 0, 1]}, "tuned": {"em": [1, 1, 1]}}
        asked = questions(3, first=number)
        write_run(tmp_path / name, numbers, asked=asked, config={"model": name})
    status, out, err = radio("compare", "one", "two")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "--common compares the 2 that are the same" in err
    status, out, err = radio("compare", "one", "--common", "two", "--draws", "200")
    assert (status, err) == (0, "")
    assert "left out: 2 not in every run" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "found no run, expected some run folders"),
        (["nowhere"], "nowhere: no such folder"),
        (["one", "--output", "table.pdf"], "found the ending '.pdf'"),
        (["one", "--draws", "10"], "radio compare: draws: found 10, expected"),
        (["--group", "one"], "--group: found 'one', expected NAME=RUN,RUN"),
        (["--group", "a=one", "--group", "a=two"], "--group: found 'a' twice"),
        (["--group", "a=one", "--group", "b=one"], "found one in a and in b"),
        (["one", "--measures", "emm"], "--measures: found 'emm'"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, radio: Radio, tmp_path: Path
) -> None:
    write_run(tmp_path / "one", {"base": {"em": [1, 0]}, "tuned": {"em": [1, 1]}})
    status, out, err = radio("compare", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_neither_torch_nor_lightning_is_imported() -> None:
    code = (
        "import sys, radio.commands.compare, radio.comparing.choosing, radio.comparing.outputs, "
        "radio.comparing.terminal; "
        "assert not {'torch', 'lightning', 'transformers', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_trainings_with_other_seeds_are_one_group(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    for seed in ("1", "2"):
        options = ["--name", f"tiny-{seed}", "--seed_everything", seed]
        status, _, err = radio("fit", *tiny_run, *options)
        assert status == 0, err
    status, out, err = radio(
        *("compare", "runs/tiny-1", "runs/tiny-2", "--draws", "200", "--output", "table.json")
    )
    assert (status, err) == (0, "")
    assert "of Jsonl, test:" in out
    found = json.loads(Path("table.json").read_text())
    assert [run["group"] for run in found["runs"]] == ["tiny", "tiny"]
    assert [run["seed"] for run in found["runs"]] == [1, 2]
    assert {name: system["seeds"] for name, system in found["systems"].items()} == {
        "retriever": 1,
        "base": 1,
        "tuned": 2,
    }
    assert found["measures"][0] == "em"
    means = [json.loads(Path(f"runs/tiny-{n}/metrics.json").read_text())["test"] for n in (1, 2)]
    for measure in found["measures"]:
        by_seed = [systems["tuned"][measure] for systems in means]
        assert found["means"][measure]["tuned"]["by_seed"] == pytest.approx(by_seed)
