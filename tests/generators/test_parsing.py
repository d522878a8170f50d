<<<<<<< HEAD
"""The answer in a reply: each rule by its examples."""
=======
"""What is read in a reply: a table of replies for each kind of answer."""
>>>>>>> w-g19b

from __future__ import annotations

import pytest

<<<<<<< HEAD
from radio.generators import Prompt, SpanReader
from radio.generators.parsing import choice, short_answer, verdict
from radio.schema import Passage, Question

ASKED = Question("q", "Who?")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Ada Quill", "Ada Quill"),
        ("<think>Was it Bob?\n\nNo.</think>\n\nAda Quill", "Ada Quill"),
        ("It was Bob? No.</think>Ada Quill", "Ada Quill"),
        ("<think>Was it Bob, or", None),
        ("\n\n  Ada Quill \nShe built it in 1850.", "Ada Quill"),
        ("Answer: Ada Quill", "Ada Quill"),
        ("Answer:\nAda Quill", "Ada Quill"),
        ("The answer is Ada Quill.", "Ada Quill"),
        ("So, the final answer is: Ada Quill", "Ada Quill"),
        ("**Ada Quill**", "Ada Quill"),
        ("**Answer:** Ada Quill", "Ada Quill"),
        ("**The answer is “Ada Quill”.**", "Ada Quill"),
        ('"Ada Quill."', "Ada Quill"),
        ('"Heroes" and "Low"', '"Heroes" and "Low"'),
        ("2**3**4", "2**3**4"),
        ("in the U.S.", "in the U.S."),
        ("10 p.m.", "10 p.m."),
        ("John F.", "John F."),
        ("Sammy Davis Jr.", "Sammy Davis Jr."),
        ("in 1850.", "in 1850"),
        ("No.", "No"),
        ("wait...", "wait..."),
        ("Answers in Genesis", "Answers in Genesis"),
        ("", None),
        (" \n ", None),
        # nothing else is taken off
        ("It was Ada Quill who built it", "It was Ada Quill who built it"),
    ],
)
def test_a_short_answer(reply: str, answer: str | None) -> None:
    assert short_answer(reply, ASKED) == answer


def test_a_span_comes_out_as_it_is() -> None:
    passages = (
        Passage("1", "Harbour\nThe lighthouse was built by Ada Quill in 1850, near St. Ives."),
        Passage("2", "Law\nIn the U.S. the firm O'Neill & Co. sold 3.5 tonnes of tin."),
    )
    for text in ("Who built the lighthouse?", "When was it built?", "How many tonnes?", "Where?"):
        question = Question("q", text)
        (span,) = SpanReader().answer([Prompt(question, passages)])
        assert span
        assert short_answer(span, question) == span


GASES = ("oxygen", "carbon dioxide", "helium", "carbon")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("B", "carbon dioxide"),
        ("b", "carbon dioxide"),
        ("a", "oxygen"),
        ("(B)", "carbon dioxide"),
        ("B.", "carbon dioxide"),
        ("**B**", "carbon dioxide"),
        ("Option B", "carbon dioxide"),
        ("B) carbon dioxide", "carbon dioxide"),
        ("B. carbon dioxide", "carbon dioxide"),
        ("**B) carbon dioxide**", "carbon dioxide"),
        ("B, because plants need it.", "carbon dioxide"),
        ("B is correct", "carbon dioxide"),
        ("b) plants need it", "carbon dioxide"),
        ("The answer is B.", "carbon dioxide"),
        ("The answer is (b) carbon dioxide.", "carbon dioxide"),
        ("Plants breathe. So the correct answer is option B, not A.", "carbon dioxide"),
        ("<think>A or C?</think>Answer: B", "carbon dioxide"),
        ("I would take option B here.", "carbon dioxide"),
        ("B. The answer is B.", "carbon dioxide"),
        # the text of a choice
        ("carbon dioxide", "carbon dioxide"),
        ("Carbon Dioxide.", "carbon dioxide"),
        ("The answer is the carbon dioxide.", "carbon dioxide"),
        ("Carbon", "carbon"),
        ("Plants take in carbon dioxide.", "carbon dioxide"),
        ("A carbon", "carbon"),
        # several
        ("A and B", None),
        ("A, B", None),
        ("B or C", None),
        ("(A)/(C)", None),
        ("Both A and B", None),
        ("Oxygen and helium", None),
        ("B. The answer is C.", None),
        ("Option A or option B", None),
        ("B) oxygen", None),
        # none
        ("E", None),
        ("The answer is E.", None),
        ("not B", None),
        ("Not B.", None),
        ("The answer is not B.", None),
        ("I don't think the answer is B", None),
        ("B is not right", None),
        ("B isn't right", None),
        ("Option B is wrong", None),
        ("It is not oxygen", None),
        ("A gas that plants need", None),
        ("I cannot tell", None),
        ("Vitamin C is what they need", None),
        ("", None),
    ],
)
def test_a_choice(reply: str, answer: str | None) -> None:
    assert choice(reply, Question("c", "Which gas?", choices=GASES)) == answer


@pytest.mark.parametrize(
    ("choices", "reply", "answer"),
    [
        # the letter is asked for
        (("AB", "A", "B", "O"), "B", "A"),
        (("AB", "A", "B", "O"), "AB", "AB"),
        (("AB", "A", "B", "O"), "C) B", "B"),
        (("4", "3", "-3", "14"), "3", "3"),
        (("4", "3", "-3", "14"), "-3", "-3"),
        (("4", "3", "-3", "14"), "There are 14 of them", None),
        (("4", "3", "-3", "14"), "(d) 14", "14"),
        (("Pp", "pp", "PP", "P"), "pp", "pp"),
        (("Pp", "pp", "PP"), "pP", None),
        (("A and B", "Neither", "A dog", "Both"), "A and B", "A and B"),
        (("A and B", "Neither", "A dog", "Both"), "Neither.", "Neither"),
        (("cat", "dog"), "A dog", "dog"),
        (("red wine", "wine"), "He drank red wine", "red wine"),
        ((), "The answer is 7.", "7"),
    ],
)
def test_choices_that_are_letters_numbers_or_parts_of_each_other(
    choices: tuple[str, ...], reply: str, answer: str | None
) -> None:
    assert choice(reply, Question("c", "Which?", choices=choices)) == answer


THREE = ("SUPPORTS", "REFUTES", "NOT_ENOUGH_INFO")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("SUPPORTS", "SUPPORTS"),
        ("supports.", "SUPPORTS"),
        ("**Supported**", "SUPPORTS"),
        ("True", "SUPPORTS"),
        ("The claim is correct.", "SUPPORTS"),
        ("Label: REFUTES", "REFUTES"),
        ("refuted", "REFUTES"),
        ("The claim is false.", "REFUTES"),
        ("This is not true.", "REFUTES"),
        ("The evidence contradicts the claim.", "REFUTES"),
        ("NOT ENOUGH INFO", "NOT_ENOUGH_INFO"),
        ("NOT_ENOUGH_INFO", "NOT_ENOUGH_INFO"),
        ("Not enough information to support or refute the claim.", "NOT_ENOUGH_INFO"),
        ("Unverifiable", "NOT_ENOUGH_INFO"),
        ("Neither", "NOT_ENOUGH_INFO"),
        ("The passages neither support nor refute it.", "NOT_ENOUGH_INFO"),
        # a clause that is only a verdict goes before what is said around it
        ("REFUTES. Passage 1 supports that he was born in 1950.", "REFUTES"),
        ("<think>It supports it?</think> REFUTES", "REFUTES"),
        # both, negated, or nothing
        ("SUPPORTS, REFUTES", None),
        ("SUPPORTS\nREFUTES", None),
        ("SUPPORTS or REFUTES", None),
        ("The first passage supports it and the second refutes it", None),
        ("The passages do not support the claim.", None),
        ("Nothing here supports it", None),
        ("It is not false", None),
        ("Plants breathe.", None),
        ("", None),
    ],
)
def test_a_verdict(reply: str, answer: str | None) -> None:
    assert verdict(reply, Question("f", "Does it?", choices=THREE)) == answer


@pytest.mark.parametrize(
    ("choices", "reply", "answer"),
    [
        (("SUPPORTS", "REFUTES"), "Not enough info", None),
        (("SUPPORTS", "REFUTES"), "False", "REFUTES"),
        (("true", "false"), "The claim is supported.", "true"),
        (("supported", "refuted", "disputed"), "Disputed", "disputed"),
        (("true", "mostly true", "false"), "mostly true", "mostly true"),
        (("true", "mostly true", "false"), "supported", None),
        (("yes", "no"), "No.", "no"),
        ((), "refuted", "REFUTES"),
    ],
)
def test_a_verdict_is_one_of_the_labels_that_the_question_offers(
    choices: tuple[str, ...], reply: str, answer: str | None
) -> None:
    assert verdict(reply, Question("f", "Does it?", choices=choices)) == answer
=======
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
>>>>>>> w-g19b
