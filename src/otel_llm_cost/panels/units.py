"""Units of what is shown: how a number reads for a person here, and the name Grafana has for the unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

Number = Decimal | int | float
"""What a picture can show. Money comes as Decimal; a float here is a share or a duration, never money."""

UNKNOWN: Final = "unknown"
"""How an amount that nobody knows is written: never as zero."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure. grafana: its id there (https://grafana.com/docs/grafana/latest/panels-visualizations/
    configure-standard-options/, read 2026-11-24). show: the number for a person, rounded."""

    name: str
    grafana: str
    show: Callable[[Number], str]
    decimals: int | None = None


def money(amount: Number, symbol: str = "$") -> str:
    """An amount rounded for reading: cents from a dollar on, two significant digits below one cent."""
    number = Decimal(amount)
    size = abs(number)
    if size >= 1 or size == 0:
        places = 2
    elif size >= Decimal("0.01"):
        places = 4
    else:
        places = 1 - size.adjusted()
    rounded = size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    sign = "−" if number < 0 else ""
    return f"{sign}{symbol}{rounded:,f}"


def exact(amount: Number) -> str:
    """An amount with all its digits: plain decimal, no exponent, no trailing zeros."""
    text = f"{Decimal(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(number: Number) -> str:
    """A whole number with thin groups of thousands."""
    return f"{int(number):,}".replace("-", "−")


_STEPS = ((10**12, 10**12, "T"), (10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k"))


def short(number: Number) -> str:
    """A large count in few characters: 312.4M; below ten thousand as it is."""
    size = abs(Decimal(number))
    for step, divisor, suffix in _STEPS:
        if size >= step:
            return f"{'−' if number < 0 else ''}{size / divisor:.1f}{suffix}"
    return count(number)


def share(number: Number) -> str:
    """A share of one as a percentage; only nothing reads as 0 %, and only everything as 100 %."""
    percent = Decimal(number) * 100
    if 0 < percent < Decimal("0.1"):
        return "<0.1 %"
    if Decimal("99.9") < percent < 100:
        return ">99.9 %"
    text = f"{percent:.1f}".removesuffix(".0").replace("-", "−")
    return f"{text} %"


def seconds(number: Number) -> str:
    """A duration in seconds, in the unit a person would say."""
    if number < 1:
        return f"{number * 1000:.0f} ms"
    if number < 120:
        return f"{number:.1f} s"
    return f"{number / 60:.0f} min"


UNITS: Final[dict[str, Unit]] = {
    unit.name: unit
    for unit in (
        Unit("usd", "currencyUSD", money),
        Unit("count", "none", count, decimals=0),
        Unit("tokens", "short", short),
        Unit("share", "percentunit", share),
        Unit("seconds", "s", seconds),
        Unit("ratio", "none", lambda number: f"{number:.1f}"),
        Unit("time", "dateTimeAsIso", str),
        Unit("text", "string", str),
    )
}
