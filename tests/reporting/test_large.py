"""Three runs of 10,000 questions: the comparison finds what was planted, and the report samples."""

from __future__ import annotations

import json
import math
import re
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from radio.commands.compare import main as compare
from radio.commands.report import main as report
from radio.evaluation.statistics import bootstrap_intervals
from tests.browsers import chromium, seconds_to_open, until
from tests.comparing.test_outputs import compiled
from tests.reporting.runs import config_of, corpus, told_run

pytestmark = pytest.mark.slow

COUNT = 10_000
SEEDS = (1, 2, 3)
GAIN = 0.03
"""Of the measures that are planted, on average."""
MEASURES = ("em@1", "f1@1", "R@5", "RR@10")


class Large(NamedTuple):
    folders: list[Path]
    won: list[int]
    """Questions that the base gets wrong and all trainings right."""
    lost: list[list[int]]
    """By seed, those that a training gets wrong and the base right."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Large:
    """Trainings that win the same 330 questions; each loses a hundred others."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(5)
    passages = corpus(folder / "corpus.jsonl", COUNT, text="Of lamp {n} and part {p}. " * 20)
    before = {name: rng.random(COUNT) * 0.5 for name in MEASURES[1:]}
    worse = {name: column * 0.8 for name, column in before.items()}
    won = list(range(0, 3_960, 12))
    folders, lost = [], []
    for seed in SEEDS:
        lost.append(list(range(9_000 + 100 * seed, 9_100 + 100 * seed)))
        after = {name: column + GAIN + rng.normal(0, 0.2, COUNT) for name, column in before.items()}
        config = config_of(passages, seed_everything=seed)
        more = {"retriever": worse, "base": before, "tuned": after}
        path = folder / f"large-{seed}"
        with pytest.MonkeyPatch.context() as patch:
            # intervals of metrics.json, which nobody here reads, would take most of the time
            few = partial(bootstrap_intervals, resamples=100)
            patch.setattr("radio.evaluation.results.bootstrap_intervals", few)
            patch.setattr("radio.evaluation.statistics.bootstrap_intervals", few)
            told_run(path, COUNT, won=won, lost=lost[-1], config=config, more=more)
        folders.append(path)
    return Large(folders, won, lost)


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return isinstance(value, int | float) and math.isfinite(value)


def test_the_comparison_finds_what_was_planted(large: Large, tmp_path: Path) -> None:
    words = [*map(str, large.folders), "--measures", ",".join(MEASURES), "--measure", "em@1"]
    for end in ("json", "csv", "md", "tex"):
        words += ["--output", str(tmp_path / f"table.{end}")]
    start = time.monotonic()
    assert compare(words) == 0
    # 12 s of an idle core, of two that have others to serve
    assert time.monotonic() - start < 120
    found = json.loads((tmp_path / "table.json").read_text())
    assert found["questions"] == COUNT
    assert {name: system["seeds"] for name, system in found["systems"].items()} == {
        "retriever": 1,
        "base": 1,
        "tuned": 3,
    }
    assert finite(found["means"])
    assert finite(found["differences"])
    exact = (len(large.won) - len(large.lost[0])) / COUNT
    em = found["differences"]["em@1"]["tuned"]
    assert em["difference"] == pytest.approx(exact)
    assert (em["won"], em["tied"], em["lost"]) == (330, COUNT - 630, 300)
    assert em["low"] < exact < em["high"]
    # the standard error of questions that win 1 or lose a third; with one training alone it is that
    # of those that lose 1
    error, alone = (
        math.sqrt((squares / COUNT - exact**2) / COUNT) for squares in (330 + 300 / 9, 330 + 100)
    )
    assert exact - 1.96 * alone * 1.1 < em["low"] < exact - 1.96 * error * 0.9
    assert em["p_holm"] < 0.001
    assert em["effect"] == pytest.approx(exact / (error * math.sqrt(COUNT)), rel=1e-3)
    for measure in MEASURES[1:]:
        told = found["differences"][measure]["tuned"]
        assert told["low"] < GAIN < told["high"]
        assert told["difference"] == pytest.approx(GAIN, abs=0.006)
        assert told["p_holm"] < 0.001
        assert told["detectable"] < GAIN
        against = found["differences"][measure]["retriever"]
        assert against["difference"] == pytest.approx(-0.2 * 0.25, abs=0.005)
    compiled((tmp_path / "table.tex").read_text(encoding="utf-8"), tmp_path)


def test_the_report_samples_all_flips_first_and_says_so(
    large: Large, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    words = ["--measure", "em@1", "--draws", "500", "--output", str(page)]
    assert report([*map(str, large.folders), *words]) == 0
    said = capsys.readouterr().out
    told = "1,000 of 10,000 questions are here: 430 of the 430 on which base and tuned differ"
    assert told in said
    assert 1e6 < page.stat().st_size < 5e6
    text = page.read_text(encoding="utf-8")
    assert told in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    kept = [question["id"] for question in json.loads(data)["questions"]]
    assert len(kept) == len(set(kept)) == 1_000
    flips = {f"q{number}" for number in (*large.won, *large.lost[0])}
    assert flips <= set(kept)
    # the others are from everywhere, in the order of the data
    others = [int(name[1:]) for name in kept if name not in flips]
    assert others == sorted(others)
    assert np.mean(others) == pytest.approx(COUNT / 2, abs=600)
    with chromium(tmp_path / "chromium") as browser:
        spent = seconds_to_open(
            browser, page, lambda: browser.find_elements("css selector", ".asked")
        )
        assert 0 < spent < 1
        shown = browser.find_element("id", "count").text
        assert shown == "1,000 questions"
        for place in (0.0, 0.5, 1.0):
            browser.execute_script(
                "const list = document.getElementById('list');"
                "list.scrollTop = arguments[0] * list.scrollHeight;",
                place,
            )
            first = math.floor(place * 990)
            until(lambda first=first: abs(first_row(browser) - first) < 25)  # type: ignore[misc]
            assert 5 < len(browser.find_elements("css selector", ".row")) < 30


def first_row(browser: Any) -> int:
    """Place in the list of the first row that is in the document; asked in one go, since rows are
    made anew while one scrolls."""
    place = browser.execute_script(
        "return document.querySelector('.row')?.getAttribute('aria-posinset')"
    )
    return int(place or 0)
