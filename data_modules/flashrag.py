"""Datasets in FlashRAG's format, from the hub or from a local folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_info

from radio.corpus import DiskCorpus
from radio.data.module import RationaleDataModule
from radio.formats import iter_questions, read_questions
from radio.lines import atomic_write, find_file
from radio.rationales import RationaleWriter, Recorded
from radio.retrievers import Precomputed, Retriever
from radio.schema import InputError, Passage, Question

REPOSITORY = "RUC-NLPIR/FlashRAG_datasets"


class FlashRAGDataModule(RationaleDataModule):
    """A dataset of FlashRAG's collection, or one in its format.

    With ``path``, a local folder holds ``dataset/NAME/SPLIT.jsonl`` (or ``NAME/SPLIT.jsonl``, as a
    clone of the hub repository does), and where they are there ``candidates/NAME/*``,
    ``rationales/NAME/train.jsonl`` and ``corpus/*``. Without, questions are streamed from the hub.
    Retriever, rationales and corpus that are given win over what the folder has.

    Args:
        path: local folder; None takes the hub.
        dataset: name in the collection; the subclasses have their own.
        splits: which file is ``train``, ``validation`` and ``test``, or which rows of it
            (``train[20000:21000]``); None is ``train``, ``dev``, ``test``, those of them that are
            there.
        corpus: files of passages (JSONL, gzip, Parquet); they stay on disk.
        repository: dataset repository on the hub.
        revision: its commit, tag or branch. A tag or branch is looked up once; its commit is noted
            in ``revisions.json`` of the cache, so that later runs read the same rows until that
            line is taken out.
        retriever: as in RationaleDataModule; None takes the folder's candidates, else the published
            one.
        rationales: as in RationaleDataModule; None takes the folder's.
        kwargs: arguments of RationaleDataModule.

    Raises:
        InputError: the folder has no such dataset.
    """

    dataset = ""
    """Its name in the collection; a subclass sets it."""
    usual_splits: ClassVar[dict[str, str]] = {"train": "train", "validation": "dev", "test": "test"}

    def __init__(
        self,
        path: str | None = None,
        dataset: str | None = None,
        splits: dict[str, str] | None = None,
        corpus: str | list[str] | None = None,
        repository: str = REPOSITORY,
        revision: str = "main",
        retriever: Retriever | None = None,
        rationales: RationaleWriter | None = None,
        **kwargs: Any,
    ) -> None:
        self.path = Path(path) if path else None
        self.dataset = dataset or self.dataset
        if not self.dataset:
            raise InputError(
                "data.init_args.dataset is not set: the name of the dataset in the folder or "
                "collection"
            )
        self._splits_given = splits is not None
        self.splits = self.usual_splits if splits is None else splits
        unknown = self.splits.keys() - self.usual_splits.keys()
        if unknown:
            raise InputError(
                f"splits: found {min(unknown)!r}, expected {', '.join(self.usual_splits)}"
            )
        self._chosen = {split: _rows(split, name) for split, name in self.splits.items()}
        self.repository, self.revision = repository, revision
        self._corpus_given = corpus is not None
        self._corpus_files = (
            [corpus] if isinstance(corpus, str) else corpus or self._found("corpus/*")
        )
        candidates = self._found(f"candidates/{self.dataset}/*")
        recorded = self._found(f"rationales/{self.dataset}/train.jsonl")
        retriever = retriever or (Precomputed(candidates) if candidates else None)
        rationales = rationales or (Recorded(recorded) if recorded else None)
        super().__init__(retriever=retriever, rationales=rationales, **kwargs)

    def _found(self, pattern: str) -> list[str]:
        return sorted(map(str, self.path.glob(pattern))) if self.path else []

    def questions(self, split: str) -> Sequence[Question]:
        if split not in self._chosen:
            return []
        name, start, end = self._chosen[split]
        questions = (
            islice(self._local(name), start, end) if self.path else self._hub(name, start, end)
        )
        limit = self.max_questions.get(split)
        kept: list[Question] = []
        for question in questions:
            if not self.keep(question):
                self.leave_out(split, "of other subjects or kinds")
                continue
            kept.append(self.convert(question))
            # no more is downloaded than will be used
            if self.path is None and len(kept) == limit:
                break
        return kept

    def keep(self, question: Question) -> bool:
        """Whether the question is part of this dataset."""
        return True

    def convert(self, question: Question) -> Question:
        """The question as this dataset asks it; a subclass may change it."""
        return question

    def _local(self, split: str) -> list[Question]:
        assert self.path is not None
        folders = [self.path / "dataset" / self.dataset, self.path / self.dataset]
        for folder in folders:
            file = find_file(folder, f"{split}.jsonl")
            if file.is_file():
                return read_questions(file)
        if not any(folder.is_dir() for folder in folders):
            raise InputError(
                f"{self.path}: found neither dataset/{self.dataset} nor {self.dataset} in this "
                "folder"
            )
        files = [
            file.name.lower() for folder in folders if folder.is_dir() for file in folder.iterdir()
        ]
        self._absent(split, [name.partition(".jsonl")[0] for name in files if ".jsonl" in name])
        return []

    def _absent(self, name: str, found: Iterable[str]) -> None:
        """A split that is not there: of those that are usual some may be missing, one that was
        named is a mistake."""
        if self._splits_given:
            raise InputError(
                f"splits: {self.dataset} has no {name!r}; found "
                f"{', '.join(sorted(found)) or 'none'}"
            )

    def _hub(self, name: str, start: int, end: int | None) -> Iterator[Question]:
        from datasets import get_dataset_split_names, load_dataset

        place = f"{self.repository}@{self.revision}: {self.dataset}/{name}"
        try:
            revision = self._commit()
            known = get_dataset_split_names(self.repository, self.dataset, revision=revision)
            if name not in known:
                self._absent(name, known)
                return
            rows = load_dataset(
                self.repository, self.dataset, split=name, revision=revision, streaming=True
            )
            found: Iterator[Any] = islice(rows, start, end)
            yield from iter_questions(
                (f"{place}: row {number}", row) for number, row in enumerate(found, start + 1)
            )
        except InputError:
            raise
        except Exception as error:  # those of the hub's client have no base in common with others
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{place}: cannot be loaded ({reason}); or give a path") from None

    def _commit(self) -> str:
        """The commit that is read, noted when it is first looked up."""
        if Path(self.repository).is_dir() or re.fullmatch("[0-9a-f]{40}", self.revision):
            return self.revision
        path = self.cache.path.parent / "revisions.json"
        known: dict[str, str] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        )
        name = f"{self.repository}@{self.revision}"
        if name not in known:
            from huggingface_hub import HfApi

            known[name] = (
                HfApi().dataset_info(self.repository, revision=self.revision).sha or self.revision
            )
            with atomic_write(path) as file:
                json.dump(known, file, indent=2)
            rank_zero_info(f"{name} is commit {known[name]}, noted in {path}")
        return known[name]

    def passages(self) -> DiskCorpus | Iterable[Passage]:
        given = (
            self.retriever
            if isinstance(self.retriever, Precomputed) and not self._corpus_given
            else None
        )
        # the folder's corpus may be a large one: where the candidate files are enough, it is left
        # alone
        if (
            given
            and (passages := given.passages())
            and (given.carries_all() or not self._corpus_files)
        ):
            return passages.values()
        if self._corpus_files:
            return DiskCorpus(self._corpus_files, self.cache.path.parent / "corpus")
        raise InputError(
            "data.init_args.corpus is not set, and no candidate file carries the text of its "
            "passages"
        )


def _rows(split: str, name: str) -> tuple[str, int, int | None]:
    """File and rows of ``NAME`` or ``NAME[a:b]``."""
    match = re.fullmatch(r"([^\[\]]+?)(?:\[(\d*):(\d*)\])?", name)
    if not match:
        raise InputError(
            f"splits: {split}: found {name!r}, expected a name such as train, or train[0:20000]"
        )
    file, start, end = match.groups()
    return file, int(start or 0), int(end) if end else None
