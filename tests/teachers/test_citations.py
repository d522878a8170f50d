"""Cited: the share of the rationale's facts that cite each passage."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import pytest

from radio.cache import Cache
from radio.llm.prompts import PromptTemplate
from radio.rationales.writers import PROMPTS
from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers import Cited, Gated, Lesson
from tests.teachers.cases import Fixed

QUESTION = Question("q1", "Who lit the lamp?", ("Ada",))


def named(*ids: str) -> list[RetrievedPassage]:
    return [RetrievedPassage(identifier, "Lamp\nIt was lit.") for identifier in ids]


def scores(text: str, ids: Sequence[str] = ("p1", "p2", "p3"), *others: str) -> list[float]:
    return Cited().score(QUESTION, Rationale("q1", text, others=others), named(*ids))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada lit it [p1]. Bo rang [p2]. So it was Ada.", [1 / 3, 1 / 3, 0]),
        ("Ada lit it [p1]. Bo rang [p1].", [1, 0, 0]),
        ("Ada lit it. [p1] Bo rang. [p2]", [1 / 2, 1 / 2, 0]),
        ("Ada lit it.[p1] Bo rang.[p2]", [1 / 2, 1 / 2, 0]),
        ("[p3] Ada lit it! Did Bo?", [0, 0, 1 / 2]),
        # several in one bracket, or brackets side by side; once a fact
        ("Ada lit it [p1, p2][p3] as told [p1].", [1, 1, 1]),
        ("Ada lit it [p1; p3]. Bo rang.", [1 / 2, 0, 1 / 2]),
        ("Ada lit it [passages p1 and p2].", [1, 1, 0]),
        ('Ada lit it [id="p2"].', [0, 1, 0]),
        ("Ada lit it [[p2]].", [0, 1, 0]),
        ("Ada lit it [ p2 ].", [0, 1, 0]),
        # one that is known beside one that is not
        ("Ada [sic] lit it [p9, p2].", [0, 1, 0]),
    ],
)
def test_a_passage_scores_the_share_of_facts_that_cite_it(text: str, expected: list[float]) -> None:
    assert scores(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "identifier",
    [
        "a&b",
        'say "so"',
        "<1>",
        "doc[2]",
        "A. Title, of parts; and more",
        "12",
        "Ada's lamp",
        "it's",
    ],
)
def test_an_id_counts_as_the_prompt_shows_it_and_as_it_is(identifier: str) -> None:
    shown = PromptTemplate("citations", PROMPTS).render(QUESTION, named(identifier, "other"))
    as_shown = re.findall(r'<passage id="([^"]*)">', shown)[0]
    for name in (identifier, as_shown):
        text = f"Ada lit it [{name}]. Bo rang [other, {name}]."
        assert scores(text, [identifier, "other"]) == [1, 1 / 2]


def test_an_escaped_id_is_that_of_the_passage_that_is_shown_so() -> None:
    assert scores("Ada lit it [a&amp;b].", ["a&amp;b", "a&b"]) == [0, 1]
    assert scores("Ada lit it [a&amp;amp;b].", ["a&amp;b", "a&b"]) == [1, 0]


@pytest.mark.parametrize("text", ["Ada lit it.", "Ada lit it [p9].", "", "[]", "[p1", "It [] was."])
def test_a_rationale_that_cites_no_candidate_has_no_preference(text: str) -> None:
    assert scores(text) == [0.5] * 3


def test_several_rationales_are_averaged_but_those_that_cite_nothing() -> None:
    assert scores("Ada [p1]. Bo.", ("p1", "p2"), "Ada lit it.", "Ada [p2].") == [1 / 4, 1 / 2]


def test_what_was_no_citation_is_said_once_when_all_is_done(cache: Cache) -> None:
    texts = ["Ada lit it [p1].", "Ada lit it.", "Ada lit it [p8, p1] or [p9].", "So [p7]."]
    work = [Lesson(QUESTION, Rationale("q1", text), named("p1", "p2")) for text in texts]
    teacher = Gated(Cited(), Fixed([1, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in (work[:2], work[2:]):
            list(teacher.score_all(part, cache))
    message = (
        "Cited: 2 of 4 rationales cite none of their candidates, which teaches no preference; "
        r"3 citations name no candidate of their question, such as \[p8\]"
    )
    with pytest.warns(UserWarning, match=message):
        teacher.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher.release()


def test_scores_follow_the_passages_and_one_alone_has_its_share() -> None:
    text = "Ada lit it [p1]. Bo rang [p1, p3]."
    assert scores(text, ["p3", "p1"]) == [1 / 2, 1]
    assert scores(text, ["p1"]) == [1]
    assert scores(text, []) == []


def test_it_needs_the_rationale_and_nothing_else() -> None:
    teacher = Cited()
    assert teacher.needs_rationale
    needs = [teacher.needs_answers, teacher.needs_set, teacher.needs_generator]
    assert not any(needs)
