"""Teaching in parts: the contents of some questions are in memory, and the teacher frees what it
loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from radio.cache import Cache
from radio.corpus import DiskCorpus, PassagesById
from radio.retrievers import BM25
from radio.schema import Candidate, InputError, Passage, Question, Rationale
from radio.teachers import Lesson
from tests.conftest import World
from tests.data.test_module import WordOverlap, module
from tests.data.test_prepare import Interrupted, ids


class Parts(WordOverlap):
    """Notes how many lessons it is given at a time, and when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[int] = []
        self._released: list[int] = []

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        self._parts.append(len(work))
        return super().score_all(work, cache)

    def release(self) -> None:
        self._released.append(self._calls)


def test_a_teacher_is_given_some_questions_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.data.prepare.LESSONS", 3)
    monkeypatch.setattr("radio.data.prepare.PART", 2)
    teacher = Parts()
    data = module(world, teacher=teacher)
    data.prepare_data()
    expected, released = [], []
    for split in ("train", "validation", "test"):
        left = len(ids(world, split))
        released.append(left + sum(released[-1:]))
        while left:
            expected.append(min(3, left))
            left -= expected[-1]
    assert teacher._parts == expected
    # at the end of each split, and not between its parts
    assert teacher._released == released
    data.setup("fit")
    monkeypatch.undo()
    whole = module(world, teacher=Parts(), cache_dir=str(world.folder / "whole"))
    whole.prepare_data()
    whole.setup("fit")
    assert list(data.examples["train"]) == list(whole.examples["train"])
    # nothing is left to do: nothing is loaded, and nothing freed
    data.prepare_data()
    assert len(teacher._released) == 3


class Releases(BM25):
    """Notes how many searches it has done when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._searches = 0
        self._released: list[int] = []

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        self._searches += 1
        return super().search(questions, k)

    def release(self) -> None:
        self._released.append(self._searches)


def test_a_retriever_is_released_when_all_splits_have_their_candidates(world: World) -> None:
    retriever = Releases()
    module(world, retriever=retriever).prepare_data()
    assert retriever._released == [3]


def test_a_teacher_is_released_when_it_fails(world: World) -> None:
    class Failing(Interrupted):
        released = 0

        def release(self) -> None:
            type(self).released += 1

    with pytest.raises(KeyboardInterrupt):
        module(world, teacher=Failing(5)).prepare_data()
    assert Failing.released == 1


def test_what_is_stored_is_read_without_any_passage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(world)
    data.prepare_data()
    preparation = data.preparation
    found = preparation.rationales("train").kept
    read: list[Any] = []
    monkeypatch.setattr(
        "radio.data.prepare.passages_of", lambda corpus, wanted: read.append(wanted)
    )
    preparation.teach("train", found)
    scores = preparation.scores("train", found)
    assert len(scores) == len(ids(world, "train"))
    assert read == []
    # the keys are those of the lessons
    monkeypatch.undo()
    lessons = dict(preparation.lessons("train", found))
    assert {lesson.question.id for lesson in lessons.values()} == set(scores)
    assert not preparation.cache.missing(list(lessons))


def test_each_passage_that_some_questions_share_is_read_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(world)
    data.prepare_data()
    read: list[str] = []
    monkeypatch.setattr(DiskCorpus, "find", _counted(DiskCorpus.find, read))
    found = data.preparation.rationales("train").kept
    read.clear()
    lessons = [lesson for _, lesson in data.preparation.lessons("train", found)]
    shown = [passage.id for lesson in lessons for passage in lesson.passages]
    assert isinstance(data.corpus, DiskCorpus)
    assert sorted(read) == sorted(set(shown))
    assert len(shown) > len(read)
    assert lessons[0].passages[0].contents == data.corpus[lessons[0].passages[0].id].contents


def _counted(find: Any, read: list[str]) -> Any:
    def counted(self: DiskCorpus, identifiers: Any) -> dict[str, Passage]:
        wanted = list(identifiers)
        read.extend(wanted)
        found: dict[str, Passage] = find(self, wanted)
        return found

    return counted


def test_a_question_that_lacks_what_is_needed_is_refused_before_the_first_is_scored(
    world: World,
) -> None:
    class Answers(WordOverlap):
        needs_answers = True

    teacher = Answers()
    preparation = module(world, teacher=teacher).preparation
    *first, last = preparation.questions("train")
    given = [*first, replace(last, golden_answers=())]
    preparation.questions = lambda split: given
    preparation.find_candidates("train")
    rationales = {question.id: Rationale(question.id, "So.") for question in given}
    with pytest.raises(InputError, match=f"Answers: question '{last.id}': found no golden_answers"):
        preparation.teach("train", rationales)
    assert teacher._calls == 0


def test_the_passages_of_a_question_are_read_when_they_are_asked_for() -> None:
    corpus = {f"p{n}": Passage(f"p{n}", f"Text {n}") for n in range(4)}
    passages = PassagesById(corpus, ["p2", "p0", "p2"])
    assert list(passages) == [corpus["p2"], corpus["p0"], corpus["p2"]]
    assert len(passages) == 3
    assert passages[1] == corpus["p0"]
    assert list(passages[:2]) == [corpus["p2"], corpus["p0"]]
    with pytest.raises(KeyError):
        list(PassagesById(corpus, ["p9"]))
