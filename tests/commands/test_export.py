"""``radio export --onnx``: the files of a real run, and how near and how fast they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.commands import export as command
from radio.commands.export import Measured, agreement
from radio.rerankers import CrossEncoder, LateInteraction
from tests.conftest import write_jsonl
from tests.test_cli import Radio

LINE = {
    "id": "q1",
    "question": "Who lit the lamp?",
    "candidates": [{"id": "a", "contents": "The keeper of the lamp"}, {"id": "b", "contents": "x"}],
}


@pytest.fixture(scope="module")
def export(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    reranker = CrossEncoder(model=tiny_bert, max_length=40)
    reranker.configure_model()
    return str(reranker.eval().export(tmp_path_factory.mktemp("made") / "mine"))


@pytest.mark.slow
def test_a_run_is_compared_on_its_validation_questions(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, _, err = radio("fit", *tiny_run)
    assert status == 0, err
    status, out, err = radio("export", "runs/tiny", "--onnx", "--int8")
    assert status == 0, err
    folder = tmp_path / "runs/tiny/onnx"
    assert {"model.onnx", "model_int8.onnx", "tokenizer.json", "config.json", "onnx.json"} <= {
        path.name for path in folder.iterdir()
    }
    note = json.loads((folder / "onnx.json").read_text())
    assert (note["class"], note["output"]) == ("BiEncoder", "sentence_embedding")
    assert note["compared_on"] == {
        "source": "validation of runs/tiny",
        "questions": 2,
        "pairs": 12,
    }
    rows = note["results"]
    assert list(rows) == ["torch", "model.onnx", "model_int8.onnx"]
    assert all(row["pairs_per_second"] > 0 for row in rows.values())
    assert rows["model.onnx"]["largest_difference"] < 1e-3
    assert rows["model.onnx"]["same_order"] == 1
    assert rows["model_int8.onnx"]["largest_difference"] > rows["model.onnx"]["largest_difference"]
    assert "2 questions, 12 pairs (validation of runs/tiny)" in out
    assert "model_int8.onnx" in out
    assert out.endswith("written to runs/tiny/onnx\n")
    # the export is the model that it was, for caches too, and a run that begins anew has no files
    # of an earlier one
    assert not (tmp_path / "runs/tiny/export/onnx").exists()
    status, _, err = radio("fit", *tiny_run, "--overwrite", "true")
    assert status == 0, err
    assert not folder.exists()


@pytest.mark.slow
def test_an_exported_folder_is_compared_on_given_questions(
    radio: Radio, export: str, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "lines.jsonl", [LINE, {**LINE, "id": "q2"}])
    given = ["--questions", "lines.jsonl", "--max_questions", "1", "--output", "made"]
    for _ in range(2):
        # the second one takes the place of the first
        status, _, err = radio("export", export, "--onnx", *given)
        assert status == 0, err
    note = json.loads((tmp_path / "made/onnx.json").read_text())
    assert note["compared_on"] == {"source": "lines.jsonl", "questions": 1, "pairs": 2}
    assert list(note["results"]) == ["torch", "model.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.jsonl", "made"]


def test_mistakes_write_nothing(
    radio: Radio, export: str, tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = {**LINE, "candidates": [{"id": "a"}]}
    write_jsonl(tmp_path / "bare.jsonl", [bare])
    write_jsonl(tmp_path / "lines.jsonl", [LINE])
    (tmp_path / "yours").mkdir()
    late = LateInteraction(model=tiny_bert, max_length=40)
    late.configure_model()
    late.export(tmp_path / "late")
    there = sorted(tmp_path.rglob("*"))
    # what was said of the model so far
    radio("--version")
    for arguments, message in (
        ([export], "found no format, expected --onnx"),
        ([export, "--onnx", "--max_questions", "0"], "radio export: max_questions: found 0"),
        ([tiny_bert, "--onnx"], "says no class (radio.json)"),
        (["late", "--onnx"], "found LateInteraction, expected a CrossEncoder, or a BiEncoder"),
        ([export, "--onnx", "--output", "made"], "found no question with candidates"),
        (
            [export, "--onnx", "--output", "made", "--questions", "bare.jsonl"],
            "bare.jsonl:1: candidate 'a' has no 'contents'",
        ),
        (
            [export, "--onnx", "--output", "yours", "--questions", "lines.jsonl"],
            "yours: found a folder that radio export has not made",
        ),
    ):
        status, _, err = radio("export", *arguments)
        assert (status, message in err) == (2, True), err
        assert err.count("\n") == 1

    # a file that is another model
    def differs(*_: object) -> dict[str, Measured]:
        return {"torch": Measured(None, [[1.0, 2.0]], 1), "model.onnx": Measured(1, [[1.0, 2.1]])}

    monkeypatch.setattr(command, "measure", differs)
    status, _, err = radio(
        "export", export, *"--onnx --output made --questions lines.jsonl".split()
    )
    assert status == 2
    assert "scores of model.onnx differ from the reranker's by up to 0.1" in err
    assert sorted(tmp_path.rglob("*")) == there


def test_agreement_of_scores_and_orders() -> None:
    reference = [[3.0, 2.0, 1.0], [1.0, 2.0], [], [0.5]]
    found = [[3.0, 1.0, 2.5], [1.0, 2.0], [], [0.25]]
    agreed = agreement(reference, found)
    # of three pairs of the first question one is reversed; the last one has no pair
    assert agreed == {
        "largest_difference": 1.5,
        "tau_b": pytest.approx((1 / 3 + 1) / 2),
        "same_first": 1.0,
        "same_order": pytest.approx(2 / 3),
    }
    assert agreement([[1.0]], [[1.0]])["tau_b"] is None
