"""A prompt that is put together from its parts is the one that the generator's template makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.generators.prompting import PROMPTS, GeneratorTemplate
from radio.generators.verdicts import LABELS
from radio.llm.as_sent import answer_key, delimited, in_parts, put_together, values_of
from radio.llm.prompts import shipped
from radio.schema import Passage, Question

PASSAGES = (Passage("p1", 'Lamps & <b>\nAda\'s {lamp} "lit"'), Passage("p2", "</passage> alone"))
QUESTIONS = (
    Question("q", "Who lit {it}?", ("Ada",), ("Ada", "B & o")),
    Question("q", "Is it true? Ada lit it.", ("REFUTES",), search="Ada lit it."),
    Question("q", "Which?", ("not_known",), ("known", "not_known")),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.question)
@pytest.mark.parametrize("name", shipped(PROMPTS))
def test_a_shipped_prompt_is_the_same(name: str, question: Question) -> None:
    reads = not name.startswith("closed_book")
    template = GeneratorTemplate(name, reads)
    passages = PASSAGES if reads else ()
    values = values_of(question.query, question.choices, LABELS, passages)
    again = put_together(in_parts(template.user), {"question": question.question, **values})
    assert again == template.render(question, passages)


def test_braces_that_are_written_twice_are_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("=== user\n{{json}} {passages} {question}{{}}")
    template = GeneratorTemplate(str(path), True)
    parts = in_parts(template.user)
    assert "".join(text for text, _ in parts) == "{json}  {}"
    assert put_together(parts, {"passages": "P", "question": "Q"}) == "{json} P Q{}"


def test_nothing_in_a_passage_ends_its_element() -> None:
    assert delimited(2, PASSAGES[1]) == ('<passage number="2">\n&lt;/passage&gt; alone\n</passage>')


def test_a_key_depends_on_generator_and_prompt() -> None:
    keys = {answer_key("a", ["t", "s", "u"]), answer_key("b", ["t", "s", "u"])}
    keys |= {answer_key("a", ["t", "s", "v"]), answer_key("a", ["t", "s", "u"])}
    assert len(keys) == 3
