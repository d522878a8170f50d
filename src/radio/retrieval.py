"""Retrievers: from questions and a corpus to ranked candidates."""

from __future__ import annotations

import json
import re
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache, Fingerprinted
from radio.corpus import row_ids
from radio.encoders import Encoder
from radio.formats import Better, add_passage, read_candidates
from radio.ranges import check
from radio.schema import Candidate, InputError, Passage, Question
from radio.text import search_words


class Retriever(Fingerprinted):
    """Finds candidates. A subclass implements :meth:`search`, and :meth:`index` when it needs
    one."""

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Get ready to search these passages; called once, only when something is to be
        searched."""

    def asked(self, question: Question) -> list[Any]:
        """What its candidates may depend on of a question beside the id, for the key: all, unless a
        subclass knows better."""
        return question.content

    @abstractmethod
    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        """At most ``k`` candidates for each question, best first, in the order of ``questions``."""


def top_k(scores: NDArray[np.float32], ids: Sequence[str], k: int) -> list[Candidate]:
    """The ``k`` best of ``scores [len(ids)]``, ties by position in the corpus, so that runs repeat
    exactly."""
    k = min(k, len(ids))
    floor = np.partition(scores, len(ids) - k)[len(ids) - k]
    above = np.flatnonzero(scores > floor)
    above = above[np.argsort(-scores[above], kind="stable")]
    # these need no sorting, and may be the whole corpus
    last = np.flatnonzero(scores == floor)[: k - len(above)]
    return [
        Candidate(ids[i], rank, float(scores[i]))
        for rank, i in enumerate(np.append(above, last).tolist())
    ]


def _check_passages(path: Path, found: int | None, ids: Sequence[str]) -> None:
    """Rows of a prebuilt index are told from each other by nothing but their position in the
    corpus."""
    if found != len(ids):
        raise InputError(
            f"{path}: an index of {found} passages, expected {len(ids)} as in the corpus; give the "
            "corpus that the index was built from, or build the index again"
        )


BM25S_FILES = (
    "params.index.json",
    "vocab.index.json",
    "data.csc.index.npy",
    "indices.csc.index.npy",
    "indptr.csc.index.npy",
)
"""What ``bm25s.BM25.save`` writes, without the corpus."""


class BM25(Retriever):
    """Lexical retrieval through ``bm25s`` (Lucene's variant) over title and text.

    A question that matches fewer than k passages is filled up with passages of score 0. Chinese,
    Japanese, Thai and other scripts without spaces are searched by pairs of characters
    (:func:`radio.text.search_words`).

    Args:
        k1: term frequency saturation.
        b: length normalisation.
        stopwords: language code of the stop word list, or None.
        stemmer: language of the Snowball stemmer, for example ``english``, or None (extra
            ``stemmer``).
        index_path: a folder that ``bm25s.BM25.save`` has written, such as FlashRAG's; row n is
            passage n of the corpus. It has its own ``k1`` and ``b``; ``stopwords`` and ``stemmer``
            must be those that it was built with (FlashRAG's: ``en`` and ``english``). Questions are
            cut into words as bm25s does.
    """

    identity = "BM25"
    version = 2  # 2: scripts without spaces, and marks that belong to their word

    def __init__(
        self,
        k1: float = 0.9,
        b: float = 0.4,
        stopwords: str | None = "en",
        stemmer: str | None = None,
        index_path: str | None = None,
    ) -> None:
        check(self, locals())
        self.k1 = k1
        self.b = b
        self.stopwords = stopwords
        self.stemmer = stemmer
        self._folder = Path(index_path) if index_path else None
        self._index: Any = None
        self._ids: Sequence[str] = []

    def depends_on(self) -> dict[str, Any]:
        # not the whole folder: the corpus that bm25s may keep there is large, and of no effect
        return {
            **super().depends_on(),
            "index": self._files(self._folder) if self._folder else None,
        }

    def asked(self, question: Question) -> list[Any]:
        return [question.query]

    def _files(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder (relative paths start at {Path.cwd()})")
        files = [folder / name for name in BM25S_FILES]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise InputError(
                f"{folder}: no {', '.join(missing)} in this folder, expected one that "
                "bm25s.BM25.save has written; copy it again, or build the index again"
            )
        # of the variants BM25L and BM25+
        return [*files, *folder.glob("nonoccurrence_array.index.npy")]

    def _tokens(self, texts: list[str]) -> list[list[str]]:
        import bm25s

        # an index from elsewhere has the words that bm25s found in its passages
        split = {} if self._folder else {"token_pattern": r"\S+", "lower": False}
        tokens: list[list[str]] = bm25s.tokenize(
            texts if self._folder else [" ".join(search_words(text)) for text in texts],
            **split,
            stopwords=self.stopwords or [],
            stemmer=_load_stemmer(self.stemmer) if self.stemmer else None,
            return_ids=False,
            show_progress=False,
        )
        return tokens

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        import bm25s

        self._ids = row_ids(passages)
        if self._folder:
            self._index = self._load(self._folder)
            return
        self._index = bm25s.BM25(method="lucene", k1=self.k1, b=self.b)
        self._index.index(
            self._tokens([p.contents for p in passages.values()]), show_progress=False
        )

    def _load(self, folder: Path) -> Any:
        import bm25s

        self._files(folder)
        try:
            # the index may have been built with numba, which is not needed to search it
            index = bm25s.BM25.load(folder, mmap=True, override_params={"backend": "numpy"})
            found = index.scores["num_docs"]
            first = _first_row(folder / "corpus.jsonl")
        except (ValueError, TypeError, AttributeError, EOFError, OSError) as error:
            raise InputError(
                f"{folder}: not an index of bm25s, or a damaged one ({error}); copy it again, or "
                "build it again"
            ) from None
        _check_passages(folder, found, self._ids)
        # rows in FlashRAG's format; bm25s numbers plain texts itself
        if "contents" in first and str(first.get("id")) != self._ids[0]:
            raise InputError(
                f"{folder}: the first passage of the index is {first.get('id')!r}, expected "
                f"{self._ids[0]!r} as in the corpus; give the corpus that the index was built "
                "from, in the same order"
            )
        return index

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        unmatched: list[str] = []
        for question, tokens in zip(
            questions, self._tokens([q.query for q in questions]), strict=True
        ):
            known = [t for t in tokens if t in self._index.vocab_dict]
            scores = (
                self._index.get_scores(known)
                if known
                else np.zeros(len(self._ids), dtype=np.float32)
            )
            if not scores.any():
                unmatched.append(question.id)
            yield top_k(scores, self._ids, k)
        if 2 * len(unmatched) > len(questions):
            warnings.warn(
                f"BM25: {len(unmatched)} of {len(questions)} questions share no word with any "
                f"passage, such as {unmatched[0]!r}: they get the first passages of the corpus, "
                "with score 0. Are corpus and questions in the same language? Do stopwords and "
                "stemmer fit it?",
                stacklevel=2,
            )


def _first_row(path: Path) -> dict[str, Any]:
    """First row of the corpus that bm25s may keep beside its index, or nothing."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        row = json.loads(file.readline())
    return row if isinstance(row, dict) else {}


def _load_stemmer(language: str) -> Any:
    try:
        import Stemmer
    except ImportError:
        raise InputError(
            "BM25(stemmer=...) needs PyStemmer: pip install 'radio-rag[stemmer]'"
        ) from None
    try:
        return Stemmer.Stemmer(language)
    except KeyError:
        raise InputError(
            f"stemmer {language!r}: expected one of {', '.join(Stemmer.algorithms())}"
        ) from None


class Dense(Retriever):
    """Dense retrieval by the encoder's similarity (published: e5-base-v2, cosine), exact by
    default.

    Args:
        encoder: the embedding model, with its prefixes.
        faiss: search through a faiss inner-product index (extra ``faiss``) instead of numpy;
            equally exact.
        index_path: a faiss index file that was built with this encoder, such as FlashRAG's
            ``e5_Flat.index``; row n is passage n of the corpus, which is not embedded then. It is
            memory-mapped, and may be larger than memory.
        index_parameters: how thoroughly to search an approximate one, for example ``nprobe=64``
            (IVF) or ``efSearch=256`` (HNSW).
    """

    identity = "Dense"

    def __init__(
        self,
        encoder: Encoder | None = None,
        faiss: bool = False,
        index_path: str | None = None,
        index_parameters: str = "",
    ) -> None:
        self.encoder = encoder or Encoder()
        self.index_path = Path(index_path) if index_path else None
        self.index_parameters = index_parameters
        self._faiss = faiss or index_path is not None
        self._ids: Sequence[str] = []
        self._cache: Cache | None = None
        self._vectors: Any = None

    def asked(self, question: Question) -> list[Any]:
        return [question.query]

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._ids, self._cache = row_ids(passages), cache
        if self.index_path:
            self._vectors = self._load(self.index_path)
            return
        self._vectors = self.encoder.encode(
            [p.contents for p in passages.values()], cache, title="embed corpus"
        )
        if self._faiss:
            vectors, self._vectors = (
                self._vectors,
                _import_faiss().IndexFlatIP(self._vectors.shape[1]),
            )
            self._vectors.add(vectors)

    def _load(self, path: Path) -> Any:
        faiss = _import_faiss()
        if not path.is_file():
            raise InputError(f"{path}: no such file (relative paths start at {Path.cwd()})")
        try:
            # IO_FLAG_MMAP would map IVF lists alone and read a flat index into memory
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise InputError(
                f"{path}: not a faiss index, or a damaged one ({_reason(error)}); copy it again, "
                "or build it again"
            ) from None
        _check_passages(path, index.ntotal, self._ids)
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise InputError(
                f"{path}: an index by distance, expected one by inner product "
                "(METRIC_INNER_PRODUCT)"
            )
        try:
            faiss.ParameterSpace().set_index_parameters(index, self.index_parameters)
        except RuntimeError as error:
            raise InputError(
                f"{path}: index_parameters {self.index_parameters!r} do not fit its "
                f"{type(index).__name__} ({_reason(error)})"
            ) from None
        return index

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        assert self._cache is not None, "call index() first"
        # a flat index is read from disk once for each batch
        size = 4096 if self.index_path else 256
        for start in range(0, len(questions), size):
            texts = [q.query for q in questions[start : start + size]]
            queries = self.encoder.encode(texts, self._cache, query=True, title="embed questions")
            if self._faiss:
                yield from self._search_faiss(queries, min(k, len(self._ids)))
            else:
                for row in queries @ self._vectors.T:
                    yield top_k(row, self._ids, k)

    def _search_faiss(self, queries: NDArray[np.float32], k: int) -> Iterator[list[Candidate]]:
        if queries.shape[1] != self._vectors.d:
            raise InputError(
                f"{self.index_path}: vectors of {self._vectors.d} dimensions, expected "
                f"{queries.shape[1]} as of {self.encoder.model}; give the encoder that the index "
                "was built with"
            )
        for scores, rows in zip(*self._vectors.search(queries, k), strict=True):
            if rows.max() >= len(self._ids):
                raise InputError(
                    f"{self.index_path}: found row {rows.max()}, expected positions in the corpus, "
                    "from 0"
                )
            # an approximate search that finds fewer gives -1
            order = [i for i in np.lexsort((rows, -scores)) if rows[i] >= 0]
            yield [
                Candidate(self._ids[int(rows[i])], n, float(scores[i])) for n, i in enumerate(order)
            ]


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise InputError(
            "Dense(faiss=True) and Dense(index_path=...) need faiss: pip install 'radio-rag[faiss]'"
        ) from None
    return faiss


def _reason(error: RuntimeError) -> str:
    """What faiss says, without the C++ function that says it."""
    return re.sub(r"^Error in .* at \S+:\d+: ", "", str(error))


class Precomputed(Retriever):
    """Candidates from files: TREC runs or JSONL (see :func:`radio.formats.read_candidates`), joined
    by question id.

    Candidates that were put in by hand come on top of the k that are asked for; the data module
    leaves them out.

    Args:
        paths: one file or several; a question may stand in one of them only.
        better: which scores are the better ones; ``lower`` are distances, and are negated. None
            takes the higher ones, and refuses a file whose lists are sorted the other way.
        texts: what to do where a file carries the text of a passage, and the corpus has another one
            under its id: ``error``, or ``corpus``, whose text counts.
    """

    identity = "Precomputed"

    def __init__(
        self,
        paths: list[str] | str,
        better: Better | None = None,
        texts: Literal["error", "corpus"] = "error",
    ) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        if not self.paths:
            raise InputError(
                "Precomputed: paths: found an empty list, expected at least one file of candidates"
            )
        for number, path in enumerate(self.paths):
            if path.resolve() in [other.resolve() for other in self.paths[:number]]:
                raise InputError(f"Precomputed: paths: found {path} twice, expected each file once")
        # of no effect on the key where the scores are as they mostly are
        self._better = better
        self._texts = texts
        self._corpus: Mapping[str, Passage] = {}
        self._table: dict[str, list[Candidate]] | None = None
        self._passages: dict[str, Passage] = {}

    def _read(self) -> dict[str, list[Candidate]]:
        if self._table is None:
            table: dict[str, list[Candidate]] = {}
            for path in self.paths:
                candidates, passages = read_candidates(path, self._better)
                twice = table.keys() & candidates.keys()
                if twice:
                    raise InputError(
                        f"{path}: question id {min(twice)!r} already has candidates in another file"
                    )
                table.update(candidates)
                for passage in passages.values():
                    add_passage(self._passages, passage, str(path))
            self._table = table
        return self._table

    def asked(self, question: Question) -> list[Any]:
        return []

    def passages(self) -> dict[str, Passage]:
        """Passages whose text the files carry: with all of them, no corpus file is needed."""
        self._read()
        return self._passages

    def _compare(self, passages: Sequence[Passage]) -> None:
        """Texts of the files with those of the corpus: what is searched, ranked and read is the
        corpus."""
        known = [
            (passage, self._corpus[passage.id])
            for passage in passages
            if passage.id in self._corpus
        ]
        other = [
            (mine, theirs)
            for mine, theirs in known
            if mine.contents.split() != theirs.contents.split()
        ]
        if not other:
            return
        mine, theirs = other[0]
        message = (
            f"{', '.join(map(str, self.paths))}: {len(other)} of {len(known)} passages have "
            f"another text in the corpus, such as {mine.id!r}: {mine.contents[:60]!r} here, "
            f"{theirs.contents[:60]!r} there"
        )
        if self._texts == "error":
            raise InputError(
                f"{message}; give the corpus that the candidates were made from, leave out "
                "data.init_args.corpus if they carry all texts, or take the corpus's with "
                "--data.init_args.retriever.init_args.texts corpus"
            )
        warnings.warn(f"{message}; the corpus's text is taken", stacklevel=2)

    def carries_all(self) -> bool:
        """Whether the files carry the text of each candidate."""
        return all(c.passage_id in self._passages for found in self._read().values() for c in found)

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), **({"better": "lower"} if self._better == "lower" else {})}

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._corpus = passages

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        table = self._read()
        asked = dict.fromkeys(c.passage_id for q in questions for c in table.get(q.id, []))
        self._compare([self._passages[i] for i in asked if i in self._passages])
        for question in questions:
            if question.id not in table:
                files = ", ".join(map(str, self.paths))
                raise InputError(
                    f"{files}: no candidates for question id {question.id!r}; found {len(table)} "
                    "questions"
                )
            found = table[question.id]
            last = [c.rank for c in found if not c.injected][k - 1 : k]
            yield found[: last[0] + 1] if last else found
