"""Way out: usage becomes cost."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from otel_llm_cost.core import faults
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pipeline import Policy, Run

if TYPE_CHECKING:
    from otel_llm_cost.pricing import PriceList

OWN_PRICES = ("OTEL_LLM_COST_PRICE_OVERRIDES", "OTEL_LLM_COST_CONFIG")
"""Variables that may name prices of your own."""


class Price(Policy):
    """Prices every attempt that may have cost something. The price data loads in `prepare`."""

    name = "price"

    def __init__(self, price_list: PriceList | None = None) -> None:
        self._price_list = price_list

    def prepare(self) -> None:
        from otel_llm_cost import pricing

        self._price = pricing.price
        if self._price_list is None:
            self._price_list = self._load(pricing.PriceList)
        # One price loads what the first would: 130 ms of CPU, at the SDK's import and not in a call.
        unknown = Call("openai", "chat", "none", usage=Usage(output=1), started_at=time.time_ns())
        self._price(unknown, self._price_list)

    @staticmethod
    def _load(kind: type[PriceList]) -> PriceList:
        if not any(os.environ.get(name) for name in OWN_PRICES):
            return kind.default()
        from otel_llm_cost import config

        try:
            return kind.of_settings(config.load())
        except LLMCostError as error:
            faults.report("reading your own prices", error)
            return kind.default()

    def leave(self, run: Run) -> None:
        call = run.call
        if not call.usage and (call.error_type or call.denied_by):
            return  # nothing was made, so there is nothing to price: a failure is not an unpriced call
        if self._price_list is None:
            self.prepare()
        assert self._price_list is not None
        call.cost = self._price(call, self._price_list)
