"""The headline results: an order that no run has written is measured as the callbacks measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import METRICS, values
from benchmarks.results import __main__ as page
from benchmarks.results import fits, orders
from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.formats import read_run
from radio.generators import SpanReader
from radio.rerankers import CrossEncoder
from tests.callbacks.test_rankings import trainer, whole_models
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


def test_a_run_read_again_has_the_numbers_of_its_callbacks(
    world: World, tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.folder / "validation.jsonl"
    annotated = [{**row, "metadata": {"gold_ids": ["port4-0"]}} for row in read_jsonl(path)]
    write_jsonl(path, annotated)
    data = module(world, eval_candidates=7)
    callbacks = [RankEvaluation(orders.RANKING_METRICS), GeneratorInTheLoop(top_k=[1, 3, 5])]
    reranker = CrossEncoder(whole_models(tiny_bert, tmp_path)[CrossEncoder], max_length=48)
    run = trainer(tmp_path / "run", callbacks=callbacks)
    run.validate(reranker, datamodule=data, verbose=False)
    monkeypatch.setattr(orders, "the_reader", SpanReader)
    for system in ("retriever", "tuned"):
        ranking = read_run(tmp_path / f"run/validation.{system}.trec")
        again = orders.read_alike(data, "validation", ranking)
        assert list(again) == list(METRICS)
        assert again == values([tmp_path / "run"], system, "validation")
        assert set(again["gold_P@1"]) == {row["id"] for row in annotated}


def test_a_run_is_repeated_only_if_it_was_made_of_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    def radio(*arguments: str) -> None:
        commands.append(arguments)
        folder.mkdir(exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps({"test": {}}))

    folder = tmp_path / "run"
    monkeypatch.setattr(fits, "radio", radio)
    monkeypatch.setattr(fits, "manifest", lambda: "of the data")
    for arguments, repeated in ((["--a"], True), (["--a"], False), (["--b"], True)):
        commands.clear()
        assert fits.run("fit", folder, "test", arguments, ["--c"]) == folder
        assert commands == ([("fit", *arguments, "--c", "--overwrite", "true")] if repeated else [])


def test_a_part_is_written_between_its_marks_on_the_page_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = [page.MARK.format("trials", end) for end in ("begins", "ends")]
    pages = tmp_path / "results.md", tmp_path / "trials.md"
    pages[0].write_text("nothing\n")
    pages[1].write_text(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n")
    monkeypatch.setattr(page, "PAGES", pages)
    monkeypatch.setattr(page, "manifest", lambda: "0123")
    page.write("trials", ["new"])
    assert pages[0].read_text() == "nothing\n"
    written = pages[1].read_text()
    assert written.startswith(f"before\n{marks[0]}\n\nnew\n")
    assert "`0123`" in written
    assert written.endswith(f"{marks[1]}\nafter\n")
    assert "old" not in written


def test_without_the_data_the_command_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.results.__main__.DATA", tmp_path / "nowhere")
    monkeypatch.setattr("sys.argv", ["results"])
    with pytest.raises(SystemExit, match="is not there: the results need its data and its reader"):
        page.main()
