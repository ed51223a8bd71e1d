"""Calls to price, written briefly."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing import PriceList, price
from otel_llm_cost.pricing.calendar import nanoseconds

AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def call(provider: str = "openai", model: str = "gpt-5", at: datetime = AT, **fields: Any) -> Call:
    """A call with provider usage."""
    fields.setdefault("usage", Usage(input_uncached=1000, output=100))
    return Call(
        provider=provider,
        request_model=model,
        usage_source=fields.pop("usage_source", "provider"),
        started_at=nanoseconds(at),
        **fields,
    )


def cost(call_: Call, prices: PriceList | None = None) -> Cost:
    """Its cost at the default prices, unless others are given."""
    return price(call_, prices or PriceList.default())
