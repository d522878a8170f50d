"""What a generator is: it answers a question from the passages that it is given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from radio.cache import Cache, Fingerprinted, fingerprint
from radio.schema import Passage, Question


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is asked: a question and the passages to read, best first."""

    question: Question
    passages: tuple[Passage, ...]


class Generator(Fingerprinted):
    """Answers prompts. A subclass implements :meth:`answer`; the golden answers are not for its eyes."""

    copies_spans: ClassVar[bool] = False
    """Whether an answer is always a span of the passages: then it is no verdict (SUPPORTS) and no choice of several."""

    @abstractmethod
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """One answer for each prompt, in order; an empty string means no answer."""

    def prefetch(self, prompts: Sequence[Prompt], cache: Cache) -> None:
        """Do ahead what :meth:`answer` will need for these prompts, and keep it in the cache (optional)."""

    def key(self, prompt: Prompt) -> str:
        """Cache key: the same generator, question and passages in the same order are asked once."""
        question = prompt.question
        return fingerprint(
            [
                "answer/2",
                self.fingerprint(),
                question.question,
                question.choices,
                [passage.contents for passage in prompt.passages],
            ]
        )
