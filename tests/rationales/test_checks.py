"""Checks of rationales: what each one flags and what it must leave alone, and similarities that are
computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.rationales.checks import CHECKS, QualityChecks, best_passages
from radio.rationales.judges import NLIJudge
from radio.schema import InputError, Passage, Question, Rationale

HARBOUR = Question("q1", "Who lit the lamp at port3?", ("captain3", "the keeper"))
GOOD = (
    "In fog captain3 lit the lamp at port3, since the gulls had gone and no ship could see the "
    "stone tower."
)
MULTIPLE = Question(
    "q1", "Which planet is largest?", ("Jupiter",), ("Mars", "Jupiter", "Venus", "Earth")
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


def failed(
    text: str, cache: Cache, question: Question = HARBOUR, outcome: str = "written", **settings: Any
) -> list[str]:
    rationale = Rationale(question.id, text, outcome=outcome)
    return QualityChecks(**settings).run([(question, rationale, [])], cache)[question.id]


def test_a_good_rationale_passes_every_check(cache: Cache) -> None:
    assert failed(GOOD, cache) == []


@pytest.mark.parametrize(
    ("text", "outcome", "expected"),
    [
        ("", "written", "empty"),
        (" \n\t ", "written", "empty"),
        ("", "refused", "refusal"),
        (GOOD, "refused", "refusal"),
        ("I'm sorry, but I can't help with that.", "written", "refusal"),
        (GOOD, "truncated", "truncated"),
        (GOOD.replace("captain3", "captain4"), "written", "no_answer"),
        (
            "Captain3 lit the lamp at port3, for it was captain3 who lit the lamp.",
            "written",
            "repeats",
        ),
        (GOOD + " Fog." * 300, "written", "too_long"),
    ],
)
def test_each_check_names_what_is_wrong(
    text: str, outcome: str, expected: str, cache: Cache
) -> None:
    assert expected in failed(text, cache, outcome=outcome)


def test_a_declined_request_without_text_is_a_refusal_and_not_empty(cache: Cache) -> None:
    assert "empty" not in failed("", cache, outcome="refused")


def test_only_the_checks_that_are_asked_for_are_made(cache: Cache) -> None:
    items = [(HARBOUR, Rationale("q1", ""), [])]
    assert QualityChecks().run(items, cache, ["empty"]) == {"q1": ["empty"]}
    assert QualityChecks().run(items, cache, ["truncated"]) == {"q1": []}
    assert QualityChecks().run(items, cache, []) == {"q1": []}
    assert QualityChecks().run([], cache) == {}


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Jupiter is the largest planet because the largest planet is Jupiter.", 1, True),
        ("The correct answer to the question is Jupiter.", 1, True),
        ("Jupiter has more mass than all the others.", 2, False),
        ("Jupiter has more mass than all the others.", 5, True),
        ("", 1, True),
        ("", 0, False),
    ],
)
def test_repeats_counts_words_of_its_own(
    text: str, limit: int, expected: bool, cache: Cache
) -> None:
    assert ("repeats" in failed(text, cache, MULTIPLE, min_new_words=limit)) is expected


def test_aliases_that_are_not_said_take_no_words_away(cache: Cache) -> None:
    aliases = (
        "Toronto",
        "downtown Toronto",
        "Longest street in the world, Lake Ontario, Yonge Street beginning",
    )
    text = (
        "Yonge Street begins near Lake Ontario in Toronto and was once the longest street in the "
        "world."
    )
    assert "repeats" not in failed(
        text, cache, Question("q1", "Which city has the museum?", aliases)
    )


@pytest.mark.parametrize(("number", "expected"), [(20, False), (21, True)])
def test_too_long_is_more_than_max_words(number: int, expected: bool, cache: Cache) -> None:
    assert ("too_long" in failed("fog " * number, cache, max_words=20)) is expected


# Support


def passages(*texts: str) -> list[Passage]:
    return [Passage(f"p{number}", text) for number, text in enumerate(texts)]


@pytest.fixture
def encoder(tiny_bert: str) -> Encoder:
    return Encoder(tiny_bert, max_length=48)


def test_the_nearest_candidate_decides_whether_a_rationale_is_supported(
    encoder: Encoder, cache: Cache
) -> None:
    near, far = (
        passages("The gull and the rope at the bell.", GOOD),
        passages("rope rope", "wind wind wind"),
    )
    items = [
        (HARBOUR, Rationale("q1", GOOD), near),
        (Question("q2", "?", ("captain3",)), Rationale("q2", GOOD), far),
        (Question("q3", "?", ("captain3",)), Rationale("q3", GOOD), []),
        (Question("q4", "?", ("captain3",)), Rationale("q4", " "), near),
    ]
    best = best_passages(items, encoder, cache)
    assert sorted(best) == ["q1", "q2"]
    assert best["q1"].passage_id == "p1"
    assert best["q1"].similarity == pytest.approx(1, abs=1e-5)
    vectors = (
        encoder.encode([p.contents for p in far], cache)
        @ encoder.encode([GOOD], cache, query=True)[0]
    )
    assert best["q2"] == (far[int(np.argmax(vectors))].id, pytest.approx(float(vectors.max())))
    limit = (1 + best["q2"].similarity) / 2
    found = QualityChecks(encoder=encoder, min_similarity=limit).run(items, cache, ["unsupported"])
    assert found == {"q1": [], "q2": ["unsupported"], "q3": ["unsupported"], "q4": ["unsupported"]}


def test_similarities_are_computed_once(tiny_bert: str, cache: Cache) -> None:
    items = [(HARBOUR, Rationale("q1", GOOD), passages("rope", "bell"))]
    first, second, other = (Encoder(tiny_bert, max_length=length) for length in (48, 48, 32))
    found = [best_passages(items, encoder, cache) for encoder in (first, second, other)]
    assert [encoder._loaded is not None for encoder in (first, second, other)] == [
        True,
        False,
        True,
    ]
    assert found[0] == found[1]
    changed = [(HARBOUR, Rationale("q1", GOOD), passages("gull"))]
    assert best_passages(changed, second, cache) != found[0]
    assert second._loaded is not None


def test_many_rationales_are_embedded_in_parts(encoder: Encoder, cache: Cache) -> None:
    items = [
        (
            Question(f"q{n}", "?", ("x",)),
            Rationale(f"q{n}", f"lamp {n % 7}"),
            passages(f"bell {n % 5}", f"lamp {n % 7}"),
        )
        for n in range(300)
    ]
    best = best_passages(items, encoder, cache)
    assert len(best) == 300
    assert {support.passage_id for support in best.values()} == {"p1"}


# Settings


def test_without_models_the_checks_that_need_one_are_left_out(tiny_bert: str) -> None:
    assert QualityChecks().available == tuple(
        n for n in CHECKS if n not in {"contradicts", "unsupported"}
    )
    assert QualityChecks(encoder=Encoder(tiny_bert), judge=NLIJudge("unused")).available == CHECKS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("contradicts", r"data\.init_args\.rationale_checks\.init_args\.judge: found null"),
        ("unsupported", r"data\.init_args\.rationale_checks\.init_args\.encoder: found null"),
        ("boring", "found 'boring', expected some of empty, refusal"),
    ],
)
def test_a_check_that_can_not_be_made_names_the_key(name: str, message: str, cache: Cache) -> None:
    with pytest.raises(InputError, match=message):
        QualityChecks().run([], cache, [name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_words": 0}, "max_words: found 0, expected a whole number, 1 or more"),
        ({"min_new_words": -1}, "min_new_words: found -1, expected a whole number, 0 or more"),
        ({"min_similarity": 30}, "min_similarity: found 30, expected a number between -1 and 1"),
    ],
)
def test_a_limit_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"QualityChecks: {message}"):
        QualityChecks(**settings)


def test_the_fingerprint_follows_the_settings(tiny_bert: str) -> None:
    same = QualityChecks().fingerprint()
    assert QualityChecks(max_words=300).fingerprint() == same
    others = [
        QualityChecks(max_words=10),
        QualityChecks(min_similarity=0.5),
        QualityChecks(encoder=Encoder(tiny_bert)),
    ]
    assert len({same, *(checks.fingerprint() for checks in others)}) == 4
