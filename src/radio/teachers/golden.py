"""What a model would have to reply for its answer to be right, as the prompt of a task asks for
it."""

from __future__ import annotations

from dataclasses import replace

from radio.generators.parsing import LETTERS
from radio.generators.verdicts import labels_of, verdict
from radio.schema import InputError, Question
from radio.text import choice_of, label


def right_replies(question: Question, task: str) -> list[str]:
    """A reply for each golden answer, each once, in their order.

    - ``multiple_choice``: the letter of the choice, which is what the prompt asks for; without
      choices, the answer itself.
    - ``fact_verification``: the label as the prompt lists it (``NOT ENOUGH INFO``).
    - other tasks: the answer itself.

    A blank answer, and one that is no choice or label, is left out.

    Raises:
        InputError: none is left.
    """
    found: dict[str, None] = {}
    for answer in question.golden_answers:
        if task == "multiple_choice" and question.choices:
            reply = _letter(answer, question)
        elif task == "fact_verification":
            reply = _label(answer, question)
        else:
            reply = answer.strip()
        if reply:
            found[reply] = None
    if not found:
        raise InputError(
            f"question {question.id!r}: golden_answers: found {list(question.golden_answers)}, "
            f"expected at least {_expected(question, task)}"
        )
    return list(found)


def _letter(answer: str, question: Question) -> str | None:
    choice = choice_of(answer, question.choices)
    return None if choice is None else LETTERS[question.choices.index(choice)]


def _label(answer: str, question: Question) -> str | None:
    shown = [offered.replace("_", " ") for offered in labels_of(question)]
    for offered in shown:
        if label(offered) == label(answer):
            return offered
    # another word for it, such as "true"; the prompt does not show how the golden answers spell it
    meant = verdict(answer, replace(question, golden_answers=()))
    return None if meant is None else meant.replace("_", " ")


def _expected(question: Question, task: str) -> str:
    if task == "multiple_choice" and question.choices:
        return (
            f"one of its choices, {', '.join(map(repr, question.choices))}, or a letter of theirs"
        )
    if task == "fact_verification":
        return f"one of the labels {', '.join(labels_of(question))}"
    return "one that is not blank"
