"""What a generator is: it answers a question from the passages that it is given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from radio import contracts
from radio.cache import Cache
from radio.fingerprints import Fingerprinted
from radio.llm.as_sent import answer_key
from radio.llm.base import Failure
from radio.llm.outcomes import outcome_of
from radio.schema import Passage, Question

TOGETHER = 32
"""Prompts that a generator is given at a time; a kill loses no more answers than that."""


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
    key: str = field(default="", compare=False)
    """Of its entry in the cache (not kept there); empty where nobody was asked."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, those that the provider had in its own cache included."""
        return sum(self.usage.get(kind, 0) for kind in ("input", "cache_read", "cache_write"))


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

    def replies(
        self, prompts: Mapping[str, Prompt], cache: Cache
    ) -> Iterator[tuple[str, Answer | Failure]]:
        """Yield the key of each prompt with what came of it, as it comes; each is stored before the
        next is taken. By default :meth:`answer` is asked for a few at a time.

        A prompt may be left out, for example when money runs out; the next run asks again.

        Args:
            prompts: by cache key.
            cache: for what else must outlive the process.
        """
        keys = list(prompts)
        for start in range(0, len(keys), TOGETHER):
            part = keys[start : start + TOGETHER]
            asked = [prompts[key] for key in part]
            texts = contracts.answers(self, self.answer(asked), len(asked))
            for key, text in zip(part, texts, strict=True):
                yield key, Answer(text, outcome_of(text, "written"))

    def outdated(self, answer: Answer) -> bool:
        """Whether a stored answer is to be asked for again, for example because it was cut off
        under a lower limit than today's."""
        return False

    def estimate(self, prompts: Mapping[str, Prompt]) -> str:
        """What the answers will cost, to print beforehand; empty if nothing."""
        return ""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    def hint(self) -> str:
        """What a user can do about prompts that were left out; empty if there is nothing
        special."""
        return ""

    def release(self) -> None:
        """Free what was loaded and read to answer; the next prompt loads it again."""

    def asked(self, prompt: Prompt) -> list[Any]:
        """What an answer may depend on of a prompt, for the key: all but the question's id, unless
        a subclass knows better."""
        return [
            prompt.question.content,
            [[passage.id, passage.contents] for passage in prompt.passages],
        ]

    def key(self, prompt: Prompt) -> str:
        """Cache key: the same generator, question and passages in the same order are asked once."""
        return answer_key(self.fingerprint(), self.asked(prompt))

    def prompt_of(self, task: str) -> dict[str, Any] | None:
        """What its prompts of a task are put together from (:mod:`radio.llm.as_sent`), for
        ``metrics.json``: ``name``, ``fingerprint``, ``system``, ``user`` in parts, and ``labels``
        of questions without choices; None where it is not asked in words."""
        return None


def name_of(generator: Generator) -> str:
    """Its model, or its class where it has none, for people."""
    return str(getattr(generator, "model", type(generator).__name__))


def what_is_read(prompt: Prompt) -> list[Any]:
    """:meth:`Generator.asked` of a reader of texts: neither ids nor metadata nor golden answers."""
    question = prompt.question
    return [question.question, question.choices, [passage.contents for passage in prompt.passages]]
