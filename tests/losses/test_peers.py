"""Losses against other libraries' own code, on ragged lists: same values, same gradients, or a
known relation.

A peer that is not installed is skipped. lightning-ir: ``pip install lightning-ir``. allRank, by the
authors of NeuralNDCG: ``pip install --no-deps allRank`` (its pins are of 2021, and only its losses
are imported).
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    BinaryCrossEntropy,
    InfoNCE,
    KLDivergence,
    LambdaLoss,
    ListMLE,
    ListNet,
    Loss,
    MarginMSE,
    MeanSquaredError,
    NeuralNDCG,
    PairwiseLogistic,
    PListMLE,
    RankNet,
)

Lists = list[tuple[Tensor, Tensor]]
Peer = Callable[[list[Tensor], list[Tensor]], Tensor]
"""Scores and targets of each question to one value."""


pytestmark = pytest.mark.usefixtures("one_thread")


def ragged(kind: str = "distinct", lengths: tuple[int, ...] = (5, 2, 7, 3, 4)) -> Lists:
    """Random scores without ties, targets in [0, 1]; the teacher orders at least one pair of each
    question."""
    generator = torch.Generator().manual_seed(3)
    lists = []
    for length in lengths:
        steps = torch.randperm(length, generator=generator)
        targets = {
            "distinct": (steps + 0.5) / length,
            "tied": (steps // 2) / length,
            "binary": (steps == 0).float(),
        }
        lists.append((2 * torch.randn(length, generator=generator), targets[kind].float()))
    if kind == "tied":
        lists = [(scores, targets) for scores, targets in lists if len(set(targets.tolist())) > 1]
    return lists


def value_and_gradients(peer: Peer, lists: Lists) -> tuple[float, Tensor]:
    scores = [s.clone().requires_grad_() for s, _ in lists]
    value = peer(scores, [t for _, t in lists])
    value.backward()
    return float(value.detach()), torch.cat([s.grad for s in scores if s.grad is not None])


def padded(loss: Loss) -> Peer:
    """Ours, on one padded batch."""

    def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
        pad = torch.nn.utils.rnn.pad_sequence
        mask = pad([torch.ones_like(s, dtype=torch.bool) for s in scores], batch_first=True)
        return loss(
            pad(scores, batch_first=True), pad(targets, batch_first=True, padding_value=0.9), mask
        )

    return call


def assert_equal(
    ours: Loss, peer: Peer, lists: Lists, factor: float = 1.0, offset: float = 0.0
) -> None:
    """ours = factor * peer + offset, gradients as well."""
    value, gradients = value_and_gradients(padded(ours), lists)
    peer_value, peer_gradients = value_and_gradients(peer, lists)
    assert value == pytest.approx(factor * peer_value + offset, rel=2e-5, abs=1e-6)
    torch.testing.assert_close(gradients, factor * peer_gradients, rtol=2e-5, atol=2e-6)


def ordered_pairs(targets: Tensor) -> int:
    return sum(a > b for a in targets.tolist() for b in targets.tolist())


def ideal_dcg(targets: Tensor, k: int | None = None) -> float:
    best = sorted(targets.tolist(), reverse=True)[:k]
    return sum((2**target - 1) / math.log2(place + 1) for place, target in enumerate(best, 1))


def ndcg(scores: Tensor, targets: Tensor) -> float:
    by_score = [
        t for _, t in sorted(zip(scores.tolist(), targets.tolist(), strict=True), reverse=True)
    ]
    return sum((2**t - 1) / math.log2(p + 1) for p, t in enumerate(by_score, 1)) / ideal_dcg(
        targets
    )


# sentence-transformers. Its losses call a model: one that finds the logit of a passage in the
# passage's name.


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


# lightning-ir. Its losses read two tensors of equal length, without a mask: one question at a time.


@pytest.fixture(scope="module")
def lir(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Peer]:
    with pytest.MonkeyPatch.context() as patch:
        # both act at import: folders in the home directory, a switch for tokenizers, the working
        # directory as a path
        patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("ir_datasets")))
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setattr(sys, "path", list(sys.path))
        module = pytest.importorskip("lightning_ir.loss", exc_type=ImportError)

    def peer(name: str, *args: Any, **options: Any) -> Peer:
        def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
            output, batch = (
                SimpleNamespace(scores=torch.stack(scores)),
                SimpleNamespace(targets=torch.stack(targets)),
            )
            value: Tensor = getattr(module, name)(*args, **options).compute_loss(output, batch)
            return value

        return call

    return peer


@pytest.mark.parametrize("kind", ["distinct", "tied", "binary"])
def test_lightning_ir_rank_net(lir: Callable[..., Peer], kind: str) -> None:
    # per question: the peer takes the mean over the pairs of the whole batch
    for question in ragged(kind):
        assert_equal(RankNet(), lir("RankNet"), [question])
        # its temperature multiplies the scores: the reverse of what the word means
        assert_equal(
            PairwiseLogistic(temperature=0.5, weighted=False),
            lir("RankNet", temperature=2),
            [question],
        )


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_lightning_ir_margin_mse(lir: Callable[..., Peer], kind: str) -> None:
    for question in ragged(kind):
        assert_equal(MarginMSE(), lir("SupervisedMarginMSE"), [question])
    for question in ragged("binary"):
        assert_equal(MarginMSE(scale=3.0), lir("ConstantMarginMSE", 3.0), [question])


def test_lightning_ir_losses_of_whole_lists(lir: Callable[..., Peer]) -> None:
    batch = ragged(lengths=(6, 6, 6, 6))
    for lists in (*([question] for question in ragged()), batch):
        assert_equal(KLDivergence(), lir("KLDivergence"), lists)
        assert_equal(InfoNCE(), lir("InfoNCE"), lists)
        for temperature in (1.0, 0.3):
            assert_equal(ApproxNDCG(temperature), lir("ApproxNDCG", temperature), lists)
            assert_equal(
                ADRMSE(temperature), lir("ApproxRankMSE", temperature, discount="log2"), lists
            )


def test_lightning_ir_takes_ties_in_the_order_in_which_they_come(lir: Callable[..., Peer]) -> None:
    # both peers depart: their value depends on the order of the items; ours takes all positives,
    # and mean ranks
    scores, targets = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.8, 0.8, 0.1])
    swapped = torch.tensor([1, 0, 2])
    for ours, peer in (
        (InfoNCE(), lir("InfoNCE")),
        (ADRMSE(), lir("ApproxRankMSE", discount="log2")),
    ):
        here = [float(f([scores], [targets])) for f in (padded(ours), peer)]
        there = [float(f([scores[swapped]], [targets[swapped]])) for f in (padded(ours), peer)]
        assert here[0] == pytest.approx(there[0])
        assert abs(here[1] - there[1]) > 0.1
        if isinstance(ours, InfoNCE):  # the mean over the positives that the peer picks from
            assert here[0] == pytest.approx((here[1] + there[1]) / 2)


# allRank. Padding is a target of -1.


@pytest.fixture(scope="module")
def allrank() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "torchvision",
            "torchvision.transforms",
            "gcsfs",
        ):  # for its data, which are not read here
            stub: Any = ModuleType(name)
            stub.Compose = stub.GCSFileSystem = object
            stub.transforms = stub
            patch.setitem(sys.modules, name, stub)
        pytest.importorskip("allrank.models.losses", exc_type=ImportError)
        return importlib.import_module("allrank.models.losses")


def all_rank(function: Callable[..., Tensor], **options: Any) -> Peer:
    def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
        pad = torch.nn.utils.rnn.pad_sequence
        labels = pad(targets, batch_first=True, padding_value=-1)
        return function(pad(scores, batch_first=True), labels, **options)

    return call


def test_all_rank_neural_ndcg(allrank: ModuleType) -> None:
    for temperature in (2.0, 5.0):
        # the peer's value is -NDCG, and its scaling stops at a tolerance: both have converged here
        loss = NeuralNDCG(temperature, iterations=100)
        for lists in (*([question] for question in ragged()), ragged()):
            assert_equal(
                loss, all_rank(allrank.neuralNDCG, temperature=temperature), lists, offset=1.0
            )


def test_all_rank_approx_ndcg(allrank: ModuleType) -> None:
    for lists in (*([question] for question in ragged()), ragged(lengths=(6, 6, 6))):
        assert_equal(
            ApproxNDCG(0.5), all_rank(allrank.approxNDCGLoss, alpha=2.0), lists, offset=1.0
        )


def test_all_rank_lists(allrank: ModuleType) -> None:
    for lists in (*([question] for question in ragged()), ragged(lengths=(6, 6, 6))):
        assert_equal(ListMLE(), all_rank(allrank.listMLE), lists)
        assert_equal(ListNet(), all_rank(allrank.listNet), lists)


def test_all_rank_pairs(allrank: ModuleType) -> None:
    schemes = {
        "ndcg_loss2": "ndcgLoss2_scheme",
        "lambda_rank": "lambdaRank_scheme",
        "ndcg_loss2++": "ndcgLoss2PP_scheme",
        "none": "rankNet_scheme",
    }
    for question in ragged():
        assert_equal(RankNet(), all_rank(allrank.rankNet), [question])
        for weighting, scheme in schemes.items():
            peer = all_rank(allrank.lambdaLoss, weighing_scheme=scheme)
            assert_equal(LambdaLoss(weighting), peer, [question])  # type: ignore[arg-type]
