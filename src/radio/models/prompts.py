"""What a model of texts says of itself beside its weights: prompts, and the similarity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from radio.models.exported import exported_class
from radio.models.files import side_file
from radio.schema import InputError

SETTINGS = "config_sentence_transformers.json"
"""Where sentence-transformers keeps a model's prompts and similarity."""


def default_prefixes(name: str, prompts: Mapping[str, str | None]) -> tuple[str, str]:
    """Query and passage prefix: what the folder says, else those of the E5 family, else none."""
    query = prompts.get("query") or ""
    passage = prompts.get("passage") or prompts.get("document") or ""
    # an export says all of its prefixes, also that there are none
    if query or passage or exported_class(name):
        return query, passage
    if re.search(r"(^|[/-])e5-(small|base|large)", name.lower()):
        return "query: ", "passage: "
    return query, passage


def model_prompts(name: str) -> dict[str, str | None]:
    """The prompts of a model, read beside its weights, in its folder or on the hub."""
    return dict(side_file(name, SETTINGS).get("prompts") or {})


def model_similarity(name: str) -> Literal["cosine", "dot"]:
    """``cosine`` or ``dot``, as the model says; those that say nothing are known by their name.

    Raises:
        InputError: it is a distance.
    """
    said = side_file(name, SETTINGS).get("similarity_fn_name")
    if said is None and not exported_class(name):
        dot = re.search(r"-dot-v\d|[/-]ance-firstp|-tas-b|-ance-", name.lower())
        return "dot" if dot else "cosine"
    # a model of another kind says for example maxsim, and is read as one of texts
    if said in ("euclidean", "manhattan"):
        raise InputError(f"model {name!r}: similarity: found {said!r}, expected cosine or dot")
    return "dot" if said == "dot" else "cosine"
