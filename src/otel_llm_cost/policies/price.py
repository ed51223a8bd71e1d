"""Way out: usage becomes cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_llm_cost.pipeline import Policy, Run

if TYPE_CHECKING:
    from otel_llm_cost.pricing import PriceList


class Price(Policy):
    """Prices every attempt that may have cost something. The price data loads in `prepare`."""

    name = "price"

    def __init__(self, price_list: PriceList | None = None) -> None:
        self._price_list = price_list

    def prepare(self) -> None:
        from otel_llm_cost import pricing  # 130 ms of CPU: at the SDK's import, not at start-up

        self._price = pricing.price
        if self._price_list is None:
            self._price_list = pricing.PriceList.default()

    def leave(self, run: Run) -> None:
        call = run.call
        if not call.usage and (call.error_type or call.denied_by):
            return  # nothing was made, so there is nothing to price: a failure is not an unpriced call
        if self._price_list is None:
            self.prepare()
        assert self._price_list is not None
        call.cost = self._price(call, self._price_list)
