"""Rationales from language models: a prompt, a model, and what is made of its reply."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.llm.anthropic import AnthropicModel
from radio.llm.base import Call, Failure, LanguageModel, Reply
from radio.llm.openai import OpenAIModel
from radio.llm.prompts import PromptTemplate
from radio.llm.transformers import TransformersModel
from radio.ranges import check
from radio.rationales.base import RationaleWriter, Request
from radio.schema import Question, Rationale

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come with this project."""


class PromptWriter(RationaleWriter):
    """Fills in a prompt and asks a language model; its reply is the rationale.

    Args:
        model: who is asked.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        passages: candidates to show, if the prompt has ``{passages}``.
    """

    # abstract: only a writer with an identity of its own has keys
    @abstractmethod
    def __init__(self, model: LanguageModel, prompt: str, passages: int) -> None:
        check(self, locals())
        self._language_model = model
        self._template = PromptTemplate(prompt, PROMPTS)
        self._fingerprint: str | None = None
        self.model = model.model
        self.sampling = model.sampling
        self.prompt = self._template.fingerprint
        self.passages_shown = passages if self._template.shows_passages else 0

    # Keys

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), **self._language_model.depends_on()}

    def fingerprint(self) -> str:
        # once: the key of each question asks for it, and a folder of weights is large
        self._fingerprint = self._fingerprint or super().fingerprint()
        return self._fingerprint

    def asked(self, question: Question) -> list[Any]:
        return [question.question, question.golden_answers, question.choices]

    # Asking

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        try:
            for call, result in self._language_model.complete(self._calls(requests), cache):
                if isinstance(result, Failure):
                    yield result
                else:
                    yield self.rationale(call.question_id, result)
        finally:
            # a training may follow, which needs the memory
            self._language_model.release()

    def rationale(self, question_id: str, reply: Reply) -> Rationale:
        """What is made of a reply."""
        return Rationale(
            question_id,
            reply.text,
            self.model,
            self.prompt,
            reply.usage,
            reply.outcome,
            reply.response,
        )

    def _calls(self, requests: Sequence[Request]) -> list[Call]:
        calls = []
        for request in requests:
            user = partial(self._template.render, request.question, request.passages)
            calls.append(Call(request.key, request.question.id, self._template.system, user))
        return calls

    # What the model knows

    def outdated(self, rationale: Rationale) -> bool:
        return self._language_model.outdated(rationale.outcome, rationale.usage)

    def estimate(self, requests: Sequence[Request]) -> str:
        return self._language_model.estimate(self._calls(requests))

    def status(self) -> str:
        return self._language_model.status()

    def hint(self) -> str:
        return self._language_model.hint() or super().hint()


class AnthropicWriter(PromptWriter):
    """Asks Claude (:class:`radio.llm.anthropic.AnthropicModel`); the key comes from
    ``ANTHROPIC_API_KEY``.

    With ``mode: batches`` requests go to the Message Batches API, at half the price within a day. A
    batch in flight is noted in the cache: a later run waits for it instead of paying again.

    Args:
        model: its name at the provider.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        passages: candidates to show, if the prompt has ``{passages}``.
        kwargs: arguments of AnthropicModel.
    """

    identity = "AnthropicWriter"

    def __init__(
        self,
        model: str = "claude-haiku-4-5",
        prompt: str = "published",
        passages: int = 5,
        **kwargs: Any,
    ) -> None:
        language_model = AnthropicModel(model=model, **kwargs)
        super().__init__(language_model, prompt, passages)


class OpenAIWriter(PromptWriter):
    """Asks OpenAI, or a server that speaks its interface (:class:`radio.llm.openai.OpenAIModel`).

    Needs ``pip install 'radio-rag[openai]'``. The key comes from ``OPENAI_API_KEY``; with a
    ``base_url`` it may be missing, as local servers need none.

    Args:
        model: its name at the provider.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        passages: candidates to show, if the prompt has ``{passages}``.
        kwargs: arguments of OpenAIModel.
    """

    identity = "OpenAIWriter"

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        prompt: str = "published",
        passages: int = 5,
        **kwargs: Any,
    ) -> None:
        language_model = OpenAIModel(model=model, **kwargs)
        super().__init__(language_model, prompt, passages)


class TransformersWriter(PromptWriter):
    """Asks a model on this machine (:class:`radio.llm.transformers.TransformersModel`).

    With several devices each has a copy of the model and takes every n-th batch.

    Args:
        model: transformers name or folder.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.llm.prompts`).
        passages: candidates to show, if the prompt has ``{passages}``.
        kwargs: arguments of TransformersModel.
    """

    identity = "TransformersWriter"

    def __init__(
        self, model: str, prompt: str = "published", passages: int = 5, **kwargs: Any
    ) -> None:
        language_model = TransformersModel(model=model, **kwargs)
        super().__init__(language_model, prompt, passages)
        self.dtype = language_model.dtype
