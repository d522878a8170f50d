"""Datasets in FlashRAG's format, from the hub or from a local folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_info

from data_modules.hub import (
    HubSplit,
    StoredSplit,
    download,
    state_of,
    store,
    stored,
    unreachable,
)
from radio.corpus import DiskCorpus
from radio.data.module import RationaleDataModule
from radio.disk import alone
from radio.formats import iter_questions, read_questions, take_questions
from radio.lines import atomic_write, find_file
from radio.rationales import RationaleWriter, Recorded
from radio.retrievers import Precomputed, Retriever
from radio.schema import InputError, Missing, Passage, Question

REPOSITORY = "RUC-NLPIR/FlashRAG_datasets"


class FlashRAGDataModule(RationaleDataModule):
    """A dataset of FlashRAG's collection, or one in its format.

    With ``path``, a local folder holds ``dataset/NAME/SPLIT.jsonl`` (or ``NAME/SPLIT.jsonl``, as a
    clone of the hub repository does), and where they are there ``candidates/NAME/*``,
    ``rationales/NAME/train.jsonl`` and ``corpus/*``. Without, questions come from the hub; as many
    as are used are kept in the cache, and no network is needed once they are prepared. Retriever,
    rationales and corpus that are given win over what the folder has.

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
        given = [corpus] if isinstance(corpus, str) else corpus
        self._corpus_files = given or self._found("corpus/*")
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
        if self.path:
            return self._of_this_dataset(split, islice(self._local(name), start, end))
        questions = self._hub(split, name, start, end)
        return self._of_this_dataset(split, questions, self.max_questions.get(split))

    def _of_this_dataset(
        self, split: str, questions: Iterable[Question], limit: int | None = None
    ) -> list[Question]:
        """Those that are kept, the first ``limit`` of them, as this dataset asks them."""
        kept: list[Question] = []
        for question in questions:
            if not self.keep(question):
                self.leave_out(split, "of other subjects or kinds")
                continue
            kept.append(self.convert(question))
            if len(kept) == limit:
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
        known = []
        for folder in folders:
            files = folder.iterdir() if folder.is_dir() else ()
            for file in files:
                name, extension, _ = file.name.lower().partition(".jsonl")
                if extension:
                    known.append(name)
        self._absent(split, known)
        return []

    def _absent(self, name: str, found: Iterable[str]) -> None:
        """A split that is not there: of those that are usual some may be missing, one that was
        named is a mistake."""
        if self._splits_given:
            raise InputError(
                f"splits: {self.dataset} has no {name!r}; found "
                f"{', '.join(sorted(found)) or 'none'}"
            )

    def _hub(self, split: str, name: str, start: int, end: int | None) -> Iterator[Question]:
        """Questions of the hub, from the file in which they are kept or, where that is allowed,
        from the hub itself, which fills the file.

        Raises:
            Missing: there is no such file, and the hub cannot be asked.
            InputError: the hub has no such dataset, or it is in another format.
        """
        place = f"{self.repository}@{self.revision}: {self.dataset}/{name}"
        folder = self.cache.path.parent / "questions"
        limit = self.max_questions.get(split)
        try:
            wanted = HubSplit(self.repository, self._commit(), self.dataset, name, start, end)
            known = stored(wanted, folder)
            if known is None or not self._suffices(known, limit):
                known = store(self._download(wanted, place, limit), wanted, folder)
        except InputError:
            raise
        except Exception as error:  # those of the hub's client have no base in common with others
            reason = (str(error) or type(error).__name__).splitlines()[0]
            why = f"{place}: cannot be loaded ({reason}); or give a path"
            if unreachable(error):
                raise Missing("questions", split, why=why) from None
            raise InputError(why) from None
        if name not in known.splits:
            self._absent(name, known.splits)
        return iter_questions(known.placed(place, start))

    def _suffices(self, known: StoredSplit, limit: int | None) -> bool:
        """Whether the rows that were read are all, or as many as are used."""
        if known.whole or limit is None:
            return known.whole
        kept = 0
        for question in iter_questions(known.placed("kept", 0)):
            kept += self.keep(question)
        return kept >= limit

    def _download(self, wanted: HubSplit, place: str, limit: int | None) -> StoredSplit:
        self._may_ask()
        kept = 0

        def enough(row: dict[str, Any], number: int) -> bool:
            """No more is downloaded than will be used."""
            nonlocal kept
            (question,) = take_questions([(f"{place}: row {number}", row)])
            kept += self.keep(question)
            return kept == limit

        revision = self.revision if Path(self.repository).is_dir() else wanted.commit
        return download(wanted, revision, enough)

    def _may_ask(self) -> None:
        if not self.may_fetch:
            raise ConnectionError("not prepared, and setup asks nobody")

    def _commit(self) -> str:
        """The commit that is read, noted when it is first looked up; of a folder, its state."""
        local = Path(self.repository).is_dir()
        if not local and re.fullmatch("[0-9a-f]{40}", self.revision):
            return self.revision
        path = self.cache.path.parent / "revisions.json"
        known = _noted(path)
        name = f"{self.repository}@{self.revision}"
        if local:
            commit = state_of(Path(self.repository))
        elif name in known:
            return known[name]
        else:
            commit = self._look_up()
        if not self.may_fetch or known.get(name) == commit:
            return commit
        waiting = f"{path}: another process notes a commit there; waiting for it"
        with alone(path.with_name(f".{path.name}.lock"), waiting):
            # others may have noted theirs since, and the first one counts
            known = _noted(path)
            if not local and name in known:
                return known[name]
            with atomic_write(path) as file:
                json.dump({**known, name: commit}, file, indent=2)
        if not local:
            rank_zero_info(f"{name} is commit {commit}, noted in {path}")
        return commit

    def _look_up(self) -> str:
        """The commit of a tag or branch, as the hub says."""
        self._may_ask()
        from huggingface_hub import HfApi

        about = HfApi().dataset_info(self.repository, revision=self.revision)
        return about.sha or self.revision

    def passages(self) -> DiskCorpus | Iterable[Passage]:
        if isinstance(self.retriever, Precomputed) and not self._corpus_given:
            passages = self.retriever.passages()
            # the folder's corpus may be a large one: where the candidate files are enough, it is
            # left alone
            if passages and (self.retriever.carries_all() or not self._corpus_files):
                return passages.values()
        if self._corpus_files:
            return DiskCorpus(self._corpus_files, self.cache.path.parent / "corpus")
        raise InputError(
            "data.init_args.corpus is not set, and no candidate file carries the text of its "
            "passages"
        )


def _noted(path: Path) -> dict[str, str]:
    """The commits that a file has, by repository and revision."""
    known: dict[str, str] = {}
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
    return known


def _rows(split: str, name: str) -> tuple[str, int, int | None]:
    """File and rows of ``NAME`` or ``NAME[a:b]``."""
    match = re.fullmatch(r"([^\[\]]+?)(?:\[(\d*):(\d*)\])?", name)
    if not match:
        raise InputError(
            f"splits: {split}: found {name!r}, expected a name such as train, or train[0:20000]"
        )
    file, start, end = match.groups()
    return file, int(start or 0), int(end) if end else None
