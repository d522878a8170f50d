"""Values equal those of the official definitions and of other libraries on tricky cases; where they
differ on purpose, the test says by how much."""

from __future__ import annotations

import collections
import math
import re
import string
from collections.abc import Sequence

import ir_measures
import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from radio.metrics.answers import exact_match, f1
from radio.metrics.ranking import ranking_metrics, relevance_of
from radio.schema import ranked

# -- answers: SQuAD's definition (Rajpurkar et al., 2016), which MuSiQue's answers are judged by too


def squad_words(text: str) -> list[str]:
    """Lower case; ASCII punctuation is deleted; the articles are deleted; split at white space."""
    kept = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(?:a|an|the)\b", " ", kept).split()


def squad_em(prediction: str, golden: Sequence[str]) -> float:
    return max(float(squad_words(prediction) == squad_words(answer)) for answer in golden)


def squad_f1(prediction: str, golden: Sequence[str]) -> float:
    found = []
    for answer in golden:
        ours, theirs = squad_words(prediction), squad_words(answer)
        if not ours or not theirs:
            # MuSiQue, and SQuAD 2: nothing is right where nothing is wanted
            found.append(float(ours == theirs))
            continue
        common = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
        precision, recall = common / len(ours), common / len(theirs)
        found.append(2 * precision * recall / (precision + recall) if common else 0.0)
    return max(found)


ALIKE = {
    "articles": ("The lamp of a keeper", ["lamp of keeper"]),
    "an article inside of a word": ("theatre", ["atre"]),
    "an article before punctuation": ("a-b", ["ab"]),
    "punctuation without blanks": ("e-mail", ["email"]),
    "dots": ("U.S.A.", ["USA"]),
    "a slash joins": ("AC/DC", ["ac dc"]),
    "a decimal point": ("3.5", ["35"]),
    "typographic quotes stay": ("“lamp”", ["lamp"]),
    "an en dash stays": ("1914–1918", ["1914-1918"]),
    "unicode case": ("ÉCOLE", ["école"]),
    "unicode forms are two words": ("école", ["e\u0301cole"]),
    "white space of unicode": ("blue\u00a0lamp", ["blue lamp"]),
    "several golds, the best counts": ("big lamp", ["rope", "lamp", "big lamp of port"]),
    "precision and recall of one gold": ("a b c d", ["b", "b c d e f g h i"]),
    "repeated words": ("red red blue", ["red blue blue"]),
    "empty prediction": ("", ["lamp"]),
    "prediction of an article": ("the", ["lamp"]),
    "yes": ("Yes.", ["yes"]),
    "no for yes": ("no", ["yes"]),
    "nothing in common": ("rope", ["lamp", "bell"]),
}


@pytest.mark.parametrize("case", ALIKE)
def test_answers_are_judged_as_by_squad_and_musique(case: str) -> None:
    prediction, golden = ALIKE[case]
    assert exact_match(prediction, golden) == squad_em(prediction, golden)
    assert f1(prediction, golden) == pytest.approx(squad_f1(prediction, golden), abs=1e-15)


# prediction, golden answers, our EM and F1, theirs
APART = {
    # an answer that normalises to nothing is never right: "A", as the letter of a choice, would be
    # right by any empty answer
    "both empty": ("", [""], (0, 0), (1, 1)),
    "a letter that is an article": ("the", ["A"], (0, 0), (1, 1)),
    "punctuation alone": ("...", ["?"], (0, 0), (1, 1)),
    # yes and no are right or wrong, not in part (HotpotQA)
    "yes with more": ("yes it is", ["yes"], (0, 0), (0, 1 / 2)),
    "no in a sentence": ("no", ["no one"], (0, 0), (0, 2 / 3)),
}


@pytest.mark.parametrize("case", APART)
def test_answers_are_judged_otherwise_where_the_documents_say_so(case: str) -> None:
    prediction, golden, ours, theirs = APART[case]
    assert (exact_match(prediction, golden), f1(prediction, golden)) == ours
    official = (squad_em(prediction, golden), squad_f1(prediction, golden))
    assert official == pytest.approx(theirs)


# -- rankings: gains in ranked order, and those of relevant passages that were not retrieved

RANKINGS: dict[str, tuple[list[int], list[int]]] = {
    "nothing relevant": ([0, 0, 0], []),
    "the first": ([1, 0, 0], []),
    "beyond k": ([0, 0, 0, 0, 0, 1], []),
    "fewer candidates than k": ([0, 1], []),
    "one candidate": ([1], []),
    "grades": ([1, 0, 3, 2], []),
    "equal grades": ([2, 2, 0, 2, 1], []),
    "unretrieved gold": ([0, 1, 0], [1]),
    "unretrieved of a higher grade": ([0, 1, 2], [3, 1]),
    "only unretrieved gold": ([0, 0], [2]),
}
MEASURES = ["RR", "RR@2", "nDCG@2", "nDCG@5", "R@2", "R@5", "P@1", "P@5"]


def of_ir_measures(gains: Sequence[int], missed: Sequence[int]) -> dict[str, float]:
    qrels = [ir_measures.Qrel("q", f"d{n}", grade) for n, grade in enumerate([*gains, *missed])]
    run = [ir_measures.ScoredDoc("q", f"d{n}", -float(n)) for n in range(len(gains))]
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    found = ir_measures.calc_aggregate(measures, qrels, run)
    return {str(measure): value for measure, value in found.items()}


@pytest.mark.parametrize("case", RANKINGS)
def test_rankings_are_measured_as_by_ir_measures(case: str) -> None:
    gains, missed = RANKINGS[case]
    assert ranking_metrics(gains, MEASURES, missed) == pytest.approx(of_ir_measures(gains, missed))


@pytest.mark.parametrize("case", RANKINGS)
def test_rankings_are_measured_as_by_torchmetrics_but_for_what_was_missed(case: str) -> None:
    gains, missed = RANKINGS[case]
    # torchmetrics sorts by scores, takes those of 0 and below for none, and knows the candidates
    # alone
    scores = torch.arange(len(gains), 0, -1, dtype=torch.float32)
    graded = torch.tensor(gains)
    relevant = graded > 0
    theirs = {
        "RR": retrieval_reciprocal_rank(scores, relevant),
        "RR@2": retrieval_reciprocal_rank(scores, relevant, top_k=2),
        "nDCG@2": retrieval_normalized_dcg(scores, graded, top_k=2),
        "nDCG@5": retrieval_normalized_dcg(scores, graded, top_k=5),
        "R@2": retrieval_recall(scores, relevant, top_k=2),
        "R@5": retrieval_recall(scores, relevant, top_k=5),
        "P@1": retrieval_precision(scores, relevant, top_k=1),
        "P@5": retrieval_precision(scores, relevant, top_k=5),
    }
    expected = {name: float(value) for name, value in theirs.items()}
    assert ranking_metrics(gains, MEASURES) == pytest.approx(expected, abs=1e-6)
    with_missed = ranking_metrics(gains, MEASURES, missed)
    for name in MEASURES:
        if missed and name[0] in "nR" and name[:2] != "RR":
            assert with_missed[name] <= expected[name] + 1e-6
        else:
            assert with_missed[name] == pytest.approx(expected[name], abs=1e-6)


def test_gains_are_linear_and_the_ideal_knows_what_was_missed() -> None:
    found = ranking_metrics([1, 3], ["nDCG@2"], [2])["nDCG@2"]
    second = 1 / math.log2(3)
    assert found == pytest.approx((1 + 3 * second) / (3 + 2 * second))


def test_ties_and_negative_scores_are_ours() -> None:
    tied = {"d1": 1.0, "d2": 1.0}
    run = [ir_measures.ScoredDoc("q", name, score) for name, score in tied.items()]
    first = ir_measures.parse_measure("P@1")
    theirs = ir_measures.calc_aggregate([first], [ir_measures.Qrel("q", "d2", 1)], run)
    order = [candidate.passage_id for candidate in ranked(tied)]
    assert theirs[first] == 1.0
    assert ranking_metrics(relevance_of(order, {"d2": 1.0}), ["P@1"]) == {"P@1": 0.0}
    # torchmetrics takes such a passage for not retrieved
    relevant = torch.tensor([True, False])
    assert retrieval_reciprocal_rank(torch.tensor([-1.0, -2.0]), relevant) == 0.0
    order = [candidate.passage_id for candidate in ranked({"d1": -1.0, "d2": -2.0})]
    assert ranking_metrics(relevance_of(order, {"d1": 1.0}), ["RR"]) == {"RR": 1.0}
