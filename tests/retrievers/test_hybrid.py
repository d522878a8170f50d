"""Several retrievers as one: what they found is merged, and weights are learnt from training
questions alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from radio.cache import Cache
from radio.fusion import Merge
from radio.retrievers import BM25, Hybrid, Retriever
from radio.retrievers.hybrid import LEARNT_FROM, names_of
from radio.schema import Candidate, InputError, Passage, Question
from tests.conftest import World
from tests.data.test_module import module
from tests.retrievers.shared import ids, search

CORPUS = {name: Passage(name, f"About {name}\n{name} of Ada") for name in "abcdefgh"}
CORPUS |= {"z": Passage("z", "Nothing\nnobody")}


class Listed(Retriever):
    """Finds what is written down, whatever is asked; injected ones have a ``*``."""

    def __init__(self, found: Sequence[str], scores: Sequence[float] | None = None) -> None:
        self.found = list(found)
        self.scores = scores
        self._asked: list[tuple[list[str], int]] = []

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        self._asked.append(([question.id for question in questions], k))
        for _ in questions:
            found = []
            for place, name in enumerate(self.found):
                injected = name.endswith("*")
                score = self.scores[place] if self.scores else -float(place)
                found.append(Candidate(name.rstrip("*"), place, score, injected))
            searched = [one for one in found if not one.injected][:k]
            yield searched + [one for one in found if one.injected]


def found_by(hybrid: Retriever, cache: Cache, k: int = 5) -> list[Candidate]:
    (found,) = search(hybrid, cache, CORPUS, "who?", k=k)
    assert [one.rank for one in found] == list(range(len(found)))
    return found


def test_the_lists_are_merged_as_the_method_says(cache: Cache) -> None:
    parts: list[Retriever] = [Listed("abcd"), Listed("cx".replace("x", "e"))]
    for method in ("interleave", "reciprocal_rank", "min_max", "z_score", "rank"):
        hybrid = Hybrid(parts, method=method)  # type: ignore[arg-type]
        found = found_by(hybrid, cache)
        lists = [{"a": 0.0, "b": -1.0, "c": -2.0, "d": -3.0}, {"c": 0.0, "e": -1.0}]
        expected = Merge(method)(lists)  # type: ignore[arg-type]
        assert {one.passage_id: one.score for one in found} == expected
        assert ids(found) == list(expected)


def test_only_the_best_are_given_and_each_list_is_asked_for_its_depth(cache: Cache) -> None:
    one, two = Listed("abcdef"), Listed("fedcba")
    assert ids(found_by(Hybrid([one, two], depth=6), cache, k=2)) == ["a", "f"]
    assert {depth for _, depth in one._asked + two._asked} == {6}
    assert len(found_by(Hybrid([one, two]), cache, k=3)) == 3
    assert one._asked[-1][1] == 3


def test_lists_may_be_empty_or_of_one_passage(cache: Cache) -> None:
    assert found_by(Hybrid([Listed(""), Listed("")]), cache) == []
    assert ids(found_by(Hybrid([Listed("b"), Listed("")]), cache)) == ["b"]
    assert ids(found_by(Hybrid([Listed("b"), Listed("a")], method="interleave"), cache)) == [
        "b",
        "a",
    ]


def test_what_was_put_in_by_hand_stands_at_the_end_unless_it_was_found(cache: Cache) -> None:
    hybrid = Hybrid([Listed(["h*", "a", "b"]), Listed(["b", "g*", "h"])])
    found = found_by(hybrid, cache)
    assert ids(found) == ["b", "a", "h", "g"]
    assert [one.injected for one in found] == [False, False, False, True]
    assert found[-1].score == 0
    # beyond what is asked for
    deep = Hybrid(hybrid.retrievers, depth=3)
    assert ids(found_by(deep, cache, k=1)) == ["b", "g"]
    kept = Hybrid([Listed(["h*", "a"]), Listed(["b", "g*"])], method="interleave")
    assert ids(found_by(kept, cache)) == ["a", "b", "g", "h"]


def test_passages_that_only_fill_up_a_list_count_as_not_found(cache: Cache) -> None:
    (fog, plain) = search(
        Hybrid([BM25(), Listed("zh")]), cache, CORPUS, "nobody here", "nobody", k=9
    )
    # BM25 finds z by its word; all that it fills up with stands behind what the other has found
    assert ids(fog)[:2] == ids(plain)[:2] == ["z", "h"]
    assert [one.score for one in plain[2:]] == [0.0] * 7
    assert ids(plain)[2:] == list("abcdefg")


def test_a_part_that_gives_a_passage_twice_or_in_another_order_is_refused(cache: Cache) -> None:
    with pytest.raises(InputError, match=r"Listed.search: question 'q0': found candidate 'a' tw"):
        found_by(Hybrid([Listed("aba"), Listed("c")]), cache)
    with pytest.raises(InputError, match="expected the highest score first"):
        found_by(Hybrid([Listed("ab", [1.0, 2.0]), Listed("c")]), cache)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrievers": [BM25()]}, "Hybrid: retrievers: found 1, expected two or more"),
        ({"method": "borda"}, "Hybrid: method: found 'borda'"),
        ({"weights": [1.0, 2.0, 3.0]}, "Hybrid: weights: found 3 of them for 2 retrievers"),
        ({"weights": -1.0}, "Hybrid: weights: found -1.0, expected a number between 0"),
        ({"method": "rank", "k": 3.0}, "Hybrid: k: found 3.0 with method 'rank'"),
        ({"depth": 0}, "Hybrid: depth: found 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        Hybrid(**settings)
    assert str(error.value).startswith(message)


# Keys


def test_all_that_changes_the_candidates_is_in_the_key() -> None:
    def key(*args: Any, **settings: Any) -> str:
        return Hybrid([BM25(*args), Listed("ab")], **settings).fingerprint()

    keys = [
        key(),
        key(1.2),
        key(method="min_max"),
        key(method="interleave"),
        key(weights=[1, 3]),
        key(k=10),
        key(depth=7),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(weights=[2, 2]) == key(weights=0.5) == key(k=60.0)


def test_what_is_asked_of_a_question_is_what_the_parts_ask() -> None:
    question = Question("q", "Who?", ("Ada",))
    assert Hybrid([BM25(), BM25(k1=1.0)]).asked(question) == [["Who?"], ["Who?"]]


# Weights that are learnt


TRAINING = [Question(f"t{n}", "who?", metadata={"gold_ids": ["c"]}) for n in range(4)]


def learnt(*lists: str, **settings: Any) -> Hybrid:
    parts: list[Retriever] = [Listed(found) for found in lists]
    return Hybrid(parts, **{"method": "min_max", "weights": "learnt", **settings})


def test_weights_are_learnt_from_the_training_questions_and_said(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    hybrid = learnt("abc", "cba")
    hybrid.learn(TRAINING)
    assert ids(found_by(hybrid, cache)) == ["c", "b", "a"]
    said = capsys.readouterr().err
    assert "Hybrid: weights learnt on 4 of 4 training questions: Listed 1 0.45, Listed 2" in said
    # the training questions were searched, then the one that was asked about
    assert isinstance(hybrid.retrievers[0], Listed)
    assert [asked for asked, _ in hybrid.retrievers[0]._asked] == [
        ["t0", "t1", "t2", "t3"],
        ["q0"],
    ]


def test_the_key_holds_what_the_weights_were_learnt_from() -> None:
    hybrid = learnt("abc", "cba")
    with pytest.raises(InputError, match="found 'learnt' before learn"):
        hybrid.fingerprint()
    hybrid.learn(TRAINING)
    first = hybrid.fingerprint()
    hybrid.learn(TRAINING[:2])
    assert hybrid.fingerprint() != first
    hybrid.learn(TRAINING)
    assert hybrid.fingerprint() == first
    # a question without an answer or an annotation teaches nothing, and is no part of it
    hybrid.learn([*TRAINING, Question("x", "who?")])
    assert hybrid.fingerprint() == first
    assert Hybrid([Listed("abc"), Listed("cba")], method="min_max").fingerprint() != first


def test_no_training_question_or_none_that_tells_is_refused(cache: Cache) -> None:
    for questions in ([], [Question("x", "who?")]):
        hybrid = learnt("abc", "cba")
        hybrid.learn(questions)
        with pytest.raises(InputError, match="with 0 training questions, expected some"):
            found_by(hybrid, cache)
    hybrid = learnt("abc", "cba")
    hybrid.learn([Question("x", "who?", ("Zeus",))])
    with pytest.raises(InputError, match="with 1 training questions, none of them has"):
        found_by(hybrid, cache)


def test_many_training_questions_are_sampled() -> None:
    hybrid = learnt("abc", "cba")
    many = [Question(f"t{n}", "who?", ("Ada",)) for n in range(3 * LEARNT_FROM)]
    hybrid.learn(many)
    assert [one.id for one in hybrid._known_training()] == [one.id for one in many[::3]]


def test_a_hybrid_in_a_hybrid_learns_too(cache: Cache) -> None:
    inner = learnt("abc", "cba")
    outer = Hybrid([inner, Listed("d")])
    assert outer.learns
    assert not Hybrid([Listed("a"), Listed("b")]).learns
    outer.learn(TRAINING)
    assert ids(found_by(outer, cache))[0] == "c"


class Spying(Hybrid):
    """Keeps what it was told to learn from."""

    def learn(self, questions: Sequence[Question]) -> None:
        self._told = {question.id for question in questions}
        super().learn(questions)


def test_a_data_module_hands_over_training_questions_and_no_others(world: World) -> None:
    spying = Spying([BM25(), BM25(k1=2.0)], method="min_max", weights="learnt")
    data = module(world, retriever=spying)
    for split in ("test", "validation", "train"):
        data.preparation.find_candidates(split)
    training = {question.id for question in data.split_questions("train")}
    assert spying._told == training
    assert all(data.preparation.candidates("test").values())
    # another command finds what this one has stored
    again = module(world, retriever=Spying([BM25(), BM25(k1=2.0)], "min_max", "learnt"))
    assert again.preparation.candidates("test") == data.preparation.candidates("test")


def test_names_of_parts_are_told_apart() -> None:
    parts: list[Mapping[str, int] | list[int]] = [[], {}, []]
    assert names_of(parts) == ["list 1", "dict", "list 2"]
