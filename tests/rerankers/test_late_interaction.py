"""Late interaction: MaxSim as published, and sentence-transformers' MultiVectorEncoder reads the
export."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.losses import InfoNCE, ListNet
from radio.rerankers import LateInteraction
from radio.schema import InputError
from tests.rerankers.test_base import QUESTIONS, TEXTS, group, learns, pairs, scores

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "colbert": {"query_tokens": 24, "skip_punctuation": True, "dim": 16},
    "mean": {
        "similarity": "meanmaxsim",
        "query_prefix": "[Q] ",
        "passage_prefix": "[D] ",
        "dim": 8,
    },
}


def ready(model: str, **settings: Any) -> LateInteraction:
    reranker = LateInteraction(model, max_length=48, **settings)
    reranker.configure_model()
    return reranker.eval()


@pytest.fixture(params=VARIANTS)
def reranker(request: pytest.FixtureRequest, tiny_bert: str) -> LateInteraction:
    return ready(tiny_bert, **VARIANTS[request.param])


def test_scores_do_not_depend_on_batch_order_or_padding(reranker: LateInteraction) -> None:
    whole = scores(reranker, [group(0, TEXTS), group(1, TEXTS[:2])])
    assert whole.dtype == torch.float32
    assert whole[0].std() > 0
    for i, text in enumerate(TEXTS):
        torch.testing.assert_close(
            scores(reranker, [group(0, [text])])[0, 0], whole[0, i], atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(
        scores(reranker, [group(0, TEXTS[::-1])])[0], whole[0].flip(0), atol=1e-5, rtol=1e-5
    )
    assert scores(reranker, [group(0, [])]).shape == (1, 0)


def test_packed_and_padded_passages_score_alike(reranker: LateInteraction) -> None:
    assert reranker._packed
    packed = scores(reranker, [group(0, TEXTS)])
    reranker._packed = False
    torch.testing.assert_close(scores(reranker, [group(0, TEXTS)]), packed, atol=1e-5, rtol=1e-5)


def test_each_distinct_text_is_encoded_once(reranker: LateInteraction) -> None:
    inputs = reranker.collate([group(0, TEXTS), group(1, TEXTS), group(0, TEXTS[:2])]).inputs
    assert len(inputs["passages"]["lengths"]) == len(TEXTS)
    assert len(inputs["questions"]["input_ids"]) == 2
    assert len(inputs["places"]["passage"]) == 2 * len(TEXTS) + 2


def test_a_few_steps_learn_the_teachers_order(reranker: LateInteraction) -> None:
    learns(reranker, ListNet(temperature=0.02, teacher_temperature=0.1), lr=1e-3)


def test_bf16_scores_stay_close_and_the_loss_is_finite(reranker: LateInteraction) -> None:
    batch = reranker.collate([group(0, TEXTS)])
    exact = reranker(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = reranker(batch)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.3, rtol=0.1)
    assert InfoNCE()(rounded, batch.teacher, batch.mask).isfinite()


def test_the_untrained_model_can_be_rebuilt_exactly(reranker: LateInteraction) -> None:
    before = scores(reranker, [group(0, TEXTS)])
    torch.rand(7)
    with torch.no_grad():
        for parameter in reranker.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    untrained = reranker.untrained_scores(reranker.collate([group(0, TEXTS)]))
    assert untrained[0].tolist() == pytest.approx(before[0].tolist(), abs=1e-5)
    assert not torch.allclose(scores(reranker, [group(0, TEXTS)]), before, atol=1e-3)


def by_hand(folder: Path, question: str, passage: str) -> float:
    """MaxSim with transformers and the weights of the folder alone."""
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    tokenizer, body = (
        AutoTokenizer.from_pretrained(folder),
        AutoModel.from_pretrained(folder).eval(),
    )
    weight = load_file(folder / "1_Dense/model.safetensors")["linear.weight"]
    prompts = json.loads((folder / "config_sentence_transformers.json").read_text())["prompts"]

    def vectors(text: str) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = tokenizer(text, truncation=True, max_length=48, return_tensors="pt")
        with torch.no_grad():
            hidden = body(**tokens).last_hidden_state[0]
        return torch.nn.functional.normalize(hidden @ weight.T, dim=1), tokens["input_ids"][0]

    (q, _), (d, _) = vectors(prompts["query"] + question), vectors(prompts["document"] + passage)
    best = [max(float(a @ b) for b in d) for a in q]
    return sum(best)


def test_sentence_transformers_loads_the_export_and_scores_alike(
    reranker: LateInteraction, tmp_path: Path
) -> None:
    from sentence_transformers import MultiVectorEncoder

    with torch.no_grad():
        for parameter in reranker.parameters():
            parameter.mul_(1.01)
    groups = [group(0, TEXTS), group(1, TEXTS[:3])]
    folder = reranker.export(tmp_path / "export")
    expected = scores(reranker, groups)[reranker.collate(groups).mask]
    other = MultiVectorEncoder(str(folder), device="cpu")
    left, right = zip(*pairs(groups), strict=True)
    found = other.similarity_pairwise(
        other.encode_query(list(left)), other.encode_document(list(right))
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    # all that was chosen is in the folder: this project takes it as the model of the next run
    again = ready(str(folder))
    torch.testing.assert_close(scores(again, groups), scores(reranker, groups), atol=1e-4, rtol=0)


def test_the_exported_weights_give_the_scores_by_the_formula(
    tiny_bert: str, tmp_path: Path
) -> None:
    reranker = ready(tiny_bert)
    folder = reranker.export(tmp_path / "export")
    found = [by_hand(folder, QUESTIONS[0], text) for text in TEXTS]
    assert found == pytest.approx(scores(reranker, [group(0, TEXTS)])[0].tolist(), abs=1e-4)


def test_prefixes_and_dimensions_are_as_set(tiny_bert: str, tmp_path: Path) -> None:
    usual = ready(tiny_bert)
    assert usual.network.prompts == {"query": "", "document": ""}
    output = usual.network(dict(usual.collate([group(0, TEXTS)]).inputs["questions"]), task="query")
    assert output["token_embeddings"].shape[2] == 128
    given = ready(tiny_bert, query_prefix="who ", passage_prefix="", dim=8)
    folder = str(given.export(tmp_path / "export"))
    # the folder's own are kept, and can be replaced
    again = ready(folder)
    assert again.network.prompts == {"query": "who ", "document": ""}
    assert again.network.get_embedding_dimension() == 8
    assert ready(folder, dim=8, query_prefix="").network.prompts["query"] == ""
    assert ready(folder, dim=4).network.get_embedding_dimension() == 4


def test_masks_fill_short_questions_and_punctuation_is_left_out(tiny_bert: str) -> None:
    reranker = ready(tiny_bert, query_tokens=24, skip_punctuation=True)
    questions = reranker.collate([group(0, TEXTS)]).inputs["questions"]
    assert questions["input_ids"].shape == (1, 24)
    assert (questions["input_ids"] == reranker.tokenizer.mask_token_id).any()
    output = reranker.network(dict(questions), task="query")
    assert output["attention_mask"].sum() == 24
    where = reranker.collate([group(0, ["lamp . ? tide ?"])]).inputs["passages"]
    _, kept = reranker._passages(where)
    words = reranker.tokenizer.convert_ids_to_tokens(where["input_ids"])
    assert [w for w, k in zip(words, kept[0].tolist(), strict=True) if not k] == [
        w for w in words if w in string.punctuation
    ]
    assert 2 <= int((~kept).sum()) <= 5


def test_stanford_checkpoints_keep_their_markers_masks_and_projection(
    tiny_bert: str, tmp_path: Path
) -> None:
    """The layout of colbert-ir/colbertv2.0: one weight file, HF_ColBERT, artifact.metadata."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "colbert"
    shutil.copytree(tiny_bert, folder)
    weights = {f"bert.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    weights["linear.weight"] = torch.randn(12, 32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["HF_ColBERT"]}
    (folder / "config.json").write_text(json.dumps(config))
    marker = {"query_token_id": "[UNK]", "doc_token_id": "lamp"}
    metadata = {"query_maxlen": 20, "doc_maxlen": 30, "mask_punctuation": True, **marker}
    (folder / "artifact.metadata").write_text(json.dumps(metadata))
    reranker = ready(str(folder))
    assert reranker.network.get_embedding_dimension() == 12
    questions = reranker.collate([group(0, TEXTS)]).inputs["questions"]["input_ids"]
    assert questions.shape == (1, 20)
    assert questions[0, 1] == reranker.tokenizer.unk_token_id
    torch.testing.assert_close(reranker.network[1].linear.weight.data, weights["linear.weight"])


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*no such folder"):
        LateInteraction(f"{tmp_path}/nowhere").configure_model()


@pytest.mark.slow
def test_a_run_trains_and_exports(radio, tiny_run: list[str]) -> None:  # type: ignore[no-untyped-def]
    status, out, err = radio(
        "fit", *tiny_run, "--model", "LateInteraction", "--model.init_args.query_tokens", "24"
    )
    assert status == 0, err
    assert "tuned - base" in out
    assert Path("runs/tiny/export/1_Dense/model.safetensors").is_file()
