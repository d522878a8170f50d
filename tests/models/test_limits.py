"""No setting of ``max_length`` reads beyond the positions of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from radio.cache import Cache
from radio.encoders import Encoder
from radio.generators import ExtractiveReader, Prompt
from radio.models.limits import capped, padded_length, positions
from radio.rationales import Failure, Request, TransformersWriter
from radio.rationales.judges import NLIJudge
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, YesNoLM
from radio.schema import InputError, Passage, Question, Rationale
from tests.models.test_loading import QUESTION
from tests.rationales.test_judges import nli
from tests.rerankers.test_base import group, scores
from tests.rerankers.test_bi_encoder_dot import ance  # noqa: F401 -- a fixture
from tests.rerankers.test_yes_no import make_decoder

LONG = "fog lamp tide " * 100
GROUPS = [group(0, [LONG, "rope", "rope " + LONG])]


@pytest.mark.parametrize("kind", [CrossEncoder, BiEncoder, LateInteraction])
def test_rerankers_cut_at_the_positions_of_the_model(
    kind: Any, tiny_bert: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reranker = kind(model=tiny_bert, max_length=513)
    reranker.configure_model()
    assert reranker.max_length == 64
    found = scores(reranker.eval(), GROUPS)
    usual = kind(model=tiny_bert, max_length=64)
    usual.configure_model()
    torch.testing.assert_close(found, scores(usual.eval(), GROUPS))


def test_a_cap_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert (capped(70, 64, "some/model"), capped(64, 64, "x"), capped(9, None, "x")) == (64, 64, 9)
    said = capsys.readouterr().err
    assert (
        said == "max_length 70: 'some/model' has 64 positions, so texts are cut after 64 tokens\n"
    )


def test_roberta_has_fewer_positions_than_its_table(ance: str) -> None:  # noqa: F811
    reranker = BiEncoder(ance, max_length=100)
    reranker.configure_model()
    assert reranker.max_length == positions(reranker.network) == 64
    assert scores(reranker.eval(), GROUPS).isfinite().all()


def test_an_encoder_cuts_at_the_positions_of_the_model(ance: str, tmp_path: Path) -> None:  # noqa: F811
    found = Encoder(ance, max_length=500, device="cpu").encode(
        [LONG], Cache(tmp_path / "one.sqlite")
    )
    usual = Encoder(ance, max_length=64, device="cpu").encode(
        [LONG], Cache(tmp_path / "two.sqlite")
    )
    np.testing.assert_allclose(found, usual)


def test_a_judge_cuts_at_the_positions_of_the_model(tiny_bert: str, tmp_path: Path) -> None:
    model = nli(tiny_bert, tmp_path / "nli", ["entailment", "contradiction", "neutral"])
    pairs = [(QUESTION, Rationale("q", LONG))]
    found = NLIJudge(model, device="cpu").contradicts(pairs)
    assert found == NLIJudge(model, device="cpu", max_length=64).contradicts(pairs)


def test_a_reader_cuts_its_windows_at_the_positions_of_the_model(tiny_reader: str) -> None:
    prompts = [
        Prompt(Question("q", "Who lit the lamp?"), (Passage("p", LONG), Passage("r", "rope")))
    ]
    assert ExtractiveReader(tiny_reader, device="cpu").answer(prompts)[0]
    usual = ExtractiveReader(tiny_reader, device="cpu", max_length=64, stride=16)
    assert usual.answer(prompts) == ExtractiveReader(tiny_reader, device="cpu").answer(prompts)


def test_a_yes_no_model_cuts_at_its_positions(tmp_path: Path) -> None:
    decoder = make_decoder(tmp_path / "decoder", "qwen3")
    reranker = YesNoLM(decoder, max_length=4000)
    reranker.configure_model()
    assert reranker.max_length == 512
    rows = reranker.collate(GROUPS).inputs["pairs"]["lengths"]
    assert 480 < max(rows) <= 512


def gpt2(folder: Path, tiny_bert: str) -> str:
    """A decoder with a table of 64 positions, beyond which there is nothing."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert, eos_token="[SEP]")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=32,
        n_layer=1,
        n_head=2,
        bos_token_id=2,
        eos_token_id=3,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


def test_a_writer_leaves_room_for_the_answer(tiny_bert: str, tmp_path: Path) -> None:
    model = gpt2(tmp_path / "gpt2", tiny_bert)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("=== user\n{question} {answers}")
    asked = [Request("a", Question("a", "lamp", ("x",))), Request("b", Question("b", LONG, ("x",)))]

    def write(max_tokens: int) -> list[Rationale | Failure]:
        writer = TransformersWriter(
            model, prompt=str(prompt), accelerator="cpu", max_tokens=max_tokens
        )
        return list(writer.write(asked, Cache(tmp_path / "unused.sqlite")))

    by_question = {result.question_id: result for result in write(20)}
    assert isinstance(by_question["a"], Rationale)
    assert isinstance(by_question["b"], Failure)
    assert "more than max_length 44" in str(by_question["b"])
    with pytest.raises(
        InputError, match="max_tokens: found 64, expected less than the 64 positions"
    ):
        write(64)


def test_lengths_are_few_on_gpus_and_within_the_limit() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert [padded_length(longest, 512, cpu) for longest in (1, 65, 512)] == [1, 65, 512]
    widths = [padded_length(longest, 500, gpu) for longest in range(1, 501)]
    assert set(widths) == {*range(64, 500, 64), 500}
    assert all(width >= longest for longest, width in enumerate(widths, 1))


@pytest.mark.parametrize("kind", [CrossEncoder, BiEncoder, LateInteraction, YesNoLM])
def test_what_a_gpu_pads_more_changes_no_score(
    kind: Any, tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder(tmp_path / "decoder", "qwen3") if kind is YesNoLM else tiny_bert
    reranker = kind(model=str(model), max_length=512 if kind is YesNoLM else 64)
    reranker.configure_model()
    reranker.eval()
    reranker._packed = False
    groups = [group(0, ["fog lamp", "rope", "tide " * 20])]
    found = scores(reranker, groups)
    asked: list[int] = []

    def as_on_a_gpu(longest: int, limit: int, device: torch.device) -> int:
        asked.append(padded_length(longest, limit, torch.device("cuda")))
        return asked[-1]

    monkeypatch.setattr("radio.models.packing.padded_length", as_on_a_gpu)
    torch.testing.assert_close(scores(reranker, groups), found, rtol=1e-4, atol=1e-5)
    assert asked
    assert all(width % 64 == 0 for width in asked)
