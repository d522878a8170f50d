"""Tasks: prompts that exist, parsers that read what the prompts ask for."""

from __future__ import annotations

import pytest

from radio.evaluation.answers import ANSWER_METRICS
from radio.generators.parsing import choice
from radio.generators.prompting import PROMPTS, GeneratorTemplate
from radio.generators.tasks import TASKS, parser_of, task_of
from radio.llm.prompts import shipped
from radio.schema import InputError, Question

ASKED = {
    "open_qa": Question("q", "Who?", ("Ada Quill",)),
    "multi_hop": Question("q", "Who?", ("Ada Quill",)),
    "multiple_choice": Question("q", "Who?", ("Ada Quill",), ("Bob", "Ada Quill")),
    "fact_verification": Question("q", "Is it?", ("REFUTES",), ("SUPPORTS", "REFUTES")),
}
REPLIES = {"multiple_choice": "B", "fact_verification": "refuted"}


@pytest.mark.parametrize("name", TASKS)
def test_the_parts_of_a_task_fit_together(name: str) -> None:
    task, question = task_of(name), ASKED[name]
    GeneratorTemplate(task.prompt, shows_passages=True)
    GeneratorTemplate(task.closed_prompt, shows_passages=False)
    assert task.parse(REPLIES.get(name, "Ada Quill."), question) == question.golden_answers[0]
    assert set(task.metrics) <= set(ANSWER_METRICS)


def test_each_shipped_prompt_is_of_a_task() -> None:
    named = {prompt for task in TASKS.values() for prompt in (task.prompt, task.closed_prompt)}
    assert sorted(named) == shipped(PROMPTS)


def test_an_unknown_task_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="task: found 'qa', expected one of open_qa, multi_hop"):
        task_of("qa")


def test_a_parser_is_that_of_a_task_or_a_function_by_its_path() -> None:
    assert parser_of("multiple_choice") is choice
    assert parser_of("radio.generators.parsing.choice") is choice


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("choice", "found 'choice', expected one of open_qa, .*module.function"),
        ("radio.generators.parsing.none", "found 'radio.generators.parsing.none', expected one of"),
        ("radio.generators.parsing.LETTERS", "found .*LETTERS', which is no function"),
    ],
)
def test_a_parser_that_is_none_is_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"parser: {message}"):
        parser_of(name)
