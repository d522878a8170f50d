"""The same passages otherwise, read by real readers; and never paid for twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.callbacks import GeneratorInTheLoop
from radio.diagnosing.contamination import Evidence, Unavailable
from radio.diagnosing.robustness import DEPTH, DISTRACTORS, ORDER, Robustness, deepest
from radio.diagnosing.subject import Subject, open_subject
from radio.evaluation.statistics import bootstrap_interval, paired_differences
from radio.generators import ExtractiveReader, Generator, Prompt, TransformersGenerator, ask
from radio.text import has_answer
from tests.conftest import read_jsonl, write_jsonl
from tests.diagnosing.runs import COUNT, made_run, orders, passages, question
from tests.llm_server import serve
from tests.llm_wire import KEY

NAMES = [f"q{n}" for n in range(COUNT)]
CONTENTS = {row["id"]: row["contents"] for row in passages()}


def diagnosing(subject: Subject, names: Sequence[str] = NAMES, seed: int = 0) -> Robustness:
    return Robustness(subject, list(names), seed, Evidence())


class First(Generator):
    """Answers with the keeper of the first passage that names one among the first two."""

    def __init__(self) -> None:
        self._asked: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        self._asked += prompts
        return [self._answer(prompt) for prompt in prompts]

    @staticmethod
    def _answer(prompt: Prompt) -> str:
        for passage in prompt.passages[:2]:
            if "Keeper" in passage.contents:
                return "Keeper" + passage.contents.partition("Keeper")[2].rstrip(".")
        return "nobody"


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return open_subject(made_run(tmp_path / "run"))


def test_the_orders_of_the_run_are_read_at_its_depth(subject: Subject) -> None:
    reader, test = First(), diagnosing(subject)
    test.order(GeneratorInTheLoop(reader, top_k=3), None)
    (note,) = test.evidence.document[ORDER]
    rows = {row["variant"]: row for row in note["measures"]["em"]}
    means = {
        variant: {system: numbers["mean"] for system, numbers in row["systems"].items()}
        for variant, row in rows.items()
    }
    # in the base's order the answer is third, in that of the tuned one first
    assert means["best first"] == {"retriever": 0, "base": 0, "tuned": 1}
    assert means["best last"] == {"retriever": 0, "base": 1, "tuned": 0}
    assert (note["depth"], note["metric"], note["reference"]) == (3, "em", "best first")
    assert rows["best first"]["gain"]["difference"] == 1
    assert rows["best last"]["gain"]["difference"] == -1
    assert rows["best last"]["change"]["difference"] == -2
    # base and tuned have the same three passages: shuffled, they are the same prompt
    assert rows["shuffled"]["gain"]["difference"] == 0
    distinct = {
        (prompt.question.id, tuple(passage.id for passage in prompt.passages))
        for prompt in reader._asked
    }
    assert len(distinct) == len(reader._asked) == note["costs"]["prompts"]
    for prompt in reader._asked:
        found = {passage.id for passage in prompt.passages}
        assert found in [set(order[prompt.question.id][:3]) for order in orders().values()]


def test_gains_are_those_of_the_answers_question_by_question(subject: Subject) -> None:
    test = diagnosing(subject)
    (callback,) = subject.callbacks
    test.order(callback, None)
    (note,) = test.evidence.document[ORDER]
    answers = {name: test.evidence.rows[name]["answers"][ORDER][""] for name in NAMES}
    for row in note["measures"]["em"]:
        columns = {}
        for system in ("base", "tuned"):
            columns[system] = {name: answers[name][row["variant"]][system] for name in NAMES}
        differences = paired_differences(columns["tuned"], columns["base"])
        gain = row["gain"]
        assert gain["difference"] == pytest.approx(sum(differences) / COUNT)
        assert (gain["low"], gain["high"]) == pytest.approx(bootstrap_interval(differences))
    # the run's own passages are read as its evaluation did
    assert note["repeated"] == {"same": 3 * COUNT, "other": 0}
    assert note["costs"]["cached"] >= 3 * COUNT - 6
    known = subject.values["tuned"]["em"]
    assert {name: answers[name]["best first"]["tuned"] for name in NAMES} == known


def test_answers_that_are_not_those_of_the_results_are_counted(subject: Subject) -> None:
    test = diagnosing(subject)
    reader = GeneratorInTheLoop(First(), top_k=2)
    test.order(reader, None)
    repeated = test.evidence.document[ORDER][0]["repeated"]
    told = subject.rows["q0"]["tuned"]["answer"]
    assert told != "Keeper Ambra" or repeated["other"] < 3 * COUNT
    assert repeated["same"] + repeated["other"] == 3 * COUNT
    assert repeated["other"] > 0
    # at another depth than the run's there is nothing to be compared
    other = diagnosing(subject)
    other.order(reader, 1)
    assert other.evidence.document[ORDER][0]["repeated"] == {"same": 0, "other": 0}


def test_the_curve_reads_the_first_passages(subject: Subject) -> None:
    test = diagnosing(subject)
    test.depth(GeneratorInTheLoop(First(), top_k=[1, 3]), [1, 2, 3, 6])
    (note,) = test.evidence.document[DEPTH]
    found = {
        row["variant"]: [row["systems"][system]["mean"] for system in ("base", "tuned")]
        for row in note["measures"]["em"]
    }
    assert found == {"1": [0, 1], "2": [0, 1], "3": [0, 1], "6": [0, 1]}
    assert note["reference"] == "3"
    assert deepest(GeneratorInTheLoop(First(), top_k=[1, 3])) == 3
    assert "accuracy" not in note["measures"]
    assert "f1" in note["measures"]


def test_what_the_passages_hold_needs_no_generator(tmp_path: Path) -> None:
    test = [{**question(n), "metadata": {"gold_ids": [f"p{n}-1", f"p{n}-3"]}} for n in range(COUNT)]
    subject = open_subject(made_run(tmp_path / "run", test=test, callbacks=[], evaluated=False))
    found = diagnosing(subject)
    found.retrieval([1, 2, 3, 5])
    (note,) = found.evidence.document["retrieval"]
    for k, row in zip((1, 2, 3, 5), note["measures"]["answer_in_context"], strict=True):
        for system, order in orders().items():
            hits = [
                any(
                    has_answer(CONTENTS[p], (f"Keeper {CONTENTS[f'p{n}-0'].split()[0]}",))
                    for p in order[f"q{n}"][:k]
                )
                for n in range(COUNT)
            ]
            assert row["systems"][system]["mean"] == pytest.approx(sum(hits) / COUNT)
    for k, row in zip((1, 2, 3, 5), note["measures"]["gold_R"], strict=True):
        for system, order in orders().items():
            shares = [
                len({f"p{n}-1", f"p{n}-3"} & set(order[f"q{n}"][:k])) / 2 for n in range(COUNT)
            ]
            assert row["systems"][system]["mean"] == pytest.approx(sum(shares) / COUNT)


def test_distractors_hold_no_answer_and_are_of_others(tmp_path: Path) -> None:
    # the keeper of q0 stands in passages of q1 and q2 too, and p3-0 is annotated for it
    corpus = [dict(row) for row in passages()]
    for row in corpus:
        if row["id"] in ("p1-0", "p1-3", "p2-2", "p2-4"):
            row["contents"] += " Beside it slept Keeper AMBRA!"
    test = [question(n) for n in range(COUNT)]
    test[0]["metadata"] = {"gold_ids": ["p0-1", "p3-0", "p3-2"]}
    subject = open_subject(made_run(tmp_path / "run", test=test, corpus=corpus))
    texts = {row["id"]: row["contents"] for row in corpus}
    reader, seen = First(), set()
    for seed in range(6):
        tests = diagnosing(subject, seed=seed)
        tests.distractors(GeneratorInTheLoop(reader, top_k=2), None, [0, 1, 4])
        for number, name in enumerate(NAMES):
            drawn = tests.evidence.rows[name]["distractors"]
            assert len(set(drawn)) == 4
            assert not set(drawn) & set(subject.candidates()[name])
            answer = test[number]["golden_answers"][0].lower()
            assert not [passage for passage in drawn if answer in texts[passage].lower()]
            seen.update(drawn if number == 0 else ())
    assert not seen & {"p3-0", "p3-2", "p1-0", "p1-3", "p2-2", "p2-4"}
    assert len(seen) > 12, "many others were drawn"
    # each prompt is the run's passages in their order, and up to four others
    for prompt in reader._asked:
        ids, name = [passage.id for passage in prompt.passages], prompt.question.id
        own = [passage for passage in ids if passage in subject.candidates()[name]]
        assert own in [order[name][:2] for order in orders().values()]
        assert len(ids) - len(own) in (0, 1, 4)


def test_distractors_between_lower_what_is_read(subject: Subject) -> None:
    test = diagnosing(subject)
    test.distractors(GeneratorInTheLoop(First(), top_k=2), None, [0, 4])
    (note,) = test.evidence.document[DISTRACTORS]
    none, four = note["measures"]["em"]
    assert (none["variant"], four["variant"]) == ("0", "4")
    assert none["systems"]["tuned"]["mean"] == 1
    assert four["systems"]["tuned"]["mean"] < 1
    assert four["change"]["difference"] == four["gain"]["difference"] - none["gain"]["difference"]
    with pytest.raises(Unavailable, match="no question has 99 distractors"):
        test.distractors(GeneratorInTheLoop(First(), top_k=2), None, [0, 99])


@pytest.mark.parametrize("kind", ["extractive", "language model"])
def test_a_real_model_reads_the_variants(
    kind: str, subject: Subject, tiny_reader: str, tiny_generator: str
) -> None:
    generator: Any = (
        ExtractiveReader(tiny_reader, max_length=64, stride=4)
        if kind == "extractive"
        else TransformersGenerator(tiny_generator, max_tokens=3)
    )
    callback = GeneratorInTheLoop(generator, top_k=2)
    names = NAMES[:3]
    test = diagnosing(subject, names)
    test.order(callback, None)
    test.distractors(callback, None, [0, 1])
    # what is told of a question is what the model says when it is asked about it alone
    cache = subject.datamodule.cache
    for name in names:
        shown = orders()["tuned"][name][:2][::-1]
        texts = tuple(subject.datamodule.corpus[passage] for passage in shown)
        prompt = Prompt(subject.questions[name], texts, "open_qa")
        (answer,) = ask(generator, [prompt], cache)
        assert not isinstance(answer, Exception)
        assert getattr(answer, "cached", False)
        _, numbers = callback.judge(subject.datamodule, prompt, answer)  # type: ignore[arg-type]
        told = test.evidence.rows[name]["answers"][ORDER][""]["best last"]["tuned"]
        assert told == numbers["em"]


def test_orders_whose_passages_are_gone_are_left_out(tmp_path: Path) -> None:
    corpus = [row for row in passages() if row["id"] != "p3-4"]
    subject = open_subject(made_run(tmp_path / "run", corpus=corpus, evaluated=False))
    test = diagnosing(subject)
    assert list(test.orders["tuned"]) == [name for name in NAMES if name != "q3"]
    assert subject.remarks[-1].startswith("WARNING: 1 of 60 passages that the results name are")


def test_a_question_without_a_passage_is_wrong_as_in_the_run(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    rows = read_jsonl(run / "predictions.jsonl")
    rows[0]["tuned"].update(passage_ids=[], scores=[])
    write_jsonl(run / "predictions.jsonl", rows)
    test = diagnosing(open_subject(run))
    test.order(GeneratorInTheLoop(First(), top_k=2), None)
    test.retrieval([1, 2])
    best_first = test.evidence.document[ORDER][0]["measures"]["em"][0]["systems"]["tuned"]
    assert best_first["questions"] == COUNT
    assert best_first["mean"] == pytest.approx((COUNT - 1) / COUNT)
    held = test.evidence.document["retrieval"][0]["measures"]["answer_in_context"][1]
    assert held["systems"]["tuned"]["mean"] == pytest.approx((COUNT - 1) / COUNT)


def test_nothing_is_paid_for_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = pytest.importorskip("radio.generators").OpenAIGenerator
    pytest.importorskip("openai", reason="the extra `openai` is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    subject = open_subject(made_run(tmp_path / "run", evaluated=False))
    with serve(tmp_path / "server", "--find", r"Keeper \w+") as server:

        def everything() -> list[Any]:
            callback = GeneratorInTheLoop(openai("gpt-test", base_url=f"{server.url}/v1"), top_k=2)
            test = diagnosing(subject)
            test.order(callback, None)
            test.depth(callback, [1, 2, 3])
            test.distractors(callback, None, [0, 1, 2])
            parts = [test.evidence.document[name][0] for name in (ORDER, DEPTH, DISTRACTORS)]
            return [(part["measures"], part["costs"]["prompts"]) for part in parts]

        first = everything()
        paid = server.stats()["paid"]
        calls = server.stats()["calls"]
        assert set(paid.values()) == {1}
        # what the tests share is asked once: two passages best first
        assert len(paid) == sum(prompts for _, prompts in first) - 2 * 3 * COUNT
        assert everything() == first
        assert server.stats()["calls"] == calls
