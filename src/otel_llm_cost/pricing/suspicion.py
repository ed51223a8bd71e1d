"""Prices that look as if they were written in another unit: refused, with the suspicion spelled out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from otel_llm_cost.core.units import UNIT
from otel_llm_cost.pricing.facts import UnitPrices, price_at
from otel_llm_cost.pricing.keys import KEY_OF_UNIT

LOWEST = Fraction(1, 1000)
"""Dollars per million tokens; the cheapest published model costs 0.004 (2026-11), its cache reads 0.0028."""
HIGHEST = Fraction(2500)
"""Dollars per million tokens; the dearest published output costs 600 (2026-11)."""
SPREAD = Fraction(500)
"""Input and output of one model differ by less than this factor: published ones by 1 to 16."""


def suspect(prices: UnitPrices, published: UnitPrices | None = None) -> Iterator[tuple[str, str]]:
    """(key, sentence) for each token price that is a factor of about 1000 off.

    Off an absolute range, off its neighbours in the entry, or off the published price of the same model.
    """
    rates = {
        unit: price_at(tiers, -1)
        for unit, tiers in prices.items()
        if UNIT[unit].per == 1_000_000 and UNIT[unit].family in ("input", "output") and price_at(tiers, -1)
    }
    for unit, rate in rates.items():
        key = KEY_OF_UNIT[unit]
        if rate < LOWEST:
            yield key, _per_token(key, rate)
        elif rate > HIGHEST:
            yield key, f"{_text(rate)} USD for a million tokens is dearer than any model; {_HINT}"
    if "input_uncached" in rates and "output" in rates:
        ratio = rates["output"] / rates["input_uncached"]
        if ratio > SPREAD or ratio < 1 / SPREAD:
            pair = f"output at {_text(rates['output'])} and input at {_text(rates['input_uncached'])} USD"
            yield "output_mtok", f"{pair} are {_text(round(max(ratio, 1 / ratio)))} times apart; {_HINT}"
    for unit, rate in rates.items():
        if published and unit in published and (public := price_at(published[unit], -1)):
            ratio = rate / public
            if ratio >= SPREAD or ratio <= 1 / SPREAD:
                off = f"{_text(rate)} USD is {_text(round(max(ratio, 1 / ratio)))} times off"
                yield KEY_OF_UNIT[unit], f"{off} the published {_text(public)}; {_HINT}"


_HINT = (
    "is it written per token or per thousand? Prices ending in _mtok are USD per 1,000,000 tokens; "
    "if it is right, add `confirm_unit: true`"
)


def _per_token(key: str, rate: Fraction) -> str:
    return (
        f"{_text(rate)} USD for a million tokens is cheaper than any model: it looks like a price per token, "
        f"which would be {_text(rate * 1_000_000)} as {key}; write that, or add `confirm_unit: true`"
    )


def _text(number: Fraction | int) -> str:
    text = f"{float(number):.10f}".rstrip("0").rstrip(".")  # for a person to read, never for money
    return text or "0"
