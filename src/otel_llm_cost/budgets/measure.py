"""What a limit counts, and the whole numbers each measure is kept in.

In a process money is atto-dollars (`core.cost`). A shared store keeps grains, nano-dollars, since Redis
counts exactly up to 2^53 and SQLite up to 2^63; they are rounded so that a store never thinks less was spent.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from otel_llm_cost.core.cost import ATTO, to_text

Measure = Literal["usd", "tokens", "calls"]

MEASURES: tuple[Measure, ...] = ("usd", "tokens", "calls")
GRAIN: dict[Measure, int] = {"usd": ATTO // 10**9, "tokens": 1, "calls": 1}
"""How many of the process's units make one of the store's."""

MOST_GRAINS = 2**53 - 1
"""The largest limit in grains: 9,007,199 USD in one window. Beyond it Redis would no longer count exactly."""


class Amounts(NamedTuple):
    """One quantity per measure: atto-dollars, tokens (input and output), calls."""

    usd: int = 0
    tokens: int = 0
    calls: int = 1


def grains_up(amount: int, measure: Measure) -> int:
    """The store's units, rounded up: for what was spent or is needed."""
    return -(-amount // GRAIN[measure])


def grains_down(amount: int, measure: Measure) -> int:
    """The store's units, rounded down: for what is allowed."""
    return amount // GRAIN[measure]


def amount_text(amount: int, measure: Measure) -> str:
    """An amount for a person: `12.50 USD`, `2000 tokens`, `10 calls`."""
    if measure != "usd":
        return f"{amount} {measure}"
    text = to_text(amount)
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2} USD"
