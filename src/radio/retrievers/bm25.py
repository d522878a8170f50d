"""Lexical retrieval."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radio.cache import Cache
from radio.corpus import row_ids
from radio.ranges import check
from radio.retrievers.base import BM25S_FILES, TOGETHER, Retriever, check_passages, top_k
from radio.schema import Candidate, InputError, Passage, Question
from radio.text import search_words


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
    filling = 0.0
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
        check_passages(folder, found, self._ids)
        # rows in FlashRAG's format; bm25s numbers plain texts itself
        if "contents" in first and str(first.get("id")) != self._ids[0]:
            raise InputError(
                f"{folder}: the first passage of the index is {first.get('id')!r}, expected "
                f"{self._ids[0]!r} as in the corpus; give the corpus that the index was built "
                "from, in the same order"
            )
        return index

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        unmatched, example = 0, ""
        for start in range(0, len(questions), TOGETHER):
            part = questions[start : start + TOGETHER]
            words = self._tokens([question.query for question in part])
            for question, tokens in zip(part, words, strict=True):
                known = [token for token in tokens if token in self._index.vocab_dict]
                scores = np.zeros(len(self._ids), dtype=np.float32)
                if known:
                    scores = self._index.get_scores(known)
                if not scores.any():
                    unmatched += 1
                    example = example or question.id
                yield top_k(scores, self._ids, k)
        if 2 * unmatched > len(questions):
            warnings.warn(
                f"BM25: {unmatched} of {len(questions)} questions share no word with any "
                f"passage, such as {example!r}: they get the first passages of the corpus, "
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
