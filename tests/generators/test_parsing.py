"""What is read in a reply: a table of replies for each kind of answer."""

from __future__ import annotations

import pytest

from radio.generators.parsing import choice, short_answer
from radio.metrics.answers import exact_match
from radio.schema import Question

ASKED = Question("q", "Which city has the tower?", ("Lyon",))
CITIES = ("Paris", "Lyon", "New York", "York")


def asked(*choices: str) -> Question:
    return Question("q", "Which one?", (), choices)


SHORT = {
    "Lyon": "Lyon",
    "Lyon.": "Lyon",
    "  Lyon\n": "Lyon",
    "Lyon\nThe tower stands there since 1998.": "Lyon",
    "Answer: Lyon": "Lyon",
    "The passages name two.\nAnswer: Paris\nFinal answer: Lyon.": "Lyon",
    "Answer:\nLyon": "Lyon",
    "The answer is Lyon.": "Lyon",
    "So the final answer is: Lyon": "Lyon",
    "The answer to the question is Lyon.": "Lyon",
    '"Lyon."': "Lyon",
    "The answer is “Lyon”.": "Lyon",
    "**Lyon**": "Lyon",
    "**Answer:** Lyon": "Lyon",
    "<think>Is it Paris?</think>\nLyon": "Lyon",
    "Paris or Lyon ...</think>Lyon": "Lyon",
    "Lyon <think>or Paris</think>": "Lyon",
    "<think>The tower is in": None,
    "": "",
    " \n": "",
    # nothing else is taken away
    "U.S.": "U.S.",
    "Sammy Davis Jr.": "Sammy Davis Jr.",
    "The answer is 7.": "7",
    "2**3**4": "2**3**4",
    "Wait...": "Wait...",
    "Dr. No": "Dr. No",
    "Lyon, in France": "Lyon, in France",
    "It is Lyon": "It is Lyon",
    "The answer": "The answer",
    "*NSYNC": "*NSYNC",
    '"Heroes" and "Low"': '"Heroes" and "Low"',
}


@pytest.mark.parametrize("reply", SHORT)
def test_a_short_answer_is_found_by_the_documented_rules_alone(reply: str) -> None:
    assert short_answer(reply, ASKED) == SHORT[reply]


@pytest.mark.parametrize(
    "span", ["Lyon", "the 3rd of May, 1808", "St. Mary's", '"Heroes"', "U.S. Route 1.", "-5 °C"]
)
def test_what_was_copied_from_a_passage_is_as_right_as_before(span: str) -> None:
    assert exact_match(str(short_answer(span, ASKED)), (span,)) == 1


CHOSEN = {
    "B": "Lyon",
    "b": "Lyon",
    "(B)": "Lyon",
    "(b)": "Lyon",
    "B.": "Lyon",
    "**B**": "Lyon",
    "**B.** Lyon": "Lyon",
    "The answer is B.": "Lyon",
    "The answer is **B**.": "Lyon",
    "The correct answer is option B": "Lyon",
    "The answer is (B) Lyon.": "Lyon",
    "Answer: B": "Lyon",
    "the answer is b.": "Lyon",
    "B) Lyon": "Lyon",
    "b) Lyon": "Lyon",
    "B. Lyon": "Lyon",
    "B: Lyon": "Lyon",
    "B - Lyon": "Lyon",
    "B, because the tower is there.": "Lyon",
    "B\n\nThe tower is there.": "Lyon",
    "Option B": "Lyon",
    "Option B is right, for A has none.": "Lyon",
    "I choose B.": "Lyon",
    "B is the correct answer.": "Lyon",
    "It must be (B).": "Lyon",
    "Answer: A": "Paris",
    "a": "Paris",
    "The answer is A because of the tower.": "Paris",
    "<think>A? No, not A.</think>B": "Lyon",
    "Option A is wrong. Option B fits.": "Lyon",
    "The answer is B, not C.": "Lyon",
    # the text of an option
    "Lyon": "Lyon",
    "lyon.": "Lyon",
    '"Lyon"': "Lyon",
    "The answer is Lyon.": "Lyon",
    "The tower is in Lyon, as passage 2 says.": "Lyon",
    "New York": "New York",
    "York": "York",
    "It stands in New York.": "New York",
    "It stands in York.": "York",
    "Not Paris but Lyon": "Lyon",
    # which one?
    "B and C": None,
    "A, C": None,
    "The answer is B or C.": None,
    "A\nB": None,
    "B. The answer is C.": None,
    "Option A or option B": None,
    "Paris or Lyon": None,
    "B) Paris": None,
    "Paris (B)": None,
    # none
    "": None,
    "E": None,
    "The answer is E.": None,
    "not B": None,
    "The answer is not B.": None,
    "I don't think the answer is B": None,
    "It is not (B).": None,
    "Option B is wrong.": None,
    "It isn't B.": None,
    "It is not Lyon.": None,
    "A tower is a tall building.": None,
    "I think a tower is tall.": None,
    "The answer is a tower.": None,
    "The answer is A tower.": None,
    "B-cells": None,
    "I don't know.": None,
    "Rome": None,
    "Parisian": None,
    "<think>B": None,
}


@pytest.mark.parametrize("reply", CHOSEN)
def test_a_choice_is_found_by_its_letter_or_its_text(reply: str) -> None:
    assert choice(reply, asked(*CITIES)) == CHOSEN[reply]


@pytest.mark.parametrize(
    ("reply", "choices", "expected"),
    [
        # the prompt asks for letters
        ("A", ("B", "A", "C"), "B"),
        ("B. A", ("B", "A", "C"), "A"),
        # a letter that is none of an option, but its text
        ("O", ("A", "B", "AB", "O"), "O"),
        ("The answer is O.", ("A", "B", "AB", "O"), "O"),
        ("AB", ("A", "B", "AB", "O"), "AB"),
        # a number is a text, and never the place of an option
        ("2", ("1", "2", "4", "8"), "2"),
        ("2", ("one", "two", "four", "eight"), None),
        ("4.", ("1", "2", "4", "8"), "4"),
        ("-5", ("5", "-5"), "-5"),
        ("The answer is 10.", ("1", "10"), "10"),
        ("There are 10 of them.", ("1", "10"), None),
        # case tells them apart where nothing else does
        ("Pp", ("PP", "Pp", "pp"), "Pp"),
        ("C++", ("C", "C++", "Java"), "C++"),
        ("The answer is C++.", ("Java", "C", "C++"), "C++"),
        ("No", ("Yes", "No"), "No"),
        ("There is no doubt.", ("Yes", "No"), None),
        ("All of the above", ("Paris", "Lyon", "All of the above"), "All of the above"),
        ("J", (*"abcdefghi", "last"), "last"),
        ("I", tuple(f"option {n}" for n in range(9)), "option 8"),
        # a question without options, whose answer was written
        ("The answer is Lyon.", (), "Lyon"),
    ],
)
def test_options_that_look_like_letters_numbers_or_each_other(
    reply: str, choices: tuple[str, ...], expected: str | None
) -> None:
    assert choice(reply, asked(*choices)) == expected
