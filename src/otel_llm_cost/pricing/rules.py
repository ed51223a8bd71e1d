"""Billing rules with a shape of their own: each maps unit prices to unit prices and never touches totals.

A rule is named in the overlay (`rule: multiply`), with its arguments, models, terms, dates and source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from otel_llm_cost.pricing.facts import Tiers, UnitPrices, scaled
from otel_llm_cost.pricing.keys import FEE_UNITS, MODEL_UNITS

SCOPES: Mapping[str, frozenset[str]] = {
    "tokens": MODEL_UNITS,
    "tools": FEE_UNITS - MODEL_UNITS,
    "all": MODEL_UNITS | FEE_UNITS,
}
"""What a multiplier or a discount is on: the model's own work, the fees around it, or both."""


@dataclass(slots=True)
class Effects:
    """What rules say besides unit prices."""

    minimums: dict[str, int] = field(default_factory=dict)
    covered: str = ""
    estimated: str = ""


Rule = Callable[[UnitPrices, Mapping[str, object], Effects], UnitPrices]


def multiply(prices: UnitPrices, arguments: Mapping[str, object], _: Effects) -> UnitPrices:
    """The named units, or those in `scope` (tokens, tools, all), cost `factor` times as much."""
    units = _units(arguments)
    factor = arguments["factor"]
    assert isinstance(factor, Fraction)
    return {unit: scaled(tiers, factor) if unit in units else tiers for unit, tiers in prices.items()}


def derive(prices: UnitPrices, arguments: Mapping[str, object], _: Effects) -> UnitPrices:
    """A unit without a price costs `factor` times another one, tier by tier."""
    unit, of, factor = arguments["unit"], arguments["of"], arguments["factor"]
    assert isinstance(unit, str)
    assert isinstance(of, str)
    assert isinstance(factor, Fraction)
    if unit in prices or of not in prices:
        return prices
    return {**prices, unit: scaled(prices[of], factor)}


def add(prices: UnitPrices, arguments: Mapping[str, object], _: Effects) -> UnitPrices:
    """Fees on top of a model's own prices; a fee that the model already has stays."""
    fees = arguments["prices"]
    assert isinstance(fees, dict)
    return {**fees, **prices}


def same_rate(prices: UnitPrices, arguments: Mapping[str, object], _: Effects) -> UnitPrices:
    """Units that cost what another unit does, where they have no price of their own.

    Without this rule a modality that has no rate makes the call partial: it is never silently text.
    """
    pairs = arguments["units"]
    assert isinstance(pairs, dict)
    filled = dict(prices)
    for unit, of in pairs.items():
        if unit in filled or of not in prices:
            continue
        sibling = unit.replace("cache_read", "input_uncached")
        if sibling != unit and sibling in prices:
            continue  # the modality has its own uncached price, so its cached price is not the text's
        filled[unit] = prices[of]
    return filled


def minimum(prices: UnitPrices, arguments: Mapping[str, object], effects: Effects) -> UnitPrices:
    """The least quantity of a unit that is billed."""
    unit, least = arguments["unit"], arguments["least"]
    assert isinstance(unit, str)
    assert isinstance(least, int)
    effects.minimums[unit] = least
    return prices


def covered(prices: UnitPrices, arguments: Mapping[str, object], effects: Effects) -> UnitPrices:
    """Tokens are paid for by a commitment, so this call adds nothing; list cost stays known."""
    effects.covered = str(arguments["by"])
    return prices


def at_list(prices: UnitPrices, arguments: Mapping[str, object], effects: Effects) -> UnitPrices:
    """Your contract decides the price; until it is in the config the list price stands, as an estimate."""
    effects.estimated = str(arguments["because"])
    return prices


RULES: Mapping[str, Rule] = {
    "multiply": multiply,
    "derive": derive,
    "add": add,
    "same_rate": same_rate,
    "minimum": minimum,
    "covered": covered,
    "at_list": at_list,
}
"""Every rule by the name that data uses."""


def _units(arguments: Mapping[str, object]) -> frozenset[str]:
    units = arguments.get("units")
    if isinstance(units, Iterable):
        return frozenset(str(unit) for unit in units)
    return SCOPES[str(arguments.get("scope", "tokens"))]


def is_priced(prices: UnitPrices) -> bool:
    """Whether these prices make a model known: its own work has a price, not just fees around it."""
    return any(unit in MODEL_UNITS for unit in prices)


def zero() -> Tiers:
    """Free, as a published fact."""
    return ((-1, Fraction(0)),)
