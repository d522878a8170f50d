"""All commands of ``radio``, in the order of its help; those beside Lightning's are one file each.

A new command is a file in this folder and a line in :data:`COMMANDS`. The file is imported to check
the options of its command line: it imports what takes seconds (torch, lightning, transformers)
inside of its function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Split = Literal["train", "validation", "test"]

PARTS = ("model", "datamodule", "trainer", "folder")
"""Arguments of a command's function that are no options: the parts that the config describes, and
the run folder."""


@dataclass(frozen=True)
class Command:
    """A command, before anything of it is imported.

    Args:
        about: one line of ``radio --help``.
        function: ``module:name`` of what it does; None for a method of :class:`RadioTrainer`.
        own_parser: the function takes the words of the command line and returns the exit status.
            Otherwise the command has a config (``--config``, ``--model``, ``--data``, ...); its
            function takes those of :data:`PARTS` that it names, and its other arguments, with their
            types and their lines of its docstring, are options.
    """

    about: str
    function: str | None = None
    own_parser: bool = False

    def load(self) -> Callable[..., Any]:
        """The function of a command that has one."""
        module, _, name = str(self.function).partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def options(self) -> list[str]:
        """Options that this command has beside those of all commands with a config."""
        if self.function is None:
            return []
        names = inspect.signature(self.load()).parameters
        return [f"--{name}" for name in names if name not in PARTS]


COMMANDS = {
    "prepare": Command(
        "retrieve candidates, obtain rationales, ask the teacher; fills the caches and stops"
    ),
    "index": Command(
        "embed the corpus for dense retrieval beforehand; says how fast, how large",
        "radio.commands.index:index",
    ),
    "fit": Command("prepare, fine-tune the reranker, evaluate it before and after, export it"),
    "validate": Command("evaluate on the validation questions"),
    "test": Command("evaluate on the test questions"),
    "predict": Command(
        "rerank: writes predict.trec and predict.jsonl; --input: as a filter of JSONL"
    ),
    "export": Command(
        "an exported reranker as ONNX files, also in int8, compared with the original",
        "radio.commands.export:main",
        own_parser=True,
    ),
    "compare": Command(
        "systems of several runs side by side: differences, intervals, tests; needs no GPU",
        "radio.commands.compare:main",
        own_parser=True,
    ),
    "report": Command(
        "one page about runs: what was done, what came of it, each question; needs no GPU",
        "radio.commands.report:main",
        own_parser=True,
    ),
    "diagnose": Command(
        "is a run's gain to be trusted? questions seen before; other orders, depths, distractors",
        "radio.commands.diagnose:main",
        own_parser=True,
    ),
    "rationales report": Command(
        "quality of the rationales: checks, lengths, support; a table and a page with plots",
        "radio.commands.rationales_report:rationales_report",
    ),
    "rationales review": Command(
        "look at rationales one by one in the browser and mark them",
        "radio.commands.rationales_review:rationales_review",
    ),
    "teachers report": Command(
        "how well teachers order the candidates, before training; a table and a page with plots",
        "radio.commands.teachers_report:teachers_report",
    ),
    "transfer": Command(
        "rerankers x generators x datasets from one file, with gains and intervals",
        "radio.commands.transfer:main",
        own_parser=True,
    ),
    "configs": Command(
        "list the configs that come with radio, or copy one to change it",
        "radio.commands.configs:main",
        own_parser=True,
    ),
    "cache": Command(
        "info, export, import, prune: look after the store of rationales and answers",
        "radio.commands.cache:main",
        own_parser=True,
    ),
}


def configured() -> dict[str, Command]:
    """Commands that have a config and a function of their own, by the one word that Lightning's
    parser knows: ``rationales_report``."""
    found = {}
    for words, command in COMMANDS.items():
        if command.function is not None and not command.own_parser:
            found[words.replace(" ", "_")] = command
    return found
