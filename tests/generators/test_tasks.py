"""Tasks: found by name, each with prompts that are there, a parser and metrics that are known."""

from __future__ import annotations

import pytest

from radio.evaluation.answers import ANSWER_METRICS
from radio.generators.language_model import TransformersGenerator
from radio.generators.prompting import GeneratorTemplate
from radio.generators.span_reader import SpanReader
from radio.generators.tasks import TASKS, answer_in, parser_of, task_of
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


def test_a_span_is_the_answer_whatever_it_looks_like(tiny_generator: str) -> None:
    span, parse = ' "The answer is" (a song) \n', task_of("open_qa").parse
    assert answer_in(SpanReader(), parse, span, CHOICE) == span.strip()
    written = TransformersGenerator(tiny_generator)
    assert answer_in(written, parse, "The answer is Ada.", CHOICE) == "Ada"


def test_an_unknown_task_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="task: found 'qa', expected one of open_qa, multi_hop"):
        task_of("qa")


def loud(reply: str, question: Question) -> str | None:
    return reply.upper()


def test_a_parser_is_a_tasks_or_a_function_of_the_users_own() -> None:
    assert parser_of("multiple_choice")("(B)", CHOICE) == "helium"
    assert parser_of(f"{__name__}.loud")("ada", CHOICE) == "ADA"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shout", "parser: found 'shout', expected one of open_qa"),
        ("nowhere.shout", "or the path of a function, module.function .*nowhere"),
        (f"{__name__}.whisper", "whisper"),
        (f"{__name__}.CHOICE", "which is no function"),
    ],
)
def test_a_parser_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parser_of(name)
