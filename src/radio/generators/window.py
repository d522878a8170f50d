"""How passages fit into a window: whole ones are cut from the end, then the end of the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from radio.generators.base import Prompt
from radio.generators.prompting import GeneratorTemplate
from radio.llm.base import LanguageModel
from radio.schema import InputError, Passage


class Shown(NamedTuple):
    """The passages of a prompt that a model is shown."""

    passages: tuple[Passage, ...]
    passages_cut: int = 0
    """Whole passages that were left out, from the end."""
    tokens_cut: int = 0
    """Tokens that the last one has lost."""


def shown(prompt: Prompt, template: GeneratorTemplate, model: LanguageModel) -> Shown:
    """As much of a prompt's passages as the model's window has room for.

    Raises:
        InputError: there is no room for question and instruction.
    """
    window = model.window()
    if window is None:
        return Shown(prompt.passages)

    def tokens(passages: tuple[Passage, ...]) -> int:
        return model.prompt_tokens(template.system, template.render(prompt.question, passages))

    if tokens(prompt.passages) <= window:
        return Shown(prompt.passages)
    room = window - tokens(())
    if room < 0:
        raise InputError(
            f"question and instruction have {window - room} tokens, and the window of "
            f"{model.model!r} has room for {window}; take a shorter prompt, or a larger window"
        )
    fitting = _most(len(prompt.passages) - 1, lambda count: tokens(prompt.passages[:count]), window)
    passages_cut = len(prompt.passages) - max(fitting, 1)
    if fitting:
        return Shown(prompt.passages[:fitting], passages_cut)
    # not even the first one fits as a whole: its end is cut
    first = prompt.passages[0]
    kept = _most(room, lambda count: tokens((_beginning(first, count, model),)), window)
    if not kept:
        return Shown((), passages_cut + 1)
    beginning = _beginning(first, kept, model)
    return Shown((beginning,), passages_cut, tokens((first,)) - tokens((beginning,)))


def _most(highest: int, tokens: Callable[[int], int], window: int) -> int:
    """The largest count up to ``highest`` with which the prompt fits; 0 if none does."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        if tokens(middle) <= window:
            low = middle
        else:
            high = middle - 1
    return low


def _beginning(passage: Passage, tokens: int, model: LanguageModel) -> Passage:
    """The passage with so many tokens of its text; its title stays."""
    head, newline, _ = passage.contents.partition("\n")
    text = model.first_tokens(passage.text, tokens)
    return replace(passage, contents=f"{head}{newline}{text}" if newline else text)
