"""What calls cost, and the limit of it."""

from __future__ import annotations

from collections.abc import Mapping

from radio.schema import InputError


class Money:
    """The prices of a model, what was spent, and what requests under way may still cost.

    Args:
        model: its name.
        prices: US dollars for a million tokens, by model: ``input``, ``output``, and where they
            differ ``cache_read``, ``cache_write``; ``batch`` is the factor of the batch interface.
        limit: US dollars; no request is begun that could exceed them. None is no limit.

    Raises:
        InputError: there is a limit but no price, or a price is not complete.
    """

    def __init__(
        self, model: str, prices: Mapping[str, Mapping[str, float]] | None, limit: float | None
    ) -> None:
        self._prices = (prices or {}).get(model)
        self.limit = limit
        self.spent = 0.0
        self.uncounted = 0.0
        """US dollars that requests may have cost at most of which no count of tokens came."""
        self._reserved = 0.0
        self.stopped = False
        """Whether something was not asked for because of the limit."""
        if limit is not None and self._prices is None:
            raise InputError(
                f"max_cost is set, but prices has no entry for {model!r}: add its input and output "
                "prices"
            )
        if self._prices is not None and not {"input", "output"} <= set(self._prices):
            found = ", ".join(self._prices)
            raise InputError(f"prices: {model!r}: found {found}, expected input and output")

    @property
    def known(self) -> bool:
        """Whether there are prices for this model."""
        return self._prices is not None

    def cost(self, usage: Mapping[str, float], *, batch: bool = False) -> float:
        """US dollars of a number of tokens; 0 where no price is known."""
        if self._prices is None:
            return 0.0
        input_price = self._prices["input"]
        prices = {"cache_read": input_price, "cache_write": input_price, **self._prices}
        dollars = 0.0
        for kind in ("input", "output", "cache_read", "cache_write"):
            dollars += (usage.get(kind) or 0) * prices[kind] / 1e6
        return dollars * (self._prices.get("batch", 1.0) if batch else 1.0)

    def reserve(self, most: float) -> bool:
        """Set aside what a request may cost; False where that could exceed the limit."""
        if self._exceeds(self._reserved + most):
            return False
        self._reserved += most
        return True

    def release(self, most: float) -> None:
        """Give back what was set aside for a request that is over."""
        self._reserved -= most

    def lose(self, most: float) -> None:
        """Count the most that a request may have cost of which no count of tokens came."""
        self.uncounted += most

    def still_fits(self) -> bool:
        """Whether what is set aside, as for another try, is below the limit after all that was
        spent meanwhile."""
        return not self._exceeds(self._reserved)

    def _exceeds(self, coming: float) -> bool:
        if self.limit is None or self.spent + self.uncounted + coming <= self.limit:
            return False
        self.stopped = True
        return True

    def spend(self, usage: Mapping[str, float], *, batch: bool = False) -> None:
        self.spent += self.cost(usage, batch=batch)
