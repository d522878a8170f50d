"""A text of question, answers and rationale: its fields, and what is no template."""

from __future__ import annotations

import pytest

from radio.schema import InputError
from radio.teachers.templates import TextTemplate
from tests.teachers.cases import QUESTION, RATIONALE


def test_fields_are_filled_in_and_known() -> None:
    template = TextTemplate("Mine: query", "{question} {answers:.7}!", " or ")
    assert template.fields == {"question", "answers"}
    assert template.text(QUESTION, None) == f"{QUESTION.question} to warn!"
    whole = TextTemplate("Mine: query", "{answers}|{rationale}", " or ")
    expected = f"to warn other ships or as a warning|{RATIONALE.text}"
    assert whole.text(QUESTION, RATIONALE) == expected


@pytest.mark.parametrize("template", ["{passage}", "{}", "{0}", "{rationale", "{question.text}"])
def test_an_unknown_field_is_refused(template: str) -> None:
    with pytest.raises(InputError, match=r"Mine: query .* has an unknown field .*\{question\}"):
        TextTemplate("Mine: query", template)


def test_a_text_without_a_field_is_refused() -> None:
    with pytest.raises(InputError, match="Mine: query: found 'rationale', the same text for every"):
        TextTemplate("Mine: query", "rationale")
