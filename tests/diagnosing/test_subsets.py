"""Results with and without suspicious questions: means over those that are left."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.diagnosing.subject import open_subject
from radio.diagnosing.subsets import ALL, ANSWERED, NOT_ANSWERED, ONLY, WITHOUT, results
from radio.evaluation.statistics import bootstrap_interval, sign_flip_test
from tests.diagnosing.runs import COUNT, made_run, question

FLAGS = {
    "q0": ["training", "closed_book"],
    "q1": ["near"],
    "q2": ["closed_book"],
    "q5": ["training", "corpus"],
}


def test_each_subset_has_its_questions_and_their_means(tmp_path: Path) -> None:
    subject = open_subject(made_run(tmp_path / "run"))
    found = results(subject, FLAGS, ["q0", "q2", "q3"])
    names = [f"q{n}" for n in range(COUNT)]
    subsets = {
        ALL: names,
        WITHOUT: [name for name in names if name not in ("q0", "q1", "q5")],
        ONLY: ["q0", "q1", "q5"],
        "in training questions": ["q0", "q5"],
        "in the corpus": ["q5"],
        "near a training question": ["q1"],
        ANSWERED: ["q0", "q2"],
        NOT_ANSWERED: ["q3"],
    }
    assert found["measures"] == ["em", "nDCG@5"]
    assert {row["name"]: row["questions"] for row in found["subsets"]} == {
        name: len(ids) for name, ids in subsets.items()
    }
    for row in found["subsets"]:
        for measure in ("em", "nDCG@5"):
            numbers = row["measures"][measure]
            columns = {}
            for system in ("retriever", "base", "tuned"):
                values = subject.values[system][measure]
                columns[system] = [values[name] for name in subsets[row["name"]]]
                told = numbers["systems"][system]
                assert told["mean"] == pytest.approx(sum(columns[system]) / len(columns[system]))
                interval = (told["low"], told["high"])
                assert interval == pytest.approx(bootstrap_interval(columns[system]))
            differences = [a - b for a, b in zip(columns["tuned"], columns["base"], strict=True)]
            gain = numbers["gain"]
            assert gain["difference"] == pytest.approx(sum(differences) / len(differences))
            assert (gain["low"], gain["high"]) == pytest.approx(bootstrap_interval(differences))
            assert gain["p"] == pytest.approx(sign_flip_test(differences))
            assert gain["family"] == len(subsets)
    assert found["categories"] == []


def test_nothing_suspicious_leaves_all(tmp_path: Path) -> None:
    subject = open_subject(made_run(tmp_path / "run"))
    found = results(subject, {"q2": ["closed_book"]}, [])
    whole, without, known = found["subsets"]
    assert (whole["name"], without["name"], known["name"]) == (ALL, WITHOUT, ANSWERED)
    assert whole["measures"]["em"]["systems"] == without["measures"]["em"]["systems"]


def test_categories_of_subjects(tmp_path: Path) -> None:
    subjects = ["astronomy", "virology", "no subject of MMLU"]
    test = [
        {**question(n), "metadata": {"subject": subjects[n % 3]} if n < 9 else {}}
        for n in range(COUNT)
    ]
    subject = open_subject(made_run(tmp_path / "run", test=test))
    found = results(subject, {"q0": ["training"], "q3": ["near"]}, [])["categories"]
    counts = [(row["category"], row["name"], row["questions"]) for row in found]
    assert counts == [
        ("Other", ALL, 3),
        ("Other", WITHOUT, 3),
        ("STEM", ALL, 3),
        ("STEM", WITHOUT, 1),
        ("STEM", ONLY, 2),
    ]
    values = subject.values["tuned"]["em"]
    numbers = found[3]["measures"]["em"]["systems"]["tuned"]
    assert numbers["mean"] == values["q6"]
