"""What run folders leave out: the passages' texts, and the rationales."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from radio.cache import Cache
from radio.comparing.reading import RunResults
from radio.corpus import passages_in
from radio.formats import read_beir
from radio.lines import find_file
from radio.schema import InputError, Passage

LARGEST_CACHE = 1 << 31
"""Bytes of a cache that is looked through for rationales; larger ones are full of embeddings."""


class Texts(NamedTuple):
    """What was found, and what is to be said of the rest."""

    passages: Mapping[str, Passage]
    rationales: Mapping[str, str]
    """By question id."""
    remarks: Sequence[str]


def find_texts(
    run: RunResults,
    passages: Collection[str],
    questions: Mapping[str, str],
    corpus: Sequence[str | Path] = (),
) -> Texts:
    """The texts of passages and the rationales of questions, as files and cache have them now.

    Args:
        run: whose config says where they are; relative paths start at the working folder, as they
            did for the run.
        passages: ids of those that are wanted.
        questions: text by id of those whose rationales are wanted.
        corpus: files that win over those of the config.

    Raises:
        InputError: a file is damaged, or one of ``corpus`` is not there.
    """
    class_path, settings = _data_module(run)
    files = [Path(file) for file in corpus]
    if not files:
        files = [file for file in corpus_files(class_path, settings) if file.is_file()]
    found_passages = _read(files, passages)
    remarks = []
    lacking = len(passages) - len(found_passages)
    if not files:
        remarks.append(
            "The texts of the passages are not shown, their ids alone: the run's config names no "
            "file of passages that is there now (radio report --corpus FILE names one)."
        )
    elif lacking:
        remarks.append(
            f"The text of {lacking:,} of {len(passages):,} passages is not in "
            f"{', '.join(file.name for file in files)}; their ids are shown alone."
        )
    rationales, reason = _rationales(settings.get("cache_dir"), questions)
    if reason:
        remarks.append(reason)
    return Texts(found_passages, rationales, remarks)


def _data_module(run: RunResults) -> tuple[str, Mapping[str, Any]]:
    """Class and settings, as the config has them."""
    data = run.config.get("data")
    if not isinstance(data, Mapping):
        return "", {}
    settings = data.get("init_args")
    return str(data.get("class_path")), settings if isinstance(settings, Mapping) else {}


def corpus_files(class_path: str, settings: Mapping[str, Any]) -> list[Path]:
    """Files of passages that the settings of a data module name."""
    given = settings.get("corpus")
    if given:
        return [Path(file) for file in ([given] if isinstance(given, str) else given)]
    if class_path.endswith(".QuickstartDataModule"):
        # found without importing it, which would load torch
        spec = find_spec("data_modules")
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return [Path(folder) / "quickstart" / "corpus.jsonl" for folder in folders]
    folder = settings.get("path")
    if isinstance(folder, str):
        return sorted(Path(folder).glob("corpus/*")) or [find_file(Path(folder), "corpus.jsonl")]
    return []


def _read(files: Sequence[Path], wanted: Collection[str]) -> dict[str, Passage]:
    """The passages of these ids; no file is read further than it takes to find them."""
    left = set(wanted)
    found = {}
    for file in files:
        if not left:
            break
        for passage in _passages(file):
            if passage.id in left:
                found[passage.id] = passage
                left.remove(passage.id)
                if not left:
                    break
    return found


def _passages(file: Path) -> Iterator[Passage]:
    """Of FlashRAG's form, or of BEIR's."""
    try:
        for _, passage in passages_in(file):
            yield passage
    except InputError as error:
        try:
            for _, identifier, title, text in read_beir(file):
                yield Passage(identifier, f"{title}\n{text}" if title else text)
        except InputError:
            raise error from None


def _rationales(folder: Any, questions: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Rationales by question id, of those in the cache that are of these questions; and what is to
    be said of the others."""
    if not questions:
        return {}, ""
    unknown = (
        "The rationale of {lacking:,} questions is neither in the run folder nor in its cache."
    )
    path = Path(str(folder)) / "radio.sqlite"
    if not folder or not path.is_file():
        return {}, unknown.format(lacking=len(questions))
    if path.stat().st_size > LARGEST_CACHE:
        return {}, f"Rationales are not shown: {path} is too large to be looked through."
    found: dict[str, str] = {}
    written: dict[str, set[str]] = {}
    for _, value in Cache(path).items_json("rationale"):
        identifier, text = value.get("id"), value.get("rationale")
        if questions.get(identifier) == value.get("question") and text:
            found[identifier] = text
            written.setdefault(identifier, set()).add(text)
    # which of them this run was taught by is not known
    several = [identifier for identifier, texts in written.items() if len(texts) > 1]
    for identifier in several:
        del found[identifier]
    if several:
        return found, (
            f"The cache has several rationales for {len(several):,} questions; which of them "
            "the run used is not in its folder, so none is shown."
        )
    lacking = len(questions) - len(found)
    return found, unknown.format(lacking=lacking) if lacking else ""


def as_text(value: Any) -> str:
    """A setting as it is shown: JSON, but for strings."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
