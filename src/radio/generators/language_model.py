"""Language models as generators: a prompt, a model, and its replies as they come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from radio.cache import Cache
from radio.generators.base import Answer, Generator, Prompt
from radio.generators.prompting import GeneratorTemplate
from radio.generators.tasks import task_of
from radio.generators.verdicts import LABELS
from radio.generators.window import Shown, shown
from radio.llm.anthropic import AnthropicModel
from radio.llm.as_sent import in_parts
from radio.llm.base import Call, Failure, LanguageModel, Reply
from radio.llm.openai import OpenAIModel
from radio.llm.transformers import TransformersModel
from radio.ranges import check
from radio.schema import InputError


class LanguageModelGenerator(Generator):
    """Shows question and passages to a language model; its reply is kept as it came, and the task
    reads the answer in it.

    What exceeds the model's window is cut: whole passages from the end, then the end of the last
    one that is left. How much that was is part of the answer.

    Args:
        model: who is asked.
        prompt: name of a shipped prompt, or path of a text file
            (:mod:`radio.generators.prompting`); None takes that of the task.
    """

    # abstract: only a generator with an identity of its own has keys
    @abstractmethod
    def __init__(self, model: LanguageModel, prompt: str | None) -> None:
        self._language_model = model
        self._prompt = prompt
        self._templates: dict[tuple[str, bool], GeneratorTemplate] = {}
        self._fingerprint: str | None = None
        self.model = model.model
        self.sampling = model.sampling
        if prompt is not None:
            # a mistake in it shows itself now
            self._template_of(prompt, shows_passages=True)

    # Keys

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), **self._language_model.depends_on()}

    def fingerprint(self) -> str:
        # once: the key of each prompt asks for it, and a folder of weights is large
        self._fingerprint = self._fingerprint or super().fingerprint()
        return self._fingerprint

    def asked(self, prompt: Prompt) -> list[Any]:
        template = self._template(prompt)
        return [template.fingerprint, template.system, self._text(prompt)]

    def _text(self, prompt: Prompt) -> str:
        """All that the model reads of a prompt, as it reads it."""
        try:
            passages = self._shown(prompt).passages
        except InputError:
            # it will not be asked at all
            passages = prompt.passages
        return self._template(prompt).render(prompt.question, passages)

    # Prompts

    def prompt_of(self, task: str) -> dict[str, Any]:
        template = self._reading(task)
        return {
            "name": template.name,
            "fingerprint": template.fingerprint,
            "system": template.system,
            "user": in_parts(template.user),
            "labels": list(LABELS),
        }

    def _template(self, prompt: Prompt) -> GeneratorTemplate:
        """The prompt that fits: with passages or without."""
        if not prompt.passages:
            return self._template_of(task_of(prompt.task).closed_prompt, shows_passages=False)
        return self._reading(prompt.task)

    def _reading(self, task: str) -> GeneratorTemplate:
        """The prompt that shows passages: the user's own, or the one of the task."""
        return self._template_of(self._prompt or task_of(task).prompt, shows_passages=True)

    def _template_of(self, name: str, *, shows_passages: bool) -> GeneratorTemplate:
        key = (name, shows_passages)
        if key not in self._templates:
            self._templates[key] = GeneratorTemplate(name, shows_passages)
        return self._templates[key]

    # Asking

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        asked = {str(number): prompt for number, prompt in enumerate(prompts)}
        texts = dict.fromkeys(asked, "")
        with TemporaryDirectory() as folder:
            for key, result in self.replies(asked, Cache(Path(folder) / "radio.sqlite")):
                if isinstance(result, Failure):
                    question = result.question_id
                    raise InputError(f"{self.model}: question {question!r}: {result.error}")
                texts[key] = result.text
        return list(texts.values())

    def replies(
        self, prompts: Mapping[str, Prompt], cache: Cache
    ) -> Iterator[tuple[str, Answer | Failure]]:
        cuts: dict[str, Shown] = {}
        calls: list[Call] = []
        for key, prompt in prompts.items():
            made = self._call(key, prompt)
            if isinstance(made, Failure):
                yield key, made
                continue
            call, cuts[key] = made
            calls.append(call)
        try:
            for call, result in self._language_model.complete(calls, cache):
                if isinstance(result, Failure):
                    yield call.key, result
                else:
                    yield call.key, self._answer(result, cuts[call.key])
        finally:
            # a training goes on, which needs the memory
            self._language_model.release()

    def _call(self, key: str, prompt: Prompt) -> tuple[Call, Shown] | Failure:
        template = self._template(prompt)
        try:
            cut = self._shown(prompt)
        except InputError as error:
            return Failure(prompt.question.id, str(error))

        def user() -> str:
            return template.render(prompt.question, cut.passages)

        return Call(key, prompt.question.id, template.system, user), cut

    def _shown(self, prompt: Prompt) -> Shown:
        return shown(prompt, self._template(prompt), self._language_model)

    def _answer(self, reply: Reply, cut: Shown) -> Answer:
        return Answer(
            reply.text,
            reply.outcome,
            reply.usage,
            reply.seconds,
            self._language_model.price(reply.usage),
            cut.passages_cut,
            cut.tokens_cut,
        )

    # What the model knows

    def outdated(self, answer: Answer) -> bool:
        return self._language_model.outdated(answer.outcome, answer.usage)

    def estimate(self, prompts: Mapping[str, Prompt]) -> str:
        calls = []
        for key, prompt in prompts.items():
            system = self._template(prompt).system
            # cut to the window when it is looked at: an estimate looks at a few
            calls.append(Call(key, prompt.question.id, system, partial(self._text, prompt)))
        return self._language_model.estimate(calls)

    def status(self) -> str:
        return self._language_model.status()

    def hint(self) -> str:
        return self._language_model.hint()


class AnthropicGenerator(LanguageModelGenerator):
    """Asks Claude (:class:`radio.llm.anthropic.AnthropicModel`); the key comes from
    ``ANTHROPIC_API_KEY``.

    Args:
        model: its name at the provider.
        prompt: name of a shipped prompt, or path of a text file; None takes that of the task.
        max_tokens: limit of a reply.
        kwargs: arguments of AnthropicModel.
    """

    identity = "AnthropicGenerator"

    def __init__(
        self,
        model: str = "claude-haiku-4-5",
        prompt: str | None = None,
        max_tokens: int = 64,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(AnthropicModel(model=model, max_tokens=max_tokens, **kwargs), prompt)


class OpenAIGenerator(LanguageModelGenerator):
    """Asks OpenAI, or a server that speaks its interface (:class:`radio.llm.openai.OpenAIModel`).

    Needs ``pip install 'radio-rag[openai]'``. The key comes from ``OPENAI_API_KEY``; with a
    ``base_url`` it may be missing, as local servers need none.

    Args:
        model: its name at the provider.
        prompt: name of a shipped prompt, or path of a text file; None takes that of the task.
        max_tokens: limit of a reply.
        kwargs: arguments of OpenAIModel.
    """

    identity = "OpenAIGenerator"

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        prompt: str | None = None,
        max_tokens: int = 64,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(OpenAIModel(model=model, max_tokens=max_tokens, **kwargs), prompt)


class TransformersGenerator(LanguageModelGenerator):
    """Asks a model on this machine (:class:`radio.llm.transformers.TransformersModel`).

    Args:
        model: transformers name or folder, of a causal or an encoder-decoder model.
        prompt: name of a shipped prompt, or path of a text file; None takes that of the task.
        max_tokens: limit of a reply.
        kwargs: arguments of TransformersModel.
    """

    identity = "TransformersGenerator"

    def __init__(
        self,
        model: str,
        prompt: str | None = None,
        max_tokens: int = 64,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(TransformersModel(model=model, max_tokens=max_tokens, **kwargs), prompt)
