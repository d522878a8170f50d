"""Lexical retrieval, over its own index and prebuilt ones."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.retrievers.bm25 import BM25
from radio.schema import Candidate, InputError, Passage
from tests.retrievers.shared import TEXTS, find, ids, search


def test_bm25_finds_words_of_title_and_text(cache: Cache) -> None:
    by_text, by_title = find(BM25(), cache, "What is baked from flour?", "Which signals are there?")
    assert ids(by_text)[0] == "p4"
    assert ids(by_title)[0] == "p1"
    for candidates in (by_text, by_title):
        assert [c.rank for c in candidates] == [0, 1, 2]
        assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)


def test_bm25_breaks_ties_by_the_order_of_the_corpus(cache: Cache) -> None:
    texts = ["nothing here", "harbour light", "harbour light", "light harbour", "harbour light"]
    (found,) = find(BM25(), cache, "harbour light", k=3, texts=texts)
    assert ids(found) == ["p1", "p2", "p3"]
    assert len({c.score for c in found}) == 1


def test_bm25_fills_up_with_passages_of_score_zero(cache: Cache) -> None:
    (found,) = find(BM25(), cache, "bread", k=4)
    assert ids(found) == ["p4", "p0", "p1", "p2"]
    assert found[0].score > 0
    assert [c.score for c in found[1:]] == [0, 0, 0]


@pytest.mark.parametrize("question", ["Xylophone zebra?", "of the", "", "?!"])
def test_bm25_ranks_a_question_without_a_known_word_by_the_corpus(
    question: str, cache: Cache
) -> None:
    (found,) = find(BM25(), cache, question, k=2)
    assert found == [Candidate("p0", 0, 0.0), Candidate("p1", 1, 0.0)]


def test_bm25_parameters_change_scores_and_fingerprint(cache: Cache) -> None:
    (default,) = find(BM25(), cache, "fog")
    (other,) = find(BM25(k1=1.5, b=0.75), cache, "fog")
    assert default[0].score != other[0].score
    assert (
        len({r.fingerprint() for r in (BM25(), BM25(k1=1.5), BM25(b=0.75), BM25(stopwords=None))})
        == 4
    )


def test_bm25_finds_the_stem_of_a_word(cache: Cache) -> None:
    pytest.importorskip("Stemmer", reason="PyStemmer is not installed (extra stemmer)")
    (plain,) = find(BM25(), cache, "colliding vessels")
    (stemmed,) = find(BM25(stemmer="english"), cache, "colliding vessels")
    assert plain[0].score == 0
    assert ids(stemmed)[0] == "p1"
    assert stemmed[0].score > 0
    assert BM25(stemmer="english").fingerprint() != BM25().fingerprint()
    with pytest.raises(InputError, match=r"stemmer 'klingon': expected one of .*english"):
        find(BM25(stemmer="klingon"), cache, "fog")


def test_bm25_holds_the_words_of_some_questions_at_a_time(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [*TEXTS, "Xylophone?", "", "fog"]
    whole = find(BM25(), cache, *questions)
    together: list[int] = []
    tokens = BM25._tokens

    def counted(self: BM25, texts: list[str]) -> list[list[str]]:
        together.append(len(texts))
        return tokens(self, texts)

    monkeypatch.setattr("radio.retrievers.bm25.TOGETHER", 3)
    monkeypatch.setattr(BM25, "_tokens", counted)
    assert find(BM25(), cache, *questions) == whole
    # the first are the passages
    assert sum(together[1:]) == len(questions)
    assert max(together[1:]) == 3


def test_a_stemmer_names_the_package_that_it_needs(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(InputError, match=r"needs PyStemmer: pip install 'radio-rag\[stemmer\]'"):
        find(BM25(stemmer="english"), cache, "fog")


BM25S = (
    "params.index.json",
    "vocab.index.json",
    *(f"{n}.csc.index.npy" for n in ("data", "indices", "indptr")),
)
QUERIES = ("What is baked from flour?", "Which fog signals does a vessel sound?", "Xylophone?", "")


def save_bm25s(
    folder: Path, texts: Sequence[str] = TEXTS, *, corpus: Any = None, **settings: Any
) -> str:
    import bm25s

    index = bm25s.BM25(**settings)
    index.index(
        bm25s.tokenize(list(texts), stopwords="en", show_progress=False), show_progress=False
    )
    index.save(folder, corpus=corpus, show_progress=False)
    return str(folder)


def test_a_prebuilt_index_of_bm25s_gives_the_same_candidates(
    corpus: Mapping[str, Passage], cache: Cache, tmp_path: Path
) -> None:
    path = save_bm25s(tmp_path / "index", k1=1.7, b=0.6)
    prebuilt = BM25(index_path=path)
    built = BM25(k1=1.7, b=0.6)
    for k in (1, 3, 9):
        assert search(prebuilt, cache, corpus, *QUERIES, k=k) == search(
            built, cache, corpus, *QUERIES, k=k
        )
    assert all(
        isinstance(prebuilt._index.scores[part], np.memmap)
        for part in ("data", "indices", "indptr")
    )


@pytest.mark.parametrize("method", ["bm25+", "bm25l"])
def test_a_prebuilt_index_keeps_its_variant_of_bm25(
    method: str, cache: Cache, tmp_path: Path
) -> None:
    (found,) = find(
        BM25(index_path=save_bm25s(tmp_path / "index", method=method)), cache, "fog signals"
    )
    (lucene,) = find(BM25(index_path=save_bm25s(tmp_path / "lucene")), cache, "fog signals")
    assert ids(found)[0] == ids(lucene)[0] == "p1"
    assert found[0].score != lucene[0].score


def test_an_index_is_searched_that_was_built_as_flashrag_builds_it(
    corpus: Mapping[str, Passage], cache: Cache, tmp_path: Path
) -> None:
    stemmer = pytest.importorskip("Stemmer", reason="PyStemmer is not installed (extra stemmer)")
    import bm25s

    tokenizer = bm25s.tokenization.Tokenizer(stopwords="en", stemmer=stemmer.Stemmer("english"))
    index = bm25s.BM25(corpus=[{"id": f"p{n}", "contents": text} for n, text in enumerate(TEXTS)])
    index.index(
        tokenizer.tokenize(TEXTS, return_as="tuple", show_progress=False), show_progress=False
    )
    index.save(tmp_path / "bm25", show_progress=False)
    tokenizer.save_vocab(tmp_path / "bm25")
    # FlashRAG builds with numba, which need not be installed here
    settings = tmp_path / "bm25" / "params.index.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "backend": "numba"}))
    found = search(
        BM25(stemmer="english", index_path=str(tmp_path / "bm25")), cache, corpus, *QUERIES
    )
    built = search(BM25(k1=1.5, b=0.75, stemmer="english"), cache, corpus, *QUERIES)
    assert list(map(ids, found)) == list(map(ids, built))
    for a, b in zip(found, built, strict=True):
        assert [c.score for c in a] == pytest.approx([c.score for c in b], rel=1e-5)


def test_a_prebuilt_index_of_another_corpus_is_refused(
    corpus: Mapping[str, Passage], cache: Cache, tmp_path: Path
) -> None:
    path = save_bm25s(tmp_path / "fewer", TEXTS[:4])
    with pytest.raises(
        InputError,
        match=r"fewer: an index of 4 passages, expected 5 as in the corpus; give the corpus",
    ):
        search(BM25(index_path=path), cache, corpus, "fog")
    rows = [{"id": f"p{n}", "contents": text} for n, text in enumerate(TEXTS)]
    path = save_bm25s(tmp_path / "order", TEXTS[::-1], corpus=rows[::-1])
    with pytest.raises(
        InputError,
        match=r"order: the first passage of the index is 'p4', expected 'p0' .* same order",
    ):
        search(BM25(index_path=path), cache, corpus, "fog")
    assert search(BM25(index_path=save_bm25s(tmp_path / "rows", corpus=rows)), cache, corpus, "fog")
    # bm25s numbers these, whatever their ids are in the corpus
    assert search(
        BM25(index_path=save_bm25s(tmp_path / "texts", corpus=TEXTS)), cache, corpus, "fog"
    )


@pytest.mark.parametrize("name", BM25S)
def test_a_prebuilt_index_of_bm25s_that_lacks_a_file_names_it(
    name: str, cache: Cache, tmp_path: Path
) -> None:
    path = save_bm25s(tmp_path / "index")
    (tmp_path / "index" / name).unlink()
    for use in (
        BM25(index_path=path).fingerprint,
        lambda: find(BM25(index_path=path), cache, "fog"),
    ):
        with pytest.raises(
            InputError,
            match=rf"index: no {re.escape(name)} in this folder, expected one that bm25s",
        ):
            use()


@pytest.mark.parametrize("name", BM25S)
@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"<html>" + b]
)
def test_a_damaged_index_of_bm25s_is_named(
    name: str, damage: Callable[[bytes], bytes], cache: Cache, tmp_path: Path
) -> None:
    path = save_bm25s(tmp_path / "index")
    file = tmp_path / "index" / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(
        InputError, match=r"index: not an index of bm25s, or a damaged one \(.+\); copy it again"
    ):
        find(BM25(index_path=path), cache, "fog")


def test_a_prebuilt_index_that_is_not_there_is_named(cache: Cache, tmp_path: Path) -> None:
    retriever = BM25(index_path=str(tmp_path / "nowhere"))
    for use in (retriever.fingerprint, lambda: find(retriever, cache, "fog")):
        with pytest.raises(InputError, match=r"nowhere: no such folder"):
            use()


def test_a_prebuilt_index_of_bm25s_is_identified_by_its_content(tmp_path: Path) -> None:
    before = BM25(index_path=save_bm25s(tmp_path / "a")).fingerprint()
    assert before != BM25().fingerprint()
    assert BM25(index_path=save_bm25s(tmp_path / "b", corpus=TEXTS)).fingerprint() == before
    assert BM25(index_path=save_bm25s(tmp_path / "c", k1=0.5)).fingerprint() != before
