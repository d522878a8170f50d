"""The generator's prompts, put together again, and held against the keys of its answers: what is
shown is what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from radio.llm.as_sent import answer_key, put_together, values_of
from radio.schema import Passage

OF_THE_PAGE = ("question", "passages")
"""Fields of a prompt that the page fills in from what it has of a question anyway."""


class Prompts:
    """Prompts of one generator.

    Args:
        generator: what ``metrics.json`` says of it; None if nobody reads.
        passages: by id, as far as their texts are found.
    """

    def __init__(
        self, generator: Mapping[str, Any] | None, passages: Mapping[str, Passage]
    ) -> None:
        self._generator = generator or {}
        self._prompt: Mapping[str, Any] = self._generator.get("prompt") or {}
        self._passages = passages
        self._same = self._other = 0

    def document(self) -> dict[str, Any]:
        """``prompt`` for the page: its parts; null where the generator is not asked in words;
        nothing where the run folder does not say."""
        if not self._prompt:
            return {"prompt": None} if "prompt" in self._generator else {}
        return {"prompt": {key: self._prompt[key] for key in ("system", "user")}}

    def filled(self, asked: Mapping[str, Any], search: str) -> dict[str, str]:
        """What stands for the fields of a question's prompts, but for :data:`OF_THE_PAGE`."""
        shown = {field for _, field in self._prompt.get("user", ())}
        values = self._values(asked, search, ())
        return {field: text for field, text in values.items() if field in shown - {*OF_THE_PAGE}}

    def sent(
        self,
        asked: Mapping[str, Any],
        search: str,
        ids: Sequence[str],
        told: Mapping[str, Any],
    ) -> int | None:
        """How many passages a prompt has shown; None where it is not the same again.

        Args:
            asked: the question.
            search: what passages were searched for, where that is another text.
            ids: of the passages that it was given, best first.
            told: of the asking, as ``predictions.jsonl`` has it.
        """
        key = str(told.get("key") or "")
        if not self._prompt or not key:
            return None
        # whole passages that did not fit were left out from the end; prompts that are the same for
        # that share an answer, whose numbers are of one of them
        passages = [self._passages[name] for name in takewhile(self._passages.__contains__, ids)]
        for count in range(len(passages), 0, -1):
            if self._key(asked, search, passages[:count]).startswith(key):
                self._same += 1
                return count
        self._other += 1
        return None

    def _key(self, asked: Mapping[str, Any], search: str, passages: Sequence[Passage]) -> str:
        """Of the answer to a prompt with these passages."""
        prompt = self._prompt
        text = put_together(prompt["user"], self._values(asked, search, passages))
        generator = str(self._generator.get("fingerprint"))
        return answer_key(generator, [prompt["fingerprint"], prompt["system"], text])

    def _values(
        self, asked: Mapping[str, Any], search: str, passages: Sequence[Passage]
    ) -> dict[str, str]:
        question = str(asked.get("question") or "")
        choices, labels = asked.get("choices") or (), self._prompt.get("labels") or ()
        return {
            "question": question,
            **values_of(search or question, choices, labels, passages),
        }

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the prompts that are not shown."""
        if not self._other:
            return []
        total = self._same + self._other
        return [
            f"{self._other:,} of {total:,} prompts are not shown: put together again, they are not "
            "what was sent (texts that are not there or have changed since, or a last passage cut "
            "to fit the generator's window)."
        ]
