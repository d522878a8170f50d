"""Runs of words: as a search by hand finds them, in texts that are read once."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from radio.diagnosing.grams import RULES, Grams, grams_of
from radio.text import tokens


def by_hand(question: str, texts: list[str], size: int) -> tuple[int, int]:
    """Distinct runs of a question that stand in some text, and how many it has: each run is held
    against each place of each text."""
    words = question.lower().replace("?", "").split()
    if not words:
        return 0, 0
    length = min(size, len(words))
    runs: list[list[str]] = []
    for place in range(len(words) - length + 1):
        run = words[place : place + length]
        if run not in runs:
            runs.append(run)
    found = 0
    for run in runs:
        hit = False
        for text in texts:
            there = text.lower().split()
            for place in range(len(there)):
                hit = hit or there[place : place + length] == run
        found += hit
    return found, len(runs)


def test_counts_are_those_of_a_search_by_hand() -> None:
    rng = random.Random(7)

    def text(length: int) -> str:
        # few words, so that runs are found again
        return " ".join(rng.choice("ab") for _ in range(length))

    questions = {f"q{n}": text(rng.randint(0, 20)) + "?" for n in range(60)}
    texts = [text(rng.randint(0, 60)) for _ in range(25)]
    grams = Grams(questions)
    found = grams.look_for((str(n), words) for n, words in enumerate(texts))
    seen = set()
    for name, question in questions.items():
        for size, share in RULES.items():
            overlap = grams.overlap(name, size, found.get(name))
            count, whole = by_hand(question, texts, size)
            assert (overlap.found, overlap.of) == (count, whole), question
            assert overlap.short == (len(question.replace("?", "").split()) < size)
            assert overlap.flagged == (count > 0 and count >= share * whole)
            seen.add((size, overlap.short, overlap.flagged))
    assert len(seen) == 8, "each kind of question is among them"


def test_seven_of_ten_runs_are_enough_and_six_are_not() -> None:
    words = [f"w{n}" for n in range(17)]
    grams = Grams({"q": " ".join(words)})
    # 17 words have ten runs of eight
    for copied, flagged in ((14, True), (13, False)):
        found = grams.look_for([("t", " ".join(words[:copied]))])
        overlap = grams.overlap("q", 8, found["q"])
        assert (overlap.found, overlap.of, overlap.flagged) == (copied - 7, 10, flagged)
    # one run of 13 is enough
    overlap = grams.overlap("q", 13, found["q"])
    assert (overlap.found, overlap.of, overlap.flagged) == (1, 5, True)


def test_case_punctuation_and_white_space_make_no_difference() -> None:
    question = "Who lit the lamp of Ostend, when the storm of '87 came - and why?"
    copy = "who LIT the lamp\nof ostend when the storm: of 87 came and why"
    grams = Grams({"q": question})
    found = grams.look_for([("copy", f"It is asked: {copy} so often.")])
    for size in RULES:
        overlap = grams.overlap("q", size, found["q"])
        assert overlap.found == overlap.of == len(grams_of(tokens(question), size))
    assert found["q"].text == "copy"


def test_a_short_question_is_looked_for_as_a_whole() -> None:
    grams = Grams({"long": "who lit it", "other": "lit it", "one": "who", "none": "?!"})
    found = grams.look_for([("t", "They asked who lit it then.")])
    for name in ("long", "other", "one"):
        overlap = grams.overlap(name, 8, found[name])
        assert (overlap.found, overlap.of, overlap.short, overlap.flagged) == (1, 1, True, True)
    assert "none" not in found
    assert grams.overlap("none", 8, None).of == 0
    # a part of it is not enough, nor a part of a word
    assert grams.look_for([("t", "who lit that"), ("u", "whom lit it")]).keys() == {"one", "other"}


def test_a_text_counts_for_its_owners_alone() -> None:
    grams = Grams({"a": "who lit the lamp", "b": "who lit the lamp"})
    text = ("p1", "Who lit the lamp?")
    assert grams.look_for([text]).keys() == {"a", "b"}
    assert grams.look_for([text], {"p1": {"b"}}).keys() == {"b"}


@pytest.mark.parametrize("count", [3])
def test_texts_are_read_once_and_one_after_the_other(count: int) -> None:
    alive = 0

    def stream() -> Iterator[tuple[str, str]]:
        nonlocal alive
        for number in range(count):
            alive += 1
            yield str(number), "who lit the lamp"

    grams = Grams({"q": "who lit the lamp"})
    assert grams.look_for(stream())["q"].text == "0"
    assert alive == count
