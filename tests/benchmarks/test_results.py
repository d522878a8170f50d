"""The headline results: an order that no run has made is measured as the callbacks measure, and all
numbers are those of ``radio compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.results import __main__ as page
from benchmarks.results import compared, fits, headline, orders, others, settings
from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.formats import read_run
from radio.generators import SpanReader
from radio.rerankers import CrossEncoder
from tests.callbacks.test_rankings import trainer, whole_models
from tests.comparing.runs import reader, write_run
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


def test_an_order_that_is_read_again_has_the_numbers_of_the_run(
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
    monkeypatch.setattr(compared, "WORK", tmp_path)
    groups = {"run": [tmp_path / "run"]}
    for system in ("retriever", "base"):
        ranking = read_run(tmp_path / f"run/validation.{system}.trec")
        folder = tmp_path / f"{system}-again"
        groups[f"again-{system}"] = [
            orders.write_order(folder, system, data, "validation", ranking)
        ]
    _, found = compared.compare(
        "again", groups, "validation", baseline="base", systems=["retriever"]
    )
    # of the same questions and reader, with the same numbers: one row each
    assert found["systems"]["retriever"]["groups"] == ["run", "again-retriever"]
    assert found["systems"]["base"]["groups"] == ["run", "again-base"]
    assert set(found["measures"]) == set(compared.MEASURES)
    assert found["means"]["gold_P@1"]["base"]["questions"] == len(annotated)


GAINS = {"published": 0.05, "radio": 0.3, "answer_match": 0.15, "answer_match_ranks": 0.2}


def evaluated(folder: Path, system: str, gain: float, seed: int, split: str = "test") -> Path:
    """A run folder of 60 questions, in which a ranking answers so many more."""
    rng = np.random.default_rng(7)
    hard = rng.random(60)
    shift = np.random.default_rng([seed, round(100 * gain)]).normal(0, 0.01, 60)
    # the base of the bi-encoder compares no tokens
    base = 0.3 if "bi_encoder" in folder.name else 0.4
    systems = {"retriever": 0.2, "base": base, system: 0.4 + gain}
    numbers: dict[str, dict[str, Any]] = {}
    for name, level in systems.items():
        if name == system or system == "tuned":
            right = (hard + (shift if name == "tuned" else 0) < level).astype(float)
            numbers[name] = dict.fromkeys(compared.MEASURES, right)
            numbers[name]["nDCG@5"] = right * 0.9
    config = {"seed_everything": seed, "data": {"class_path": "NaturalQuestionsDataModule"}}
    return write_run(folder, numbers, split=split, config=config, generators=[reader()])


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run folders instead of trainings."""

    def fit(dataset: str, reranker: str, system: str, seed: int, split: str, *more: object) -> Path:
        folder = tmp_path / "-".join([dataset, reranker, system, str(seed)])
        return evaluated(folder, "tuned", GAINS[system], seed, split)

    def with_reader(folder: Path, system: str, split: str, weight: float) -> Path:
        gain = 0.1 if system == "base" else 0.05 + GAINS[folder.name.split("-")[2]]
        seed = int(folder.name.split("-")[-1])
        name = f"{folder.name}-{system}"
        if system == "base":
            return evaluated_base(tmp_path / name, split)
        return evaluated(tmp_path / name, "tuned", gain, seed, split)

    def evaluated_base(folder: Path, split: str) -> Path:
        right = (np.random.default_rng(7).random(60) < 0.5).astype(float)
        numbers = {"base": dict.fromkeys(compared.MEASURES, right)}
        return write_run(folder, numbers, split=split, generators=[reader()])

    def teacher(dataset: str, split: str) -> Path:
        return evaluated(tmp_path / f"{dataset}-teacher", "teacher", 0.5, 0, split)

    def transferred(dataset: str, reranker: str, name: str, model: list[str]) -> Path:
        seed = int(name[-1]) if model else 0
        return evaluated(tmp_path / f"{dataset}-{name}", "tuned", 0.2 if model else 0.0, seed)

    for place in (headline, others):
        monkeypatch.setattr(place, "fit", fit)
    monkeypatch.setattr(headline, "helped", with_reader)
    monkeypatch.setattr(headline, "teacher_order", teacher)
    monkeypatch.setattr(headline, "weight_of_reader", lambda run: 0.3)
    monkeypatch.setattr(others, "transfer", transferred)
    monkeypatch.setattr(compared, "WORK", tmp_path)
    return tmp_path


@pytest.mark.parametrize("reranker", ["bi_encoder", "both_sides"])
def test_the_headline_tables_are_those_of_radio_compare(reranker: str, made: Path) -> None:
    lines = headline.headline(reranker, "test")
    document = json.loads((made / f"compared/test-{reranker}.json").read_text())
    table = (made / f"compared/test-{reranker}.md").read_text().splitlines()
    start = lines.index(table[0])
    assert lines[start : start + len(table)] == table
    systems = document["systems"]
    assert systems["radio:tuned"]["seeds"] == 3
    assert {"radio+reader:tuned", "base+reader:base", "teacher", "retriever"} <= set(systems)
    assert ("plain:base" in systems) == (reranker == "both_sides")
    assert ("answer_match_ranks:tuned" in systems) == (reranker == "both_sides")
    # the rivals, against the recipe
    rivals = json.loads((made / f"compared/test-{reranker}-rivals.json").read_text())
    assert rivals["baseline"] == "radio:tuned"
    assert rivals["differences"]["em@1"]["answer_match:tuned"]["difference"] < 0
    helped = json.loads((made / f"compared/test-{reranker}-rivals+reader.json").read_text())
    assert helped["baseline"] == "radio+reader:tuned"
    # how far it is from where it came, with the interval of a comparison of its own
    from_base = json.loads((made / f"compared/test-{reranker}-from-radio-base.json").read_text())
    means = {row: found["mean"] for row, found in from_base["means"]["em@1"].items()}
    start, here = means[from_base["baseline"]], means["radio:tuned"]
    told = from_base["differences"]["em@1"]["radio:tuned"]
    assert told["difference"] == pytest.approx(here - start)
    gain = f"{100 * told['difference']:+.1f} [{100 * told['low']:+.1f}, {100 * told['high']:+.1f}]"
    share = f"{100 * (here - start) / (means['teacher'] - start):.0f} % of the teacher's"
    cell = f"{gain}, {100 * (here / start - 1):+.1f} %, {share}"
    rows = [line for line in lines if line.startswith("| radio:tuned, em@1 |")]
    assert len(rows) == 1
    assert cell in rows[0]
    assert rows[0].count(" | ") == (3 if reranker == "both_sides" else 2)


def test_other_datasets_are_moves_from_their_base(made: Path) -> None:
    lines = others.others("bi_encoder")
    rows = [line for line in lines if line.startswith("| ") and " → " in line]
    assert [row.split(" | ")[0] for row in rows] == [
        *(f"| {dataset}" for dataset in settings.MODULES if dataset != "nq"),
        *(f"| {dataset}" for dataset in settings.TRANSFER),
    ]
    document = json.loads((made / "compared/others-mmlu.json").read_text())
    difference = document["differences"]["em@1"]["tuned"]["difference"]
    shown = f"{100 * document['means']['em@1']['base']['mean']:.1f} → {100 * difference:+.1f} ["
    assert shown in next(row for row in rows if row.startswith("| mmlu"))


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


def test_without_the_data_the_command_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.results.__main__.DATA", tmp_path / "nowhere")
    monkeypatch.setattr("sys.argv", ["results"])
    with pytest.raises(SystemExit, match="is not there: the results need its data and its reader"):
        page.main()
