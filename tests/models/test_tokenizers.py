"""A tokenizer whose tokens the network has no vectors for: refused when it is loaded, not in the
first batch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.encoders import load_encoder
from radio.generators import ExtractiveReader
from radio.generators.base import Prompt
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction
from radio.schema import InputError, Question, RetrievedPassage


def other_tokenizer(model: str, folder: Path) -> str:
    shutil.copytree(model, folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["lamp"] = 999
    path.write_text(json.dumps(content))
    return str(folder)


@pytest.mark.parametrize(
    "load",
    [
        lambda model: BiEncoder(model=model).configure_model(),
        lambda model: CrossEncoder(model=model).configure_model(),
        lambda model: LateInteraction(model=model).configure_model(),
        lambda model: load_encoder(model),
    ],
    ids=["BiEncoder", "CrossEncoder", "LateInteraction", "Encoder"],
)
def test_a_tokenizer_of_another_model_is_refused(
    load: Callable[[str], Any], tiny_bert: str, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match="its tokenizer has 1 tokens, such as 'lamp', beyond the 1"
    ):
        load(other_tokenizer(tiny_bert, tmp_path / "model"))


def test_so_it_is_for_a_reader(tiny_reader: str, tmp_path: Path) -> None:
    reader = ExtractiveReader(model=other_tokenizer(tiny_reader, tmp_path / "model"))
    prompt = Prompt(
        Question("q", "Who lit the lamp?"), (RetrievedPassage("p", "About\nThe lamp."),)
    )
    with pytest.raises(InputError, match="its tokenizer has 1 tokens, such as 'lamp'"):
        reader.answer([prompt])


def test_a_token_that_was_added_for_padding_alone_is_none_of_its_vocabulary(tiny_bert: str) -> None:
    tokenizer = load_tokenizer(tiny_bert)
    network = torch.nn.Module()
    table = torch.nn.Embedding(len(tokenizer), 4)
    network.get_input_embeddings = lambda: table
    tokenizer.add_special_tokens({"pad_token": "[MY_PAD]"})
    check_token_ids("model", tokenizer, network)
