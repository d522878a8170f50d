"""Tokenizers, which can pad and are of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio.models.files import (
    TOKENIZER_FILES,
    check_folder,
    check_gguf,
    refused,
    resolve_model,
)
from radio.models.messages import explained

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(
    name: str, folder: str | None = None, gguf_file: str | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, which can pad.

    Args:
        name: of the model.
        folder: where the tokenizer is, if not beside the model.
        gguf_file: that holds it.

    Raises:
        InputError: there is none, or it has no vocabulary.
    """
    from transformers import AutoTokenizer

    options = {}
    path = folder or resolve_model(name)
    if gguf_file is not None:
        check_gguf(name, gguf_file)
        options["gguf_file"] = gguf_file
    else:
        check_folder(name)
        _check_there(name, Path(path))
    with explained(name):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **options)
    check_vocabulary(name, tokenizer)
    can_pad(name, tokenizer)
    return tokenizer


def _check_there(name: str, path: Path) -> None:
    if path.is_dir() and not any(any(path.glob(kind)) for kind in TOKENIZER_FILES):
        raise refused(name, NO_TOKENIZER)


NO_TOKENIZER = (
    "no tokenizer (tokenizer.json) with a vocabulary; save it there with tokenizer.save_pretrained"
)


def check_vocabulary(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """transformers makes an empty tokenizer where the folder has none."""
    if len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise refused(name, NO_TOKENIZER)


def check_token_ids(name: str, tokenizer: PreTrainedTokenizerBase, network: Any) -> None:
    """The tokenizer of another model gives tokens for which the network has no vector.

    Tokens that were added to the tokenizer alone, as padding often is, are no part of its own
    vocabulary.

    Raises:
        InputError: its vocabulary is larger than the network's table of embeddings.
    """
    try:
        known = int(network.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):
        return
    added = tokenizer.get_added_vocab()
    beyond = []
    for token, number in tokenizer.get_vocab().items():
        if number >= known and token not in added:
            beyond.append(token)
    if beyond:
        raise refused(
            name,
            f"its tokenizer has {len(beyond)} tokens, such as {min(beyond)!r}, beyond the {known} "
            "that the network has embeddings of, so it is of another model; save the model's own "
            "tokenizer beside its weights",
        )


def can_pad(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer without padding, as GPT-2's, pad with its end of text, which is masked.

    Raises:
        InputError: it has neither.
    """
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise refused(
                name,
                "its tokenizer has neither a pad_token nor an eos_token; add one to "
                "tokenizer_config.json",
            )
        tokenizer.pad_token = tokenizer.eos_token
