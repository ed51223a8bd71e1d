"""Cost: what a call is worth, with the arithmetic that says so.

Money is kept as whole atto-dollars (1e-18 USD), which is what `Decimal(38, 18)` stores: sums are exact and
fast, and no float comes near. `Decimal` is what callers see.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Literal, NamedTuple

_WIDE = Context(prec=76, rounding=ROUND_HALF_EVEN)  # Decimal(76): wider than any sum we store

ATTO = 10**18
"""Atto-dollars in a dollar."""

Status = Literal["priced", "partial", "estimated", "unpriced", "reported"]
"""priced: every billable unit had a rate. partial: some had none, so the amount is a lower bound.
estimated: the quantities are our estimate. reported: the provider said the amount. unpriced: no amount."""


def to_decimal(atto: int) -> Decimal:
    """Atto-dollars as dollars, exactly."""
    return Decimal(f"{atto}e-18")  # from text, so that no context precision rounds it


def to_text(atto: int) -> str:
    """Atto-dollars as a plain decimal string of dollars: no exponent, no trailing zeros."""
    sign = "-" if atto < 0 else ""
    whole, fraction = divmod(abs(atto), ATTO)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:018d}".rstrip("0")


def from_text(text: str | Decimal) -> int:
    """Dollars as atto-dollars, half-even beyond 18 places. Raises decimal.InvalidOperation."""
    return int(_WIDE.to_integral_value(_WIDE.scaleb(Decimal(text), 18)))


class Component(NamedTuple):
    """One line of the arithmetic: `quantity` × `unit_price` / `per` = `cost`, multipliers inside the price.

    unit: a name of `core.units`. unit_price: effective USD for `per` of it, exact. atto: the line's cost in
    atto-dollars, rounded half-even once. model: set when another model than the call's did this part.
    """

    unit: str
    quantity: int | Decimal
    unit_price: Decimal
    per: int
    atto: int
    model: str | None = None

    @property
    def cost(self) -> Decimal:
        """The line's effective cost in USD."""
        return to_decimal(self.atto)


class Cost(NamedTuple):
    """The worth of a call in USD; amounts in atto-dollars, None where unknown, never 0 for unknown.

    effective_atto: after commitments; the number for trends and budgets, the sum of `components` unless
    `status` is `reported`. list_atto: at public prices. contracted_atto: at your negotiated rates.
    computed_atto: our own figure when the provider reported another. reason: why unpriced or partial.
    price_id, price_version, price_source: which entry, of which data, from which layer. A tuple, since one is
    made per call and a frozen dataclass takes a microsecond longer.
    """

    status: Status
    effective_atto: int | None = None
    list_atto: int | None = None
    contracted_atto: int | None = None
    computed_atto: int | None = None
    components: tuple[Component, ...] = ()
    reason: str = ""
    price_id: str = ""
    price_version: str = ""
    price_source: str = ""
    currency: str = "USD"

    @classmethod
    def unknown(cls, reason: str) -> Cost:
        """No amount can be given, and why."""
        return cls("unpriced", reason=reason)

    @property
    def effective(self) -> Decimal | None:
        """Effective cost in USD, None when unknown."""
        return None if self.effective_atto is None else to_decimal(self.effective_atto)

    @property
    def exact(self) -> str | None:
        """Effective cost as a plain decimal string, None when unknown."""
        return None if self.effective_atto is None else to_text(self.effective_atto)
