"""What the metrics have in common: a value per question, whichever process has seen it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors


class QuestionMetric(Metric):
    """The mean of a number per question.

    Questions are told apart by their ids, over all batches and processes: one that several of them
    have seen, as a DistributedSampler makes them do, counts once (the first value of the lowest
    rank stays). The mean is the exact sum, rounded once, so it does not depend on how questions are
    spread. A subclass has an ``update`` whose first argument are the ids, and hands
    :meth:`add` what it finds.

    Args:
        kwargs: arguments of torchmetrics.Metric, but ``dist_sync_fn``.
    """

    higher_is_better = True
    is_differentiable = False
    # the records of two processes, or of two batches, are joined, not added up
    full_state_update = True

    name: str
    """As results and loggers call it."""

    records: Tensor
    """One JSON line for each question, as bytes: ids have any length, numbers all their digits, on
    every device (Apple's GPUs have no float64) and in every precision of the module around."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dist_sync_fn=_joined, **kwargs)
        # the gathered state has been joined already
        self.add_state("records", torch.zeros(0, dtype=torch.uint8), dist_reduce_fx=_only)

    def add(
        self,
        question_ids: Sequence[str],
        values: Sequence[float],
        facts: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add a value for each question, and what else is to be kept of it.

        Raises:
            ValueError: there are more of one than of another, or an id is no string.
        """
        lines = []
        for question_id, value, fact in zip(
            question_ids, values, facts or [{}] * len(values), strict=True
        ):
            if not isinstance(question_id, str):
                raise ValueError(
                    f"{type(self).__name__}: question_ids: found {question_id!r}, expected strings"
                )
            # the name keeps a MetricCollection from taking two metrics for one, whose values
            # happen to be the same in the first batch
            lines.append(json.dumps([self.name, question_id, float(value), dict(fact)]) + "\n")
        added = torch.frombuffer(bytearray("".join(lines) or "\n", "ascii"), dtype=torch.uint8)
        self.records = torch.cat([self.records, added.to(self.records.device)])

    def compute(self) -> Tensor:
        """The mean over the questions, float64 where the device has it; NaN without any."""
        return self._number(mean([value for value, _ in self._rows().values()]))

    def values(self) -> dict[str, float]:
        """The value of each question of all processes, which must all call it."""
        with self._all_processes():
            return {question_id: value for question_id, (value, _) in self._rows().items()}

    def by(self, fact: str) -> dict[str, tuple[float, int]]:
        """Mean and number of questions of each group; all processes must call it.

        Args:
            fact: by which questions are grouped; those without it are left out.
        """
        groups: dict[str, list[float]] = {}
        with self._all_processes():
            rows = self._rows()
        for value, facts in rows.values():
            if facts.get(fact) is not None:
                groups.setdefault(str(facts[fact]), []).append(value)
        return {group: (mean(groups[group]), len(groups[group])) for group in sorted(groups)}

    def _all_processes(self) -> Any:
        return self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=not self._is_synced)

    def _rows(self) -> dict[str, tuple[float, dict[str, Any]]]:
        """Value and facts of each question known here."""
        rows: dict[str, tuple[float, dict[str, Any]]] = {}
        for line in self._lines():
            _, question_id, value, facts = json.loads(line)
            rows.setdefault(question_id, (value, facts))
        return rows

    def _lines(self) -> Iterator[str]:
        text = self.records.cpu().numpy().tobytes().decode("ascii")
        return (line for line in text.split("\n") if line)

    def _number(self, value: float) -> Tensor:
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.tensor(value, dtype=kind, device=self.device)


def mean(values: Sequence[float]) -> float:
    """Their mean, rounded once; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def _joined(state: Tensor, group: Any = None) -> list[Tensor]:
    """The state of all processes, one after the other; some may have none."""
    return [torch.cat(gather_all_tensors(state, group))]


def _only(states: Tensor) -> Tensor:
    return states[0]
