"""A local model on its devices, and the work that is done with it: writing and judging."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from radio.engines import Batch, Row, Work
from radio.llm.base import LanguageModel
from radio.llm.likelihood import Answer, Judged
from radio.llm.local import LoadedModel
from radio.schema import InputError

if TYPE_CHECKING:
    from torch import device


class Copies:
    """A copy of a model on each of its devices, loaded when the first is needed.

    Args:
        owner: the class whose settings these are, for messages.
        name: transformers name or folder.
        dtype: of the weights.
        accelerator: as Lightning's Trainer takes it.
        devices: as Lightning's Trainer takes it.
        files: further files, arguments of :class:`radio.llm.local.LoadedModel`.
    """

    def __init__(
        self,
        owner: str,
        name: str,
        dtype: str,
        accelerator: str,
        devices: int | list[int] | str,
        files: Mapping[str, str | None],
    ) -> None:
        self._owner = owner
        self._name = name
        self._dtype = dtype
        self._accelerator = accelerator
        self._devices = devices
        self._files = files
        self._loaded: list[LoadedModel] = []

    def loaded(self) -> list[LoadedModel]:
        """All of them."""
        if not self._loaded:
            for place in self._places():
                self._loaded.append(LoadedModel(self._name, self._dtype, place, **self._files))
        return self._loaded

    def release(self) -> None:
        """Free them; the next call loads them again."""
        import torch

        self._loaded = []
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def on_each(
        self, batches: Iterator[Batch], work: Callable[[LoadedModel, Sequence[Row]], list[Row]]
    ) -> Iterator[dict[str, Row]]:
        """What comes of each batch, in order; the devices work at the same time, a batch on
        each."""
        copies = self.loaded()
        with ThreadPoolExecutor(len(copies)) as pool:
            while together := list(islice(batches, len(copies))):
                jobs = []
                for copy, batch in zip(copies, together, strict=False):
                    jobs.append(pool.submit(work, copy, list(batch.values())))
                for batch, job in zip(together, jobs, strict=True):
                    yield dict(zip(batch, job.result(), strict=True))

    def elsewhere(self) -> Copies:
        """The same for another process, which has one device."""
        settings = self._owner, self._name, self._dtype, self._accelerator
        return Copies(*settings, 1, self._files)

    def __getstate__(self) -> dict[str, Any]:
        # another process loads them for itself
        return {**vars(self), "_loaded": []}

    def _places(self) -> list[device]:
        """Devices by Lightning's own rules."""
        from lightning.fabric import Fabric

        try:
            strategy = Fabric(accelerator=self._accelerator, devices=self._devices).strategy
        except Exception as error:
            # whatever Lightning raises: an unknown accelerator, or one that is absent
            raise InputError(
                f"{self._owner}: accelerator {self._accelerator!r} with devices "
                f"{self._devices!r}: {str(error).splitlines()[0]}"
            ) from error
        return list(getattr(strategy, "parallel_devices", None) or [strategy.root_device])


class OnCopies(Work):
    """What copies of a model make of batches.

    Args:
        model: whose they are; says what its results depend on.
        copies: of the model.
    """

    def __init__(self, model: LanguageModel, copies: Copies) -> None:
        self._model = model
        self._copies = copies

    @abstractmethod
    def made(self, copy: LoadedModel, rows: Sequence[Row]) -> list[Row]:
        """What a copy of the model makes of a batch."""

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        return self.made(self._copies.loaded()[0], rows)

    def here(self, batches: Iterator[Batch]) -> Iterator[dict[str, Row]]:
        return self._copies.on_each(batches, self.made)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_copies": self._copies.elsewhere()}


class Answering(OnCopies):
    """A model writes: a row is a prompt, its result the reply.

    Args:
        model: who writes; its ``sampling`` counts.
        copies: of the model.
        max_tokens: limit of a reply.
        stop: texts that end a reply.
    """

    def __init__(
        self, model: LanguageModel, copies: Copies, max_tokens: int, stop: Sequence[str]
    ) -> None:
        super().__init__(model, copies)
        self._max_tokens = max_tokens
        self._stop = stop
        self.title = f"write with {model.model}"

    @property
    def identity(self) -> list[Any]:
        return ["answering", self._model.depends_on(), self._max_tokens]

    def made(self, copy: LoadedModel, rows: Sequence[Row]) -> list[Row]:
        start = time.perf_counter()
        prompts, shared = [row["prompt"] for row in rows], rows[0]["shared"]
        sampling = self._model.sampling
        replies = copy.generate(prompts, self._max_tokens, sampling, self._stop, shared)
        seconds = (time.perf_counter() - start) / len(rows)
        found: list[Row] = []
        for reply in replies:
            said = {"text": reply.text, "outcome": reply.outcome, **reply.usage}
            found.append({**said, "seconds": seconds})
        return found


class Judging(OnCopies):
    """A model judges: a row is a prompt with answers, its result how likely these are.

    Args:
        model: who judges.
        copies: of the model.
        rows: answers that are judged together, at most.
        alpha: how much plain prompts count; None if there are none.
    """

    def __init__(
        self, model: LanguageModel, copies: Copies, rows: int, alpha: float | None
    ) -> None:
        super().__init__(model, copies)
        self._rows = rows
        self._alpha = alpha
        self.title = f"read with {model.model}"

    @property
    def identity(self) -> list[Any]:
        return ["judging", self._model.depends_on(), self._alpha]

    def made(self, copy: LoadedModel, rows: Sequence[Row]) -> list[Row]:
        asked, count = [], 0
        for row in rows:
            answers: dict[Answer, list[int]] = {}
            for answer in row["answers"]:
                answers[tuple(answer)] = [count]
                count += 1
            asked.append(Judged(row["prompt"], row["first"], row["plain"], answers))
        shared, plain_shared = rows[0]["shared"], rows[0]["plain_shared"]
        found = dict(copy.judge(asked, self._rows, shared, self._alpha, plain_shared))
        made: list[Row] = []
        for one in asked:
            numbers = [number for (number,) in one.answers.values()]
            made.append({"totals": [found[number].total for number in numbers]})
        return made
