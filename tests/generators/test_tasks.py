<<<<<<< HEAD
"""Tasks: prompts that exist, parsers that read what the prompts ask for."""
=======
"""Tasks: found by name, each with prompts that are there, a parser and metrics that are known."""
>>>>>>> w-g19b

from __future__ import annotations

import pytest

from radio.evaluation.answers import ANSWER_METRICS
<<<<<<< HEAD
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
=======
from radio.generators.prompting import GeneratorTemplate
from radio.generators.tasks import TASKS, parser_of, task_of
from radio.schema import InputError, Question

CHOICE = Question("q", "Which gas?", ("helium",), ("neon", "helium"))
CLAIM = Question("q", "Is it so?", ("REFUTES",), ("SUPPORTS", "REFUTES"))


@pytest.mark.parametrize("name", TASKS)
def test_a_task_names_prompts_that_are_there_and_metrics_that_are_known(name: str) -> None:
    task = task_of(name)
    assert task.name == name
    assert GeneratorTemplate(task.prompt, shows_passages=True).shows_passages
    assert not GeneratorTemplate(task.closed_prompt, shows_passages=False).shows_passages
    assert set(task.metrics) <= set(ANSWER_METRICS)


@pytest.mark.parametrize(
    ("task", "reply", "question", "answer"),
    [
        ("open_qa", "The answer is Ada.", CHOICE, "Ada"),
        ("multi_hop", "Answer: Ada", CHOICE, "Ada"),
        ("multiple_choice", "The answer is B.", CHOICE, "helium"),
        ("fact_verification", "The claim is false.", CLAIM, "REFUTES"),
    ],
)
def test_a_task_reads_its_kind_of_answer(
    task: str, reply: str, question: Question, answer: str
) -> None:
    assert task_of(task).parse(reply, question) == answer


def test_an_unknown_task_is_told_the_known_ones() -> None:
>>>>>>> w-g19b
    with pytest.raises(InputError, match="task: found 'qa', expected one of open_qa, multi_hop"):
        task_of("qa")


<<<<<<< HEAD
def test_a_parser_is_that_of_a_task_or_a_function_by_its_path() -> None:
    assert parser_of("multiple_choice") is choice
    assert parser_of("radio.generators.parsing.choice") is choice
=======
def loud(reply: str, question: Question) -> str | None:
    return reply.upper()


def test_a_parser_is_a_tasks_or_a_function_of_the_users_own() -> None:
    assert parser_of("multiple_choice")("(B)", CHOICE) == "helium"
    assert parser_of(f"{__name__}.loud")("ada", CHOICE) == "ADA"
>>>>>>> w-g19b


@pytest.mark.parametrize(
    ("name", "message"),
    [
<<<<<<< HEAD
        ("choice", "found 'choice', expected one of open_qa, .*module.function"),
        ("radio.generators.parsing.none", "found 'radio.generators.parsing.none', expected one of"),
        ("radio.generators.parsing.LETTERS", "found .*LETTERS', which is no function"),
    ],
)
def test_a_parser_that_is_none_is_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"parser: {message}"):
=======
        ("shout", "parser: found 'shout', expected one of open_qa"),
        ("nowhere.shout", "or the path of a function, module.function .*nowhere"),
        (f"{__name__}.whisper", "whisper"),
        (f"{__name__}.CHOICE", "which is no function"),
    ],
)
def test_a_parser_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
>>>>>>> w-g19b
        parser_of(name)
