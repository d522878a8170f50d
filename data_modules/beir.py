"""Judged passages: datasets of ir_datasets by name, BEIR's too, and folders in BEIR's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from radio.corpus import DiskCorpus
from radio.data.module import RationaleDataModule
from radio.formats import read_beir, read_qrels, take_passage, take_questions
from radio.lines import find_file
from radio.schema import InputError, Passage, Question, Run
from radio.teachers import GoldPassages, Teacher

USUAL_SPLITS = {"train": "train", "validation": "dev", "test": "test"}
"""What the splits are called in BEIR's layout."""


class IRDatasetsDataModule(RationaleDataModule):
    """Queries with judged passages, in the place of questions with golden answers.

    The relevant passages of a query (grade above 0) are its ``gold_ids``, from which the teacher
    and the metrics ``gold_*`` come; a query without any is left out of training and evaluation.

    By name, datasets come from the package ``ir_datasets`` (``pip install 'radio-rag[ir]'``), which
    downloads them. A name stands for its passages, which are copied into the cache once: if those
    of a dataset of your own change, it needs another name.

    With ``path``, a local folder holds ``corpus.jsonl`` (``{"_id", "title", "text"}`` a line),
    ``queries.jsonl`` (``{"_id", "text"}``) and ``qrels/NAME.tsv`` (``query-id``, ``corpus-id``,
    ``score``), plain or gzip.

    Args:
        train: what to learn from: a dataset, such as ``beir/nfcorpus/train``; with ``path`` the
            NAME of judgements.
        validation: by what the best checkpoint is chosen.
        test: what is evaluated before and after, once.
        predict: for ``radio predict``: a dataset, of which all queries are taken; with ``path`` a
            file NAME.jsonl of queries, such as ``queries``.
        path: local folder. Where no split is named, it gives those of ``train``, ``dev`` and
            ``test`` that it has.
        teacher: None is :class:`radio.teachers.GoldPassages`: there is no golden answer to write a
            rationale for.
        kwargs: arguments of RationaleDataModule.
    """

    def __init__(
        self,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        predict: str | None = None,
        path: str | None = None,
        teacher: Teacher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(teacher=teacher or GoldPassages(), **kwargs)
        self.path = Path(path) if path else None
        named = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.names = {split: name for split, name in named.items() if name}
        """What was named for each split, or is in the folder."""
        if self.path and not self.names:
            for split, name in USUAL_SPLITS.items():
                if find_file(self.path, f"qrels/{name}.tsv").is_file():
                    self.names[split] = name

    def questions(self, split: str) -> Sequence[Question]:
        if not self.names:
            found = "nor a path"
            if self.path:
                found = f"{self.path} has no qrels/train.tsv, qrels/dev.tsv or qrels/test.tsv"
            raise InputError(
                "data.init_args: no dataset is given for train, validation, test or predict, "
                f"{found}"
            )
        if split not in self.names:
            return []
        name = self.names[split]
        if split == "predict":
            return self._unjudged(name)
        return self._judged(split, name)

    def _unjudged(self, name: str) -> list[Question]:
        """All queries, to be ranked for."""
        rows = []
        for place, query, text in self._queries(name, f"{name}.jsonl"):
            rows.append((place, {"id": query, "question": text}))
        return take_questions(rows, need_answers=False)

    def _judged(self, split: str, name: str) -> list[Question]:
        """Queries with their relevant passages; those without any are left out."""
        gold: dict[str, dict[str, float]] = {}
        for query, grades in self._qrels(name).items():
            gold[query] = {passage: grade for passage, grade in grades.items() if grade > 0}
        rows = []
        for place, query, text in self._queries(name, "queries.jsonl"):
            if gold.get(query):
                metadata = {"gold_ids": gold[query]}
                rows.append((place, {"id": query, "question": text, "metadata": metadata}))
        questions = take_questions(rows, need_answers=False)

        source = find_file(self.path, f"qrels/{name}.tsv") if self.path else name
        relevant = {query for query, passages in gold.items() if passages}
        lost = relevant - {question.id for question in questions}
        if lost:
            raise InputError(
                f"{source}: judged, but not among the queries: {len(lost)}, such as {min(lost)!r}"
            )
        self.leave_out(split, "without a relevant passage", len(gold) - len(relevant))
        if not questions:
            raise InputError(
                f"{source}: no query has a relevant passage, expected a judgement above 0"
            )
        return questions

    def _queries(self, name: str, file: str) -> Iterator[tuple[str, str, str]]:
        """Place, id and text of each."""
        if self.path:
            for place, identifier, _, text in read_beir(find_file(self.path, file)):
                yield place, identifier, text
        else:
            for place, query in _records(name, "queries"):
                yield place, query.query_id, _text(query, place)

    def _qrels(self, name: str) -> Run:
        if self.path:
            return read_qrels(find_file(self.path, f"qrels/{name}.tsv"))
        run: Run = {}
        for _, judgement in _records(name, "qrels"):
            grades = run.setdefault(judgement.query_id, {})
            # some tracks judge a passage for each aspect of a query
            known = grades.get(judgement.doc_id, 0)
            grades[judgement.doc_id] = max(judgement.relevance, known)
        return run

    def passages(self) -> DiskCorpus:
        folder = self.cache.path.parent / "corpus"
        if self.path:
            file = find_file(self.path, "corpus.jsonl")
            return DiskCorpus.of(lambda: _beir_passages(file), str(file), ["beir", file], folder)
        names = list(self.names.values())
        # where none has passages, reading them says so
        names = [name for name in names if _load(name).has("docs")] or names
        for name in names[1:]:
            if _load(name).docs_handler() != _load(names[0]).docs_handler():
                raise InputError(
                    f"{names[0]} and {name} have different passages, expected one corpus for all "
                    "splits"
                )
        import ir_datasets

        identity = ["ir_datasets", ir_datasets.__version__, ir_datasets.docs_parent_id(names[0])]
        return DiskCorpus.of(lambda: _named_passages(names[0]), names[0], identity, folder)


def _beir_passages(path: Path) -> Iterator[tuple[str, Passage]]:
    for place, identifier, title, text in read_beir(path):
        yield place, Passage(identifier, _contents(title, text))


def _named_passages(name: str) -> Iterator[tuple[str, Passage]]:
    for place, doc in _records(name, "docs"):
        title = getattr(doc, "title", None) or ""
        # the package's own idea of the text starts with the title, mostly
        text = _text(doc, place).removeprefix(title).lstrip()
        yield place, take_passage({"id": doc.doc_id, "contents": _contents(title, text)}, place)


def _contents(title: str, text: str) -> str:
    title = " ".join(title.split())
    # without a title, the first of several lines would be taken for one
    return f"{title}\n{text}" if title or "\n" in text else text


def _text(record: Any, place: str) -> str:
    text = getattr(record, "text", None)
    if hasattr(record, "default_text"):
        text = record.default_text()
    if not isinstance(text, str):
        raise InputError(f"{place}: found no text, only {', '.join(record._fields)}")
    return text


def _load(name: str) -> Any:
    try:
        import ir_datasets
    except ImportError:
        raise InputError(
            "datasets by name need ir_datasets: pip install 'radio-rag[ir]'; or give a path"
        ) from None
    try:
        return ir_datasets.load(name)
    except KeyError:
        near = ", ".join(get_close_matches(name, list(ir_datasets.registry)))
        raise InputError(
            f"ir_datasets has no dataset {name!r}; close: {near or 'see https://ir-datasets.com'}"
        ) from None


def _records(name: str, kind: str) -> Iterator[tuple[str, Any]]:
    """``docs``, ``queries`` or ``qrels`` of a dataset, each with its place."""
    dataset = _load(name)
    if not dataset.has(kind):
        import ir_datasets

        below = [known for known in ir_datasets.registry if known.startswith(f"{name}/")]
        raise InputError(
            f"{name}: this dataset has no {kind}; below it: {', '.join(below[:5]) or 'nothing'}"
        )
    try:
        for number, record in enumerate(getattr(dataset, f"{kind}_iter")(), 1):
            yield f"{name}: {kind}: row {number}", record
    except Exception as error:  # of downloads and some forty formats, whatever they raise
        what = str(error).splitlines()[0] if str(error) else ""
        raise InputError(
            f"{name}: {kind}: ir_datasets cannot read them ({type(error).__name__}: {what})"
        ) from error
