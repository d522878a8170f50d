"""Tasks: what is asked of a generator, how its reply is read, and what is measured.

A data module says its task by name; a generator and an evaluation look here for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from radio.generators.base import Generator
from radio.generators.parsing import choice, short_answer
from radio.generators.verdicts import verdict
from radio.schema import InputError, Question

Parser = Callable[[str, Question], str | None]
"""From a generator's reply to the answer that is judged; None where it cannot be parsed."""


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of question."""

    name: str
    prompt: str
    """Name of the prompt that shows passages."""
    closed_prompt: str
    """Name of the prompt without any."""
    parse: Parser
    metrics: tuple[str, ...]
    """What is measured of an answer (:mod:`radio.metrics`), in the order in which it is shown."""


OPEN = ("em", "f1", "answer_in_output", "answer_in_context")
SUPPORT = ("support_precision", "support_recall", "support_f1", "all_hops")
CHOICE = ("accuracy", "unparsed", "answer_in_context")
VERDICT = ("accuracy", "unparsed", "macro_f1")

TASKS: dict[str, Task] = {}
"""By name."""

for _task in (
    Task("open_qa", "open_qa", "closed_book", short_answer, OPEN),
    Task("multi_hop", "multi_hop", "closed_book", short_answer, (*OPEN, *SUPPORT)),
    Task("multiple_choice", "multiple_choice", "closed_book_choice", choice, CHOICE),
    Task("fact_verification", "fact_verification", "closed_book_fact", verdict, VERDICT),
):
    TASKS[_task.name] = _task


def task_of(name: str) -> Task:
    """The task of this name.

    Raises:
        InputError: there is none.
    """
    if name not in TASKS:
        raise InputError(f"task: found {name!r}, expected one of {', '.join(TASKS)}")
    return TASKS[name]


def answer_in(generator: Generator, parse: Parser, reply: str, question: Question) -> str | None:
    """The answer in a generator's reply; None where it cannot be parsed."""
    if generator.copies_spans and parse is short_answer:
        # a span is the answer and nothing else, though it may have lines or quotation marks
        return reply.strip()
    return parse(reply, question)


def parser_of(name: str) -> Parser:
    """The parser of a task, or a function of the user's own by its path."""
    if name in TASKS:
        return TASKS[name].parse
    module, _, function = name.rpartition(".")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"parser: found {name!r}, expected one of {', '.join(TASKS)}, or the path of a "
            f"function, module.function ({error})"
        ) from None
    if not callable(found):
        raise InputError(f"parser: found {name!r}, which is no function")
    return found  # type: ignore[no-any-return]
