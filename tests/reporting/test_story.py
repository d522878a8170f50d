"""What was done, in sentences."""

from __future__ import annotations

from pathlib import Path

from radio.reporting.explorer import pair_of
from radio.reporting.story import sentences, verdict
from tests.reporting.runs import compared, config_of, told_run


def test_three_sentences_from_config_and_metrics(tmp_path: Path) -> None:
    comparison = compared(told_run(tmp_path / "run", config=config_of(tmp_path / "c.jsonl")))
    assert sentences(comparison.groups[0].runs, comparison.found) == [
        "8 test questions were asked, and a reranker put up to 6 passages that the "
        "retriever had found into order.",
        "The reranker, a CrossEncoder from tiny, was fine-tuned by KLDivergence, on the scores of "
        "the teacher Gated of RationaleSimilarity for 2 epochs (seed 0).",
        "SpanReader (reader) read the first 1 and 3 of each order, and its answers were set "
        "against the golden ones.",
    ]


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=())
    (folder / "config.yaml").unlink()
    comparison = compared(folder)
    asked, trained, read = sentences(comparison.groups[0].runs, comparison.found)
    assert asked.startswith("8 test questions were asked")
    assert "no config" in trained
    assert read.startswith("No generator read the passages")


def test_the_verdict_claims_no_more_than_is_shown(tmp_path: Path) -> None:
    for name, count, won, said in (("a", 8, (0, 1), "is not shown"), ("b", 60, range(50), "shown")):
        comparison = compared(told_run(tmp_path / name, count, won=won, lost=()))
        after = pair_of(comparison).after
        difference = comparison.figures.differences["em@1"]["tuned"]
        told = verdict(comparison, after, difference)
        assert told.endswith(f"{said} to be more than chance")
        assert "to 100.0 %" in told


def test_datasets_have_the_names_that_people_know(tmp_path: Path) -> None:
    for class_path, settings, name in (
        ("data_modules.NaturalQuestionsDataModule", {}, "Natural Questions"),
        ("data_modules.FlashRAGDataModule", {"dataset": "wow"}, "wow"),
        ("mine.Own", {}, "Own"),
    ):
        config = {"data": {"class_path": class_path, "init_args": settings}}
        comparison = compared(told_run(tmp_path / name, config=config))
        asked, *_ = sentences(comparison.groups[0].runs, comparison.found)
        assert asked.startswith(f"8 test questions of {name} were asked, and a reranker put")
