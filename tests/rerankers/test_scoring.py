"""Scores outside of Lightning's loops are those of an evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from radio.rerankers import BiEncoder, CrossEncoder
from radio.rerankers.scoring import load, scores_of
from radio.schema import InputError
from tests.rerankers.test_base import TEXTS, group, scores

GROUPS = [group(0, TEXTS), group(1, []), group(1, TEXTS[:2])]


def test_each_group_has_the_scores_of_its_passages(tiny_bert: str, tmp_path: Path) -> None:
    trained = CrossEncoder(model=tiny_bert, max_length=40, dropout=0.5)
    trained.configure_model()
    folder = str(trained.export(tmp_path / "export"))
    reranker = CrossEncoder(model=folder, max_length=40, dropout=0.5)
    load(reranker, "cpu")
    assert not reranker.network.training
    found = scores_of(reranker, reranker.collator(), GROUPS)
    assert [len(row) for row in found] == [len(TEXTS), 0, 2]
    expected = scores(reranker, GROUPS)
    assert found[0] == pytest.approx(expected[0].tolist())
    assert found[2] == pytest.approx(expected[2, :2].tolist())
    assert torch.is_grad_enabled()


def test_a_head_that_no_file_has_is_refused(tiny_bert: str) -> None:
    with pytest.raises(InputError, match="random"):
        load(CrossEncoder(model=tiny_bert, max_length=40), "cpu")
    load(BiEncoder(model=tiny_bert, max_length=40), "cpu")
