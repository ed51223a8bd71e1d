"""Money that a provider itself reports for the call, in dollars."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from otel_llm_cost.core.cost import from_text, to_text
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import get

TICKS_PER_DOLLAR = 10**10
"""xAI: `cost_in_usd_ticks` is the amount actually billed (docs.x.ai/developers/cost-tracking)."""

PLAIN: dict[str, tuple[str, ...]] = {
    "perplexity": ("cost", "total_cost"),
}
"""Provider → where its usage object holds dollars."""

REPORTED = frozenset({*PLAIN, "x_ai", "openrouter"})
"""Providers that report the money of a call."""


def reported_cost(usage: Any, provider: str, flags: list[str]) -> str:
    """The dollars that the provider says this call cost, as exact text; empty when it says nothing.

    Only for providers whose figure is what they bill. A gateway's own estimate is not in this table.
    """
    if usage is None:
        return ""
    if provider == "x_ai":
        ticks = quantity(get(usage, "cost_in_usd_ticks"), "cost_in_usd_ticks", flags)
        return "" if ticks is None else to_text(from_text(Decimal(ticks) / TICKS_PER_DOLLAR))
    if provider == "openrouter":
        return _openrouter(usage, flags)
    path = PLAIN.get(provider)
    amount = quantity(get(usage, *path), ".".join(path), flags) if path else None
    return "" if amount is None else to_text(from_text(Decimal(amount)))


def _openrouter(usage: Any, flags: list[str]) -> str:
    """cost, plus what the upstream provider bills you directly when the key is your own.

    https://openrouter.ai/docs/use-cases/usage-accounting (checked 2026-11-24).
    """
    cost = quantity(get(usage, "cost"), "cost", flags)
    if cost is None:
        return ""
    total = Decimal(cost)
    if get(usage, "is_byok"):
        upstream = quantity(
            get(usage, "cost_details", "upstream_inference_cost"), "upstream_inference_cost", flags
        )
        if upstream is None:  # your own key was billed, and how much is not said
            return ""
        total += Decimal(upstream)
    return to_text(from_text(total))


def hinted_cost(header: str | None) -> str:
    """The dollars that a gateway's header tells of, as exact text; empty when it is no amount."""
    flags: list[str] = []
    amount = quantity(header or None, "hinted cost", flags)
    return "" if amount is None or flags else to_text(from_text(Decimal(amount)))
