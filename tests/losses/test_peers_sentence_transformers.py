"""Losses against sentence-transformers' own code: same values, same gradients, or a known relation.

Its losses call a model: here one that finds the logit of a passage in the passage's name. Where it
is not installed, these tests are skipped.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ADRMSE,
    BinaryCrossEntropy,
    InfoNCE,
    LambdaLoss,
    ListMLE,
    ListNet,
    Loss,
    MarginMSE,
    MeanSquaredError,
    PairwiseLogistic,
    PListMLE,
    RankNet,
)
from tests.losses.peers import (
    Peer,
    assert_equal,
    ndcg,
    ordered_pairs,
    padded,
    ragged,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def st() -> SimpleNamespace:
    module = pytest.importorskip("sentence_transformers.cross_encoder.losses", exc_type=ImportError)
    if not hasattr(module, "ADRMSELoss"):
        pytest.skip("this sentence-transformers is too old to have all losses")
    from sentence_transformers.cross_encoder import CrossEncoder

    class Given(CrossEncoder):
        num_labels = 1  # type: ignore[assignment]
        device = torch.device("cpu")  # type: ignore[assignment]

        def __init__(self, logits: Tensor) -> None:
            torch.nn.Module.__init__(self)
            self.logits = logits

        def preprocess(self, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
            return {"index": torch.tensor([int(passage) for _, passage in inputs])}

        def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
            return {"scores": self.logits[features["index"]][:, None]}

    def names(lengths: list[int]) -> list[list[str]]:
        every = iter(range(sum(lengths)))
        return [[str(next(every)) for _ in range(length)] for length in lengths]

    def listwise(name: str, **options: Any) -> Peer:
        def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
            loss = getattr(module, name)(Given(torch.cat(scores)), **options)
            docs = names([len(s) for s in scores])
            return loss([["q"] * len(docs), docs], targets)

        return call

    def pointwise(name: str) -> Peer:
        def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
            logits = torch.cat(scores)
            loss = getattr(module, name)(Given(logits))
            return loss(
                [["q"] * len(logits), [str(i) for i in range(len(logits))]], torch.cat(targets)
            )

        return call

    def best_first(name: str, labelled: bool, margins: float = 1.0, **options: Any) -> Peer:
        """The best passage and the others, as columns."""

        def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
            (logits,), (labels,) = scores, targets
            order = labels.argsort(descending=True)
            columns = [["q"], *([str(int(i))] for i in order)]
            return getattr(module, name)(Given(logits), **options)(
                columns, [margins * labels[order]] if labelled else None
            )

        return call

    return SimpleNamespace(
        module=module, listwise=listwise, pointwise=pointwise, best_first=best_first
    )


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_sentence_transformers_pointwise(st: SimpleNamespace, kind: str) -> None:
    # per question: the peer takes the mean over the passages of the whole batch, so long lists
    # weigh more
    for question in ragged(kind):
        assert_equal(BinaryCrossEntropy(), st.pointwise("BinaryCrossEntropyLoss"), [question])
        assert_equal(MeanSquaredError(), st.pointwise("MSELoss"), [question])


def test_sentence_transformers_list_net(st: SimpleNamespace) -> None:
    for kind in ("distinct", "tied", "binary"):
        assert_equal(ListNet(), st.listwise("ListNetLoss"), ragged(kind))


def test_sentence_transformers_list_mle(st: SimpleNamespace) -> None:
    assert_equal(ListMLE(), st.listwise("ListMLELoss", respect_input_order=False), ragged())
    assert_equal(PListMLE(), st.listwise("PListMLELoss", respect_input_order=False), ragged())


@pytest.mark.parametrize(
    ("ours", "name"), [(ListMLE(), "ListMLELoss"), (PListMLE(), "PListMLELoss")]
)
def test_sentence_transformers_list_mle_depends_on_the_order_of_ties(
    st: SimpleNamespace, ours: Loss, name: str
) -> None:
    # both depart from the paper, which knows no ties: the peer takes them in the order in which
    # they come; ours compares each with all of them, which costs more than any order
    scores, targets = torch.tensor([0.3, -1.0, 2.0, 0.5]), torch.tensor([0.8, 0.8, 0.1, 0.1])
    swapped = torch.tensor([1, 0, 3, 2])
    here, there = [(scores, targets)], [(scores[swapped], targets[swapped])]
    values = [
        value_and_gradients(st.listwise(name, respect_input_order=False), lists)[0]
        for lists in (here, there)
    ]
    own = [value_and_gradients(padded(ours), lists)[0] for lists in (here, there)]
    assert own[0] == pytest.approx(own[1])
    assert abs(values[0] - values[1]) > 0.1
    if type(ours) is ListMLE:
        assert own[0] > max(values)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_sentence_transformers_adr_mse(st: SimpleNamespace, kind: str, temperature: float) -> None:
    # per question: the peer takes the mean over the passages of the whole batch
    for question in ragged(kind):
        assert_equal(
            ADRMSE(temperature), st.listwise("ADRMSELoss", alpha=1 / temperature), [question]
        )


@pytest.mark.parametrize("kind", ["distinct", "tied", "binary"])
def test_sentence_transformers_rank_net(st: SimpleNamespace, kind: str) -> None:
    # per question: the peer takes the mean over the pairs of the whole batch
    for question in ragged(kind):
        assert_equal(RankNet(), st.listwise("RankNetLoss", reduction_log="natural"), [question])
        # the peer's default departs from the paper (eq. 3 has the natural logarithm) by a constant
        # factor
        assert_equal(RankNet(), st.listwise("RankNetLoss"), [question], factor=math.log(2))
        steep = st.listwise("RankNetLoss", reduction_log="natural", sigma=2.0)
        assert_equal(PairwiseLogistic(temperature=0.5, weighted=False), steep, [question])


SCHEMES = {
    "ndcg_loss2": "NDCGLoss2Scheme",
    "lambda_rank": "LambdaRankScheme",
    "ndcg_loss2++": "NDCGLoss2PPScheme",
    "none": "NoWeightingScheme",
}


@pytest.mark.parametrize("weighting", SCHEMES)
@pytest.mark.parametrize("kind", ["distinct", "tied", "binary"])
@pytest.mark.parametrize("sigma", [1.0, 0.5])
def test_sentence_transformers_lambda_loss(
    st: SimpleNamespace, weighting: Any, kind: str, sigma: float
) -> None:
    peer = st.listwise(
        "LambdaLoss", weighting_scheme=getattr(st.module, SCHEMES[weighting])(), sigma=sigma
    )
    for question in ragged(kind):
        # the peer departs from the paper's sum over pairs: it takes their mean (over the whole
        # batch)
        assert_equal(
            LambdaLoss(weighting, sigma=sigma), peer, [question], factor=ordered_pairs(question[1])
        )


@pytest.mark.parametrize("kind", ["distinct", "tied", "binary"])
def test_sentence_transformers_ndcg_loss1(st: SimpleNamespace, kind: str) -> None:
    peer = st.listwise("LambdaLoss", weighting_scheme=st.module.NDCGLoss1Scheme())
    for scores, targets in ragged(kind):
        # the peer takes the mean over n^2 pairs, those of an item with itself too: these have no
        # gradient and add the gains over the discounts, which is NDCG; the paper's double sum can
        # be read either way
        factor = len(scores) ** 2
        assert_equal(
            LambdaLoss("ndcg_loss1"), peer, [(scores, targets)], factor, -ndcg(scores, targets)
        )


@pytest.mark.parametrize("weighting", SCHEMES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_sentence_transformers_lambda_loss_at_k(
    st: SimpleNamespace, weighting: Any, k: int
) -> None:
    peer = st.listwise("LambdaLoss", weighting_scheme=getattr(st.module, SCHEMES[weighting])(), k=k)
    for scores, targets in ragged():
        top = set(scores.topk(min(k, len(scores))).values.tolist())
        pairs = sum(
            targets[i] > targets[j] and (float(scores[i]) in top or float(scores[j]) in top)
            for i in range(len(scores))
            for j in range(len(scores))
        )
        # the peer takes the mean over the pairs
        assert_equal(LambdaLoss(weighting, k=k), peer, [(scores, targets)], factor=int(pairs))


def test_sentence_transformers_margin_mse(st: SimpleNamespace) -> None:
    for question in ragged():
        assert_equal(MarginMSE("best"), st.best_first("MarginMSELoss", labelled=True), [question])
        assert_equal(
            MarginMSE("best", scale=5.0),
            st.best_first("MarginMSELoss", labelled=True, margins=5.0),
            [question],
        )
    # two passages are one pair
    assert_equal(MarginMSE(), st.best_first("MarginMSELoss", labelled=True), ragged(lengths=(2,)))


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_sentence_transformers_info_nce(st: SimpleNamespace, temperature: float) -> None:
    # without other questions' passages, and without the peer's default sigmoid
    options = {
        "num_negatives": None,
        "activation_fn": torch.nn.Identity(),
        "scale": 1 / temperature,
    }
    for question in ragged():
        peer = st.best_first("MultipleNegativesRankingLoss", labelled=False, **options)
        assert_equal(InfoNCE(temperature), peer, [question])
