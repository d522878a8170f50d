"""ONNX files give the reranker's scores, with nothing but ONNX Runtime and the tokenizer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, Reranker
from radio.rerankers.onnx import (
    FP32,
    INT8,
    OnnxScorer,
    as_json,
    check_installed,
    describe,
    write_fp32,
    write_int8,
)
from radio.rerankers.opening import opened
from radio.rerankers.scoring import load, scores_of
from radio.schema import InputError
from tests.rerankers.test_base import TEXTS, group

GROUPS = [group(0, TEXTS), group(1, []), group(1, TEXTS[:3])]


def exported(folder: Path, reranker: Reranker) -> str:
    """An export whose scores are far enough apart to be told from rounding."""
    reranker.configure_model()
    for name, parameter in reranker.network.named_parameters():
        if parameter.dim() > 1 and "embeddings" not in name:
            parameter.data *= 8
    return str(reranker.eval().export(folder))


@pytest.fixture(scope="module")
def onnx_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Reranker, Path]]:
    """An export by a name, and the folder of its files; made once."""
    made: dict[str, tuple[Reranker, Path]] = {}

    def make(name: str, reranker: Reranker | None = None) -> tuple[Reranker, Path]:
        if name not in made:
            assert reranker is not None
            folder = tmp_path_factory.mktemp("onnx")
            again = opened(exported(folder / "export", reranker))
            write_int8(write_fp32(again, describe(again), folder))
            load(again, "cpu")
            made[name] = again, folder
        return made[name]

    return make


KINDS: dict[str, Callable[[str], Reranker]] = {
    "cross-encoder": lambda model: CrossEncoder(model=model, max_length=24),
    "bi-encoder": lambda model: BiEncoder(
        model=model, max_length=24, query_prefix="query: ", passage_prefix="passage: "
    ),
    "dot product": lambda model: BiEncoder(model=model, max_length=24, similarity="dot", scale=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_reranker(
    kind: str, tiny_bert: str, onnx_of: Callable[..., tuple[Reranker, Path]]
) -> None:
    reranker, folder = onnx_of(kind, KINDS[kind](tiny_bert))
    expected = scores_of(reranker, reranker.collator(), GROUPS)
    about = describe(reranker)
    found = OnnxScorer(folder / FP32, about, reranker.tokenizer, 1)(GROUPS)
    assert list(map(len, found)) == [len(TEXTS), 0, 3]
    # in the order of the candidates, whatever order they are computed in
    for one, other in zip(expected, found, strict=True):
        assert other == pytest.approx(one, abs=1e-4)
    assert len(set(found[0])) == len(TEXTS)
    rounded = OnnxScorer(folder / INT8, about, reranker.tokenizer, 1)(GROUPS)
    spread = max(expected[0]) - min(expected[0])
    for one, other in zip(expected, rounded, strict=True):
        assert other == pytest.approx(one, abs=spread / 2)
    assert rounded != found
    assert (folder / INT8).stat().st_size < (folder / FP32).stat().st_size


@pytest.mark.slow
def test_files_are_read_by_onnx_runtime_and_a_tokenizer_alone(
    tiny_bert: str, onnx_of: Callable[..., tuple[Reranker, Path]]
) -> None:
    import onnxruntime
    from transformers import AutoTokenizer

    reranker, folder = onnx_of("cross-encoder", KINDS["cross-encoder"](tiny_bert))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(folder / FP32, providers=["CPUExecutionProvider"])
    asked = [GROUPS[0].question.query] * len(TEXTS)
    # cut where the reranker cuts: the tokenizer says so
    tokens = tokenizer(asked, TEXTS, truncation=True, padding=True, return_tensors="np")
    assert tokens["input_ids"].shape[1] == 24
    (logits,) = session.run(["logits"], dict(tokens))
    expected = scores_of(reranker, reranker.collator(), GROUPS[:1])[0]
    assert logits[:, 0].tolist() == pytest.approx(expected, abs=1e-4)


def test_how_to_rank_is_written_down(tiny_bert: str) -> None:
    cross = describe(CrossEncoder(model=tiny_bert, max_length=40))
    assert as_json(cross) == {
        "class": "CrossEncoder",
        "inputs": ["input_ids", "attention_mask"],
        "output": "logits",
        "max_length": 40,
    }
    both = as_json(describe(BiEncoder(model=tiny_bert, query_prefix="q: ", passage_prefix="p: ")))
    assert both["output"] == "sentence_embedding"
    assert (both["query_prefix"], both["passage_prefix"], both["scale"]) == ("q: ", "p: ", 20.0)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda model: LateInteraction(model=model), "found LateInteraction, expected"),
        (lambda model: BiEncoder(model=model, multi_vector=1.0), "BiEncoder with multi_vector"),
        (
            lambda model: BiEncoder(model=model, train_side="question"),
            "BiEncoder with train_side question, which is two models",
        ),
        (lambda model: Own(model=model), "found Own, expected"),
    ],
)
def test_others_are_refused_by_name(
    make: Callable[[str], Reranker], found: str, tiny_bert: str
) -> None:
    with pytest.raises(InputError, match=found):
        describe(make(tiny_bert))


class Own(CrossEncoder):
    """A user's class, which may score in any way."""


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'radio-rag\[onnx\]'"):
        check_installed()


def test_what_torch_cannot_export_is_named(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator\nand a page of it")

    reranker = CrossEncoder(model=tiny_bert, max_length=40)
    reranker.configure_model()
    again = opened(str(reranker.export(tmp_path / "export")))
    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(InputError, match=r"its architecture \(bert\): no such operator$"):
        write_fp32(again, describe(again), tmp_path)
