"""The answer in a reply: each rule by its examples."""

from __future__ import annotations

import pytest

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
