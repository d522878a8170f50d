"""What replies took, added up."""

from __future__ import annotations

from radio.cache import Cache
from radio.generators import Answer, SpanReader
from radio.llm.base import Failure
from radio.teachers import AnswerFlip, Blend, DownstreamMetric, Lesson, RetrievalScore
from radio.teachers.spending import Spending
from tests.teachers.cases import QUESTION, TEXTS, passages


def test_calls_tokens_and_dollars_are_added_up() -> None:
    spending = Spending()
    assert spending.costs is None
    spending.add([Answer("a", usage={"input": 10, "cache_read": 5, "output": 2}, dollars=0.25)])
    spending.add([Failure("q", "too long"), Answer("b", usage={"input": 1, "output": 1})])
    assert spending.costs == {
        "replies": 2,
        "prompt tokens": 16,
        "completion tokens": 3,
        "dollars": 0.25,
    }


def test_what_nobody_counts_is_left_out(cache: Cache) -> None:
    teacher = DownstreamMetric(SpanReader())
    assert teacher.costs is None
    list(teacher.score_all([Lesson(QUESTION, None, passages())], cache))
    assert teacher.costs == {"replies": len(TEXTS)}


def test_a_blend_costs_what_its_parts_cost(cache: Cache) -> None:
    parts = [DownstreamMetric(SpanReader()), RetrievalScore(), AnswerFlip(SpanReader())]
    blend = Blend(parts)
    assert blend.costs is None
    list(blend.score_all([Lesson(QUESTION, None, passages())], cache))
    assert blend.costs == {"replies": 2 * len(TEXTS)}
