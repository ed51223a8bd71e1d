"""Rates ready to multiply: whole numbers of atto-dollars, so that the hot path has no Decimal arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.core.units import UNIT

FOREVER = 1 << 63
"""Later than every instant in nanoseconds."""

_WIDE = Context(prec=60)


class Rate(NamedTuple):
    """What one of a unit costs: `numerator / denominator` atto-dollars, in lowest terms, after commitments.

    price, per: the same as published: `price` dollars for `per` of the unit, multipliers inside.
    listed, contracted: atto-dollars at public prices and at negotiated rates, where they differ, else None.
    """

    numerator: int
    denominator: int
    price: Decimal
    per: int
    listed: Fraction | None = None
    contracted: Fraction | None = None


def rate(
    unit: str, effective: Fraction, listed: Fraction | None = None, contracted: Fraction | None = None
) -> Rate:
    """A rate from dollars per published quantity of the unit."""
    per = UNIT[unit].per
    each = effective * ATTO / per
    price = _WIDE.divide(Decimal(effective.numerator), Decimal(effective.denominator))
    return Rate(
        each.numerator,
        each.denominator,
        price,
        per,
        None if listed is None else listed * ATTO / per,
        None if contracted is None else contracted * ATTO / per,
    )


@dataclass(slots=True)
class Vector:
    """Every rate of one model under one set of terms, and how long it holds.

    base: rates below every threshold. tiers: (threshold, rates), highest first; the first whose threshold the
    whole prompt exceeds prices the whole request. valid_from, valid_until: Unix nanoseconds, half-open.
    plain: list, contracted and effective price are one, so one sum is enough. unpriced: why nothing can be
    priced, empty otherwise. minimums: least billed quantity by unit. per_request: a request itself costs.
    estimated: why the amount is only an estimate though the quantities are known, empty otherwise.
    doubt: what is not sure about the prices, empty otherwise.
    """

    base: Mapping[str, Rate]
    tiers: tuple[tuple[int, Mapping[str, Rate]], ...] = ()
    valid_from: int = 0
    valid_until: int = FOREVER
    plain: bool = True
    unpriced: str = ""
    estimated: str = ""
    minimums: Mapping[str, int] | None = None
    per_request: bool = False
    model: str = ""
    provider: str = ""
    price_id: str = ""
    price_version: str = ""
    price_source: str = ""
    doubt: str = ""


def round_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to even; denominator positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def atto(quantity: int | Decimal, numerator: int, denominator: int) -> int:
    """quantity × rate in atto-dollars, rounded half-even once."""
    if type(quantity) is int:
        return (
            quantity * numerator if denominator == 1 else round_half_even(quantity * numerator, denominator)
        )
    top, bottom = quantity.as_integer_ratio()
    return round_half_even(top * numerator, bottom * denominator)
