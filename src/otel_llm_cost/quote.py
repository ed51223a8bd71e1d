"""`otel_llm_cost.price`: what usage is worth, without a call."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from otel_llm_cost import pricing
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def price(provider: str, model: str, usage: Usage, *, at: datetime | None = None, **terms: str) -> Cost:
    """What `usage` of a model is worth at the prices in force at `at` (now), with the arithmetic.

        price("openai", "gpt-4o-mini", Usage(input_uncached=1000, output=100)).exact  # '0.00021'

    provider: a `gen_ai.provider.name`, such as openai, anthropic or aws.bedrock. terms: what else decides the
    price, such as service_tier="priority" (the keys are listed in `core.call.Terms`). A model without a price
    gives a cost of status `unpriced` with the reason. Raises ValueError for an `at` without a time zone.
    """
    if at is not None and at.tzinfo is None:
        raise ValueError("at has no time zone; write datetime(…, tzinfo=timezone.utc)")
    started_at = time.time_ns() if at is None else (at - _EPOCH) // _MICROSECOND * 1000
    call = Call(
        provider=provider,
        request_model=model,
        started_at=started_at,
        usage=usage,
        usage_source="provider",
        terms=terms,
    )
    return pricing.price(call, pricing.PriceList.default())
