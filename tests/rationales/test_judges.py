"""Judges of rationales: what counts as a contradiction, models that are asked once, settings from a
config."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from radio.cache import Cache
from radio.rationales.checks import CHECKS, QualityChecks
from radio.rationales.judges import Judge, NLIJudge
from radio.schema import InputError, Passage, Question, Rationale

HARBOUR = Question("q1", "Who lit the lamp at port3?", ("captain3", "the keeper"))
GOOD = (
    "In fog captain3 lit the lamp at port3, since the gulls had gone and no ship could see the "
    "stone tower."
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


class Fixed(Judge):
    """Gives the probabilities it is told by the rationale's text, and counts what it is asked."""

    def __init__(self, by_text: dict[str, float]) -> None:
        self.by_text = by_text
        self._asked = 0

    def contradicts(self, pairs: Sequence[tuple[Question, Rationale]]) -> list[float]:
        self._asked += len(pairs)
        return [self.by_text[rationale.text] for _, rationale in pairs]


@pytest.fixture(scope="session")
def tiny_nli(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random BERT with the three labels of inference; "Contradiction" is the second."""
    return nli(
        tiny_bert, tmp_path_factory.mktemp("tiny_nli"), ["entailment", "Contradiction", "neutral"]
    )


def nli(tiny_bert: str, folder: Path, labels: list[str]) -> str:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    numbers = {label: number for number, label in enumerate(labels)}
    config = BertConfig.from_pretrained(
        tiny_bert, label2id=numbers, id2label={n: label for label, n in numbers.items()}
    )
    network = BertForSequenceClassification(config)
    # a random head is as good as undecided; larger weights give probabilities that differ
    torch.nn.init.normal_(network.classifier.weight, std=2.0)
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return str(folder)


def test_a_contradiction_from_the_threshold_on(cache: Cache) -> None:
    questions = [Question(f"q{n}", "Who?", ("captain3",)) for n in range(3)]
    texts = ["captain4 did", "captain5 did", "captain3 did"]
    items = [(q, Rationale(q.id, text), []) for q, text in zip(questions, texts, strict=True)]
    checks = QualityChecks(judge=Fixed(dict(zip(texts, [0.9, 0.5, 0.49], strict=True))))
    assert checks.run(items, cache, ["contradicts"]) == {
        "q0": ["contradicts"],
        "q1": ["contradicts"],
        "q2": [],
    }


def test_the_judge_is_asked_once_and_only_about_what_can_be_judged(cache: Cache) -> None:
    judge = Fixed({GOOD: 0.9, "other": 0.1})
    items = [
        (HARBOUR, Rationale("q1", GOOD), [Passage("p0", "rope")]),
        (Question("q2", "?", ("captain3",)), Rationale("q2", " "), []),
        (Question("q3", "?"), Rationale("q3", GOOD), []),
    ]
    expected = {"q1": ["contradicts"], "q2": [], "q3": []}
    assert QualityChecks(judge=judge).run(items, cache, ["contradicts"]) == expected
    assert judge._asked == 1
    # other candidates and other limits do not matter to it
    items[0] = (HARBOUR, Rationale("q1", GOOD), [])
    assert QualityChecks(max_words=3, judge=judge).run(items, cache, ["contradicts"]) == expected
    assert judge._asked == 1
    items[0] = (HARBOUR, Rationale("q1", "other"), [])
    assert QualityChecks(judge=judge).run(items, cache, ["contradicts"])["q1"] == []
    assert judge._asked == 2


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_judge_that_gives_no_probability_is_named(probability: float, cache: Cache) -> None:
    checks = QualityChecks(judge=Fixed({GOOD: probability}))
    with pytest.raises(
        InputError, match=r"Fixed\.contradicts: found .* expected a number in \[0, 1\]"
    ):
        checks.run([(HARBOUR, Rationale("q1", GOOD), [])], cache)


def test_the_probability_is_that_of_the_label_contradiction(tiny_nli: str) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = [GOOD, "fog " * 5 + "captain3", "rope", "x" * 400, "lamp " * 200]
    pairs = [(HARBOUR, Rationale("q1", text)) for text in texts]
    found = NLIJudge(tiny_nli, batch_size=2, device="cpu", max_length=64).contradicts(pairs)
    assert len({round(value, 4) for value in found}) > 2
    network = AutoModelForSequenceClassification.from_pretrained(tiny_nli).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_nli)
    for text, value in zip(texts, found, strict=True):
        answer = "captain3" if "captain3" in text else HARBOUR.golden_answers[0]
        statement = f'The answer to the question "Who lit the lamp at port3?" is {answer}.'
        inputs = tokenizer([text], [statement], truncation=True, max_length=64, return_tensors="pt")
        with torch.inference_mode():
            assert value == pytest.approx(
                float(network(**inputs).logits.softmax(-1)[0, 1]), abs=1e-5
            )


def test_the_hypothesis_takes_an_answer_that_the_rationale_mentions() -> None:
    said = NLIJudge("unused").hypothesis(HARBOUR, Rationale("q1", "The keeper lit it."))
    assert said.endswith("is the keeper.")


def test_verdicts_are_read_from_the_cache_also_under_another_threshold(
    tiny_nli: str, cache: Cache
) -> None:
    items = [(HARBOUR, Rationale("q1", GOOD), [])]
    first = NLIJudge(tiny_nli, threshold=0.0)
    assert QualityChecks(judge=first).run(items, cache, ["contradicts"]) == {"q1": ["contradicts"]}
    assert first._loaded is not None
    second = NLIJudge(tiny_nli, threshold=1.0)
    assert QualityChecks(judge=second).run(items, cache, ["contradicts"]) == {"q1": []}
    assert second._loaded is None


def test_a_model_without_the_label_is_refused_with_its_labels(
    tiny_bert: str, tmp_path: Path
) -> None:
    folder = nli(tiny_bert, tmp_path / "model", ["entailment", "not_entailment"])
    with pytest.raises(
        InputError, match=r"judge\.init_args\.model.*entailment, not_entailment.*'contradiction'"
    ):
        NLIJudge(folder).contradicts([(HARBOUR, Rationale("q1", GOOD))])


def test_weights_that_could_run_code_are_not_loaded(tiny_nli: str, tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(tiny_nli, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        NLIJudge(str(folder)).contradicts([(HARBOUR, Rationale("q1", GOOD))])


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(InputError, match="NLIJudge: threshold: found"):
        NLIJudge("unused", threshold=threshold)


def test_settings_from_a_config(tiny_nli: str, tiny_bert: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--checks", type=QualityChecks)
    place = "radio.rationales.checks"
    settings = {
        "max_words": 50,
        "encoder": {"class_path": "radio.encoders.Encoder", "init_args": {"model": tiny_bert}},
        "judge": {
            "class_path": "radio.rationales.judges.NLIJudge",
            "init_args": {"model": tiny_nli, "threshold": 0.7},
        },
    }
    config = parser.parse_object(
        {"checks": {"class_path": f"{place}.QualityChecks", "init_args": settings}}
    )
    checks = parser.instantiate(config).checks
    assert (checks.max_words, checks.available) == (50, CHECKS)
    assert checks.judge.threshold == 0.7
