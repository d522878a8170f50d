"""Which label a reply gives: a table of replies, and of the ways in which data spell labels."""

from __future__ import annotations

import pytest

from radio.generators.verdicts import labels_of, verdict
from radio.schema import Question


def claim(*choices: str, golden: tuple[str, ...] = ()) -> Question:
    return Question("q", 'Is the claim "the tower is in Lyon" supported?', golden, choices)


THREE = claim("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
S, R, N = THREE.choices

SAID = {
    "SUPPORTS": S,
    "supports.": S,
    "**SUPPORTS**": S,
    "Supported": S,
    "True": S,
    "The claim is true.": S,
    "Yes": S,
    "Yes, the passages confirm it.": S,
    "The evidence supports the claim.": S,
    "Label: SUPPORTS": S,
    "The correct label is SUPPORTS, as passage 1 shows.": S,
    "SUPPORTS. The opposite would be false.": S,
    "The claim is not refuted but supported.": S,
    "REFUTES": R,
    "Refuted": R,
    "FALSE": R,
    "No.": R,
    "The claim is not true.": R,
    "Passage 2 contradicts the claim.": R,
    "The correct label is REFUTES": R,
    "The correct answer is: refutes": R,
    "The passages do not support the claim; they contradict it.": R,
    "It isn't true that the tower is in Lyon, since passage 1 names Paris.": R,
    "NOT ENOUGH INFO": N,
    "NOT_ENOUGH_INFO": N,
    "NEI": N,
    "Not enough information": N,
    "There is not enough evidence to say so.": N,
    "The passages don't give enough information.": N,
    "Insufficient evidence.": N,
    "Not enough information to support or refute the claim.": N,
    "Unverifiable": N,
    "It cannot be verified from the passages.": N,
    "Neither": N,
    "The passages neither support nor refute the claim.": N,
    "The passages do not support or refute it.": N,
    "<think>true or false?</think>NOT ENOUGH INFO": N,
    # several, none, or only what it is not
    "SUPPORTS or REFUTES": None,
    "True and false": None,
    "SUPPORTS, REFUTES": None,
    "SUPPORTS\nREFUTES": None,
    "Nothing here supports it": None,
    "Label: SUPPORTS\nLabel: REFUTES": None,
    "The passages do not support the claim.": None,
    "not false": None,
    "Unsupported": None,
    "No, that is true.": None,
    "The tower is in Lyon.": None,
    "": None,
    "<think>SUPPORTS": None,
}


@pytest.mark.parametrize("reply", SAID)
def test_a_verdict_is_found_in_its_usual_words(reply: str) -> None:
    assert verdict(reply, THREE) == SAID[reply]


@pytest.mark.parametrize(
    ("reply", "question", "expected"),
    [
        # FEVER of the collection offers two
        ("refuted", claim("SUPPORTS", "REFUTES"), "REFUTES"),
        ("Not enough information", claim("SUPPORTS", "REFUTES"), None),
        # other spellings of the same three
        ("supported", claim("true", "false"), "true"),
        ("REFUTES", claim("Supported", "Contradicted", "Unverifiable"), "Contradicted"),
        ("not enough info", claim("SUPPORTS", "NOT_ENOUGH_INFO"), "NOT_ENOUGH_INFO"),
        ("No", claim("yes", "no"), "no"),
        # none offered: as the golden answer spells it
        ("refuted", claim(golden=("REFUTES",)), "REFUTES"),
        ("No evidence was found", claim(golden=("NOT_ENOUGH_INFO",)), "NOT_ENOUGH_INFO"),
        ("It is true", claim(golden=("refuted",)), "SUPPORTS"),
        # shades of true are told apart by their words
        ("Mostly true.", claim("true", "mostly true", "half true", "false"), "mostly true"),
        ("true", claim("true", "mostly true", "half true", "false"), "true"),
        ("It is half true at best", claim("true", "mostly true", "half true"), "half true"),
        ("Label: MIXTURE", claim("mixture", "pure"), "mixture"),
        ("supports", claim("mixture", "pure"), None),
        ("satire", claim(golden=("satire",)), "satire"),
    ],
)
def test_a_verdict_has_the_spelling_of_the_data(
    reply: str, question: Question, expected: str | None
) -> None:
    assert verdict(reply, question) == expected


def test_a_question_without_labels_offers_those_of_fever() -> None:
    assert labels_of(claim("yes", "no")) == ("yes", "no")
    assert labels_of(claim(golden=("REFUTES",))) == ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
