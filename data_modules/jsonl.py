"""Your own files, no code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from radio.corpus import DiskCorpus
from radio.data.module import RationaleDataModule
from radio.data.tables import questions_of
from radio.retrievers import Precomputed
from radio.schema import InputError, Passage, Question


class JsonlDataModule(RationaleDataModule):
    """Questions and corpus from JSONL files, plain or gzip (FlashRAG's formats).

    Args:
        train: questions to learn from, ``{"id", "question", "golden_answers"}`` a line.
        validation: questions by which the best checkpoint is chosen.
        test: questions evaluated before and after, once.
        predict: questions for ``radio predict``; they need no answers.
        corpus: passages, ``{"id", "contents"}`` a line (or Parquet), in one file or several; they
            stay on disk. Not needed when the candidate files carry their text.
        kwargs: arguments of RationaleDataModule.
    """

    def __init__(
        self,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        predict: str | None = None,
        corpus: str | list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.files = {"train": train, "validation": validation, "test": test, "predict": predict}
        for split, path in self.files.items():
            if path is not None and path.startswith("["):
                raise InputError(
                    f"data.init_args.{split}: found the list {path}, expected one file; put the "
                    "files together: cat a.jsonl b.jsonl > all.jsonl"
                )
        self._corpus_files = [corpus] if isinstance(corpus, str) else corpus or []

    def questions(self, split: str) -> Sequence[Question]:
        path = self.files[split]
        if path is None:
            return []
        return questions_of(path, self.cache.path.parent, need_answers=split != "predict")

    def passages(self) -> DiskCorpus | Iterable[Passage]:
        if self._corpus_files:
            return DiskCorpus(self._corpus_files, self.cache.path.parent / "corpus")
        if isinstance(self.retriever, Precomputed) and (passages := self.retriever.passages()):
            return passages.values()
        raise InputError(
            "data.init_args.corpus is not set, and no candidate file carries the text of its "
            "passages"
        )
