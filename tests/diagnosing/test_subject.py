"""What is diagnosed: results and data that fit each other, and what is said where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from radio.corpus import DiskCorpus
from radio.diagnosing.subject import open_subject, there
from radio.schema import InputError, Passage
from tests.conftest import read_jsonl, write_jsonl
from tests.diagnosing.runs import COUNT, READER, made_run, orders, question


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made_run(tmp_path / "run")


def rewrite(run: Path, name: str, **changes: Any) -> None:
    """Change the first row of a file of the data; a change to None drops the row."""
    path = run.parent / "data" / name
    first, *rest = read_jsonl(path)
    write_jsonl(path, [*([] if changes == {"id": None} else [{**first, **changes}]), *rest])


def test_a_run_as_it_was(run: Path) -> None:
    subject = open_subject(run)
    assert (subject.split, subject.measure, subject.pair) == ("test", "em", ("base", "tuned"))
    assert list(subject.questions) == [f"q{n}" for n in range(COUNT)]
    assert subject.orders == orders()
    assert subject.candidates()["q0"] == orders()["retriever"]["q0"]
    assert subject.values["tuned"]["nDCG@5"]["q3"] == 1.0
    assert [callback.top_k for callback in subject.callbacks] == [2]
    assert subject.remarks == []
    assert open_subject(run, measure="nDCG@5").measure == "nDCG@5"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "Who else?"}, "1 have another question"),
        ({"golden_answers": ["Nobody"]}, "1 have another golden_answers"),
        ({"metadata": {"gold_ids": ["p0-1"]}}, "1 have another gold_ids"),
        ({"choices": ["Keeper Ambra", "no"]}, "1 have another choices"),
        ({"id": None}, "1 are no longer in the data"),
    ],
)
def test_questions_that_have_changed_are_left_out_and_said(
    changes: dict[str, Any], reason: str, run: Path
) -> None:
    rewrite(run, "test.jsonl", **changes)
    subject = open_subject(run)
    assert list(subject.questions) == [f"q{n}" for n in range(1, COUNT)]
    (remark,) = subject.remarks
    assert remark.startswith(f"WARNING: 1 of {COUNT} questions of the results are left out")
    assert remark.endswith(reason)


def test_other_data_altogether_are_refused(run: Path) -> None:
    others = [{**question(n), "question": f"Other {n}?"} for n in range(COUNT)]
    write_jsonl(run.parent / "data" / "test.jsonl", others)
    with pytest.raises(InputError, match=f"none of the {COUNT} questions of test.*have changed"):
        open_subject(run)


def test_another_generator_is_named(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    loop = {"top_k": 2, "generator": {"class_path": "SpanReader", "init_args": {"max_words": 2}}}
    named = {"class_path": "GeneratorInTheLoop", "init_args": {"name": "new", "top_k": 1}}
    config["trainer"]["callbacks"] = [{**READER, "init_args": loop}, named]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    first, second = open_subject(run).remarks
    assert first.startswith("WARNING: the generator SpanReader is another one than that of the")
    assert second == "the results have no answers of the generator new"
    config["trainer"]["callbacks"] = []
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert open_subject(run).remarks == ["the config has no generator SpanReader, the results do"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "found no results of validation"),
        ({"measure": "nDCG@7"}, "--measure: found 'nDCG@7', expected one of"),
    ],
)
def test_a_wrong_name_is_refused(options: dict[str, str], message: str, run: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_subject(run, **options)


def test_a_folder_without_results_or_config_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no results"):
        open_subject(tmp_path / "empty")
    (run / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config.yaml: no such file, expected the config"):
        open_subject(run)


def test_which_passages_are_there(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "contents": f"Text {n}"} for n in range(5)]
    disk = DiskCorpus([write_jsonl(tmp_path / "c.jsonl", rows)], tmp_path / "kept")
    memory = {f"p{n}": Passage(f"p{n}", "Text") for n in range(5)}
    for corpus in (disk, memory):
        assert there(corpus, ["p1", "p4"]) == {"p1", "p4"}
        assert there(corpus, ["p1", "gone", "p4"]) == {"p1", "p4"}
