"""A reranker as teacher: its own scores whatever the batch, computed once, in fp32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from radio.cache import Cache
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, PromptShape, Reranker, YesNoLM
from radio.schema import Group, GroupBatch, InputError, Passage, Question, Rationale
from radio.schema import RetrievedPassage as Retrieved
from radio.teachers import Lesson, RerankerTeacher, checked_scores, needs
from radio.teachers.rerankers import sigmoid
from tests.conftest import entries

TEXTS = (
    "Lamp\nthe keeper lit the lamp at the tower",
    "storm " * 200,
    "gull",
    "tide and bell in the harbour",
    "gull",
)
PASSAGES = [Retrieved(f"p{n}", text, n, -float(n)) for n, text in enumerate(TEXTS)]
ASKED = Question("q1", "who lit the lamp?", ("keeper", "captain"))
RATIONALE = Rationale("q1", "because the keeper lit the tower")
WORK = [
    Lesson(ASKED, RATIONALE, PASSAGES),
    Lesson(Question("q2", "who in the storm?", ("gull",)), None, PASSAGES[1:3]),
    Lesson(Question("q3", "why?"), None, PASSAGES[:1]),
    Lesson(Question("q4", "why?"), None, []),
]
SHAPE = PromptShape(parts=("who ", "{question} ", "in {passage}", " ."))


@pytest.fixture(scope="module")
def folder(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An exported cross-encoder whose scores differ."""
    return exported(CrossEncoder(tiny_bert, max_length=48), tmp_path_factory.mktemp("e") / "export")


def exported(reranker: Reranker, folder: Path) -> str:
    torch.manual_seed(3)
    reranker.configure_model()
    for parameter in reranker.network.parameters():
        if parameter.dim() > 1:
            parameter.data *= 6
    return str(reranker.export(folder))


def scored(teacher: RerankerTeacher, work: Sequence[Lesson], cache: Cache) -> list[list[float]]:
    return list(checked_scores(teacher, work, cache))


def cpu(reranker: Reranker | str, **options: Any) -> RerankerTeacher:
    return RerankerTeacher(reranker, device="cpu", **options)


@pytest.mark.parametrize("scale", ["sigmoid", "min_max"])
def test_scores_are_those_of_the_model_in_float64(scale: Any, folder: str, cache: Cache) -> None:
    found = scored(cpu(folder, scale=scale, batch_size=3), WORK, cache)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64)
    for one, scores in zip(WORK, found, strict=True):
        logits = []
        for passage in one.passages:
            pair = (one.question.question, passage.contents)
            tokens = tokenizer(*pair, truncation=True, max_length=48, return_tensors="pt")
            with torch.no_grad():
                logits.append(network(**tokens).logits.item())
        values = np.array(logits)
        if scale == "sigmoid":
            expected = 1 / (1 + np.exp(-values))
        elif len(values) > 1:
            expected = (values - values.min()) / (values.max() - values.min())
        else:
            expected = np.full(len(values), 0.5)
        assert scores == pytest.approx(expected.tolist(), abs=1e-5)
    assert len({round(score, 5) for score in found[0]}) == 4
    # equal texts
    assert found[0][2] == found[0][4]


@pytest.mark.parametrize("kind", ["bi-encoder", "question side", "late interaction", "yes or no"])
def test_a_reranker_of_any_kind_scores_a_pair_in_a_batch_as_by_itself(
    kind: str, tiny_bert: str, tiny_generator: str, cache: Cache, tmp_path: Path
) -> None:
    make: dict[str, Callable[[], Reranker]] = {
        "bi-encoder": lambda: BiEncoder(tiny_bert, max_length=48),
        "question side": lambda: BiEncoder(tiny_bert, max_length=48, train_side="question"),
        "late interaction": lambda: LateInteraction(str(tmp_path / "export"), max_length=48),
        "yes or no": lambda: YesNoLM(tiny_generator, SHAPE, max_length=60),
    }
    if kind == "late interaction":
        exported(LateInteraction(tiny_bert, dim=8), tmp_path / "export")
    teacher = cpu(make[kind]())
    found = scored(teacher, WORK, cache)
    alone = make[kind]()
    alone.configure_model()
    alone.eval()
    for one, scores in zip(WORK[:2], found, strict=False):
        values = []
        for passage in one.passages:
            alone.index({passage.id: passage}, cache)
            group = Group(one.question, (passage,), (0.0,))
            with torch.no_grad():
                values.append(float(alone(alone.collate([group]))[0, 0]))
        low, high = min(values), max(values)
        expected = [(value - low) / (high - low) for value in values]
        assert scores == pytest.approx(expected, abs=1e-4)
    assert (found[2], found[3]) == ([0.5], [])


def test_each_pair_is_scored_once_whatever_the_order_and_the_scale(
    folder: str, cache: Cache
) -> None:
    (scores,) = scored(cpu(folder), WORK[:1], cache)
    assert entries(cache) == {"reranker score": 4}
    order = [3, 0, 4, 2, 1]
    moved = Lesson(ASKED, None, [PASSAGES[place] for place in order])
    other = cpu(folder, batch_size=1)
    assert scored(other, [moved], cache) == [[scores[place] for place in order]]
    scored(cpu(folder, scale="sigmoid"), WORK[:1], cache)
    assert other.reranker.network is None, "nothing was left to be scored"
    # the same text under the name of another passage, for a question of another name
    twin = Lesson(Question("q9", ASKED.question), None, [Retrieved("x", TEXTS[0], 0, 1.0)])
    scored(other, [twin], cache)
    assert entries(cache) == {"reranker score": 4}


class Mortal(CrossEncoder):
    """Is interrupted after so many batches."""

    lives = 1000
    sizes: tuple[int, ...] = ()

    def score(self, batch: GroupBatch) -> Tensor:
        if Mortal.lives == 0:
            raise KeyboardInterrupt
        Mortal.lives -= 1
        Mortal.sizes += (len(batch.question_ids),)
        return super().score(batch)


def test_a_kill_loses_one_batch(folder: str, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mortal, "lives", 2)
    monkeypatch.setattr(Mortal, "sizes", ())
    with pytest.raises(KeyboardInterrupt):
        scored(cpu(Mortal(folder, max_length=48), batch_size=2), WORK, cache)
    assert entries(cache) == {"reranker score": 4}
    monkeypatch.setattr(Mortal, "lives", 100)
    found = scored(cpu(Mortal(folder, max_length=48), batch_size=2), WORK, cache)
    assert Mortal.sizes == (2, 2, 2, 1)
    whole = scored(cpu(folder), WORK, Cache(cache.path.parent / "b.sqlite"))
    for scores, expected in zip(found, whole, strict=True):
        assert scores == pytest.approx(expected, abs=1e-5)


def test_scores_are_in_fp32_and_come_back_after_a_release(folder: str, tmp_path: Path) -> None:
    teacher = cpu(folder, scale="sigmoid")
    expected = scored(teacher, WORK, Cache(tmp_path / "a.sqlite"))
    teacher.release()
    assert teacher.reranker.network is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scored(teacher, WORK, Cache(tmp_path / "b.sqlite")) == expected
    assert not teacher.reranker.network.training


def test_passages_may_be_scored_for_the_rationale_or_a_template(folder: str, cache: Cache) -> None:
    work = WORK[:1]
    by_rationale = cpu(folder, query="rationale")
    assert by_rationale.text(ASKED, RATIONALE) == RATIONALE.text
    assert needs(by_rationale) == ["rationale"]
    template = cpu(folder, query="{question} {answers}. {rationale}", separator=" or ")
    expected = f"{ASKED.question} keeper or captain. {RATIONALE.text}"
    assert template.text(ASKED, RATIONALE) == expected
    assert needs(template) == ["golden answers", "rationale"]
    assert needs(cpu(folder)) == []
    as_question = Question("q1", expected)
    plain = scored(cpu(folder), [Lesson(as_question, None, PASSAGES)], cache)
    assert scored(template, work, cache) == plain
    # as rerankers are given a question
    searched = Question("q5", "which one?", search="who lit the lamp?")
    assert cpu(folder).text(searched, None) == "who lit the lamp?"
    with pytest.raises(InputError, match=r"RerankerTeacher: query 'r{ationale}' has an unknown"):
        cpu(folder, query="r{ationale}")
    with pytest.raises(InputError, match="RerankerTeacher: query: found 'answers', the same text"):
        cpu(folder, query="answers")


def test_a_random_head_is_refused(tiny_bert: str, cache: Cache) -> None:
    with pytest.raises(InputError, match=r"weights .* of a CrossEncoder are missing and would be"):
        scored(cpu(CrossEncoder(tiny_bert, max_length=48)), WORK, cache)
    assert entries(cache) == {}


class OwnHead(Reranker):
    """A class of a user's own, with a head that no file has."""

    def build(self) -> nn.Module:
        return nn.Linear(1, 1)

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        raise NotImplementedError

    def score(self, batch: GroupBatch) -> Tensor:
        raise NotImplementedError


def test_a_random_head_of_a_class_of_ones_own_is_refused(tiny_bert: str, cache: Cache) -> None:
    with pytest.raises(InputError, match=r"weights .* of a OwnHead are missing and would be"):
        scored(cpu(OwnHead(tiny_bert)), WORK, cache)


def test_a_reranker_that_is_loaded_may_have_been_trained_and_is_refused(folder: str) -> None:
    loaded = CrossEncoder(folder)
    loaded.configure_model()
    with pytest.raises(InputError, match="found a CrossEncoder that is loaded"):
        RerankerTeacher(loaded)


def test_a_folder_stands_for_its_class_and_settings(folder: str, tiny_bert: str) -> None:
    (Path(folder).parent / ".radio").touch()
    by_class = RerankerTeacher(CrossEncoder(folder, max_length=48)).fingerprint()
    assert RerankerTeacher(folder).fingerprint() == by_class
    assert RerankerTeacher(str(Path(folder).parent)).fingerprint() == by_class


def test_a_key_follows_weights_and_settings_that_change_a_score(
    folder: str, tiny_bert: str, tmp_path: Path
) -> None:
    other = exported(CrossEncoder(tiny_bert, max_length=40), tmp_path / "other")
    teachers = [
        RerankerTeacher(CrossEncoder(folder, max_length=48)),
        RerankerTeacher(CrossEncoder(folder, max_length=32)),
        RerankerTeacher(Mortal(folder, max_length=48)),
        RerankerTeacher(CrossEncoder(other, max_length=48)),
        RerankerTeacher(BiEncoder(tiny_bert)),
        RerankerTeacher(BiEncoder(tiny_bert, scale=2.0)),
        RerankerTeacher(BiEncoder(tiny_bert, query_prefix="query: ")),
        RerankerTeacher(YesNoLM(tiny_bert)),
        RerankerTeacher(YesNoLM(tiny_bert, instruction="Who?")),
        RerankerTeacher(folder, query="rationale"),
        RerankerTeacher(folder, scale="sigmoid"),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)
    same = CrossEncoder(folder, max_length=48, lr=1.0, dropout=0.5, compile=True)
    before = RerankerTeacher(same, batch_size=3, device="cpu")
    assert before.fingerprint() == teachers[0].fingerprint()


def test_a_key_stays_when_the_model_has_fewer_positions(folder: str, cache: Cache) -> None:
    teacher = cpu(CrossEncoder(folder, max_length=500))
    before = teacher.fingerprint()
    scored(teacher, WORK, cache)
    assert teacher.reranker.max_length == 64
    assert teacher.fingerprint() == before


@pytest.mark.parametrize("score", [-1e4, -30.0, -1.0, 0.0, 2.0, 50.0, 1e4])
def test_sigmoid_of_scores_of_any_size(score: float) -> None:
    assert sigmoid(score) == pytest.approx(0.5 * (1 + math.tanh(score / 2)), abs=1e-12)


def test_passages_that_are_no_retrieved_ones_will_do(folder: str, cache: Cache) -> None:
    plain: Any = [Passage("p", TEXTS[0]), Passage("r", TEXTS[3])]
    assert sorted(scored(cpu(folder), [Lesson(ASKED, None, plain)], cache)[0]) == [0, 1]
