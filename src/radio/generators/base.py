"""What a generator is: it answers a question from the passages that it is given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.schema import Passage, Question


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is asked: a question and the passages to read, best first."""

    question: Question
    passages: tuple[Passage, ...]
    task: str = "open_qa"
    """Name in :data:`radio.generators.tasks.TASKS`: what kind of answer is wanted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a generator replied to a prompt, as it is kept in the cache; a task parses it."""

    text: str
    """The reply as it came."""
    outcome: str = "written"
    """``written``, ``empty``, ``refused`` or ``truncated``, as in
    :class:`radio.schema.Rationale`."""
    usage: Mapping[str, int] = field(default_factory=dict)
    """Tokens: ``input``, ``output``, ``cache_read``, ``cache_write``; empty where no model counts
    them."""
    seconds: float = 0.0
    """From the request to the reply; a prompt of a batch has its share."""
    dollars: float | None = None
    """What it cost; None where no price is known."""
    passages_cut: int = 0
    """Passages that did not fit into the model's window, from the end."""
    tokens_cut: int = 0
    """Tokens cut from the last passage that was shown."""
    cached: bool = False
    """Whether it was in the cache already (not kept there)."""


class Generator(Fingerprinted):
    """Answers prompts. A subclass implements :meth:`answer`; the golden answers are not for its
    eyes."""

    copies_spans: ClassVar[bool] = False
    """Whether an answer is always a span of the passages: then it is no verdict (SUPPORTS) and no
    choice of several."""

    @abstractmethod
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """One answer for each prompt, in order; an empty string means no answer."""

    def prefetch(self, prompts: Sequence[Prompt], cache: Cache) -> None:
        """Do ahead what :meth:`answer` will need for these prompts, and keep it in the cache
        (optional)."""

    def asked(self, prompt: Prompt) -> list[Any]:
        """What an answer may depend on of a prompt, for the key: all but the question's id, unless
        a subclass knows better."""
        return [
            prompt.question.content,
            [[passage.id, passage.contents] for passage in prompt.passages],
        ]

    def key(self, prompt: Prompt) -> str:
        """Cache key: the same generator, question and passages in the same order are asked once."""
        return fingerprint(["answer/3", self.fingerprint(), *self.asked(prompt)])


def what_is_read(prompt: Prompt) -> list[Any]:
    """:meth:`Generator.asked` of a reader of texts: neither ids nor metadata nor golden answers."""
    question = prompt.question
    return [question.question, question.choices, [passage.contents for passage in prompt.passages]]
