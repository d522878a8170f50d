"""CoRT is composed of parts: a bi-encoder, a margin between cosines, negatives of the retriever,
and a merged ranking."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.data.loading import Groups
from radio.losses import PairwiseHinge
from radio.rerankers import BiEncoder
from radio.retrievers import BM25
from radio.samplers import RetrieverNegatives
from tests.conftest import World, read_jsonl
from tests.data.test_module import module
from tests.rerankers.test_base import ready

Radio = Callable[..., tuple[int, str, str]]


def test_the_groups_hold_the_teachers_best_and_bm25s_top(world: World, tiny_bert: str) -> None:
    data = module(world, retriever=BM25())
    data.prepare_data()
    data.setup("fit")
    sampler = RetrieverNegatives(negatives=1, first=1, last=3)
    groups = Groups(data.examples["train"], data.corpus, sampler, 0)
    seen = 0
    for index, example in enumerate(data.examples["train"]):
        teacher = example.teacher or {}
        ranks = {one.passage_id: one.rank for one in example.candidates}
        for epoch in range(4):
            (group,) = groups[epoch, index]
            positive, negative = (passage.id for passage in group.passages)
            assert teacher[positive] == max(teacher.values())
            allowed = [
                name
                for name, rank in ranks.items()
                if 1 <= rank <= 3 and teacher[name] < teacher[positive]
            ]
            seen += len(allowed)
            assert negative in (allowed or list(ranks))
    assert seen


def test_the_loss_is_a_margin_between_cosines(world: World, tiny_bert: str) -> None:
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    groups = Groups(data.examples["train"], data.corpus, RetrieverNegatives(), 0)
    batch_groups = [groups[0, 0][0], groups[0, 1][0]]
    reranker = ready(BiEncoder, tiny_bert, scale=1.0, similarity="cosine")
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(tiny_bert, device="cpu")
    other.max_seq_length = 48
    expected = []
    for group in batch_groups:
        texts = [passage.contents for passage in group.passages]
        cosines = other.similarity(other.encode([group.question.query]), other.encode(texts))[0]
        expected.append(max(0.0, 0.1 - float(cosines[0] - cosines[1])))
    batch = reranker.collate(batch_groups)
    with torch.no_grad():
        found = PairwiseHinge(margin=0.1)(reranker(batch), batch.teacher, batch.mask)
    assert float(found) == pytest.approx(sum(expected) / 2, abs=1e-5)


def test_the_overlay_trains_merges_and_exports(
    radio: Radio, tiny_run: list[str], tiny_bert: str, tmp_path: Path
) -> None:
    first, second, *others = tiny_run
    model = ["--model.init_args.model", tiny_bert]
    status, out, err = radio("fit", first, second, "--config", "rerankers/cort", *others, *model)
    assert status == 0, err
    folder = tmp_path / "runs/tiny"
    config = (folder / "config.yaml").read_text()
    assert "RetrieverNegatives" in config
    assert "PairwiseHinge" in config
    document: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    for split in ("validation", "test"):
        assert document["fused"][split] == {"method": "interleave", "weights": None}
        assert document[split]["fused"].keys() == document[split]["tuned"].keys()
    assert "fused: reranker and retriever by interleave" in out
    for row in read_jsonl(folder / "predictions.jsonl"):
        assert row["fused"]["passage_ids"][0] == row["tuned"]["passage_ids"][0]
    note = json.loads((folder / "export/radio.json").read_text())
    assert note["class"] == "BiEncoder"
    assert note["init_args"]["scale"] == 1.0
