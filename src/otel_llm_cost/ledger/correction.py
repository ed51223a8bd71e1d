"""Corrections: history is never edited, the difference is added (design D7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from typing import Any

from otel_llm_cost.ledger.booking import Booking
from otel_llm_cost.ledger.columns import COLUMNS, INDEX
from otel_llm_cost.ledger.row import Row

_EXACT = Context(prec=76)

OWN: Mapping[str, Any] = {
    "kind": lambda _: "correction",
    "charge_class": lambda _: "Correction",
    "batch_id": lambda booking: booking.batch_id,
    "row_no": lambda booking: booking.row_no,
    "booked_at": lambda booking: booking.booked_at // 1000,
    "booking_reason": lambda booking: booking.reason,
}
"""What a correction has of its own."""

NEWEST = frozenset(
    {
        *("terms", "usage_source", "usage_flags", "usage_parts", "raw_usage", "currency"),
        *("cost_status", "cost_reason", "price_id", "price_version", "price_source", "components"),
        *("emitter", "emitter_version", "signal", "rule"),
    }
)
"""What a correction tells as it is known now: the facts that the new cost comes from. All else stays as first
booked, team and model and time, since a difference must be summed where its call is."""


def correction(now: Row, booked: Iterable[Row], booking: Booking) -> Row | None:
    """The row that makes the sums over a call's rows equal to `now`; None when they already are.

    now: the call as known now, made by `row`. booked: every row that the ledger has of it, first one first.
    A cost that is not known any more takes back what was booked; the call is then counted as unpriced.
    """
    earlier = list(booked)
    if not earlier:
        raise ValueError("there is no row to correct")
    values = list(earlier[0])
    changed = False
    for number, column in enumerate(COLUMNS):
        if column.summed:
            values[number], differs = difference(now[number], [row[number] for row in earlier])
            changed = changed or differs
        elif column.name in NEWEST:
            values[number] = now[number]
    if not changed:
        return None
    for name, value in OWN.items():
        values[INDEX[name]] = value(booking)
    return tuple(values)


def difference(now: Any, before: list[Any]) -> tuple[Any, bool]:
    """What must be added to `before` to make `now`, and whether that is anything. None is not known."""
    if type(now) is not int and isinstance(now, Mapping):
        units = {unit for amounts in (now, *before) for unit in amounts}
        amounts = {unit: _minus(now.get(unit), [units_.get(unit) for units_ in before]) for unit in units}
        changed = {unit: amount for unit, amount in sorted(amounts.items()) if amount}
        return changed, bool(changed)
    known = [amount for amount in before if amount is not None]
    if now is None and not known:
        return None, False
    amount = _minus(now, known)
    return amount, bool(amount) or (now is not None and not known)


def _minus(now: Any, before: list[Any]) -> Any:
    """Exact for money: the default context would round a sum to 28 digits."""
    total = now or 0
    for amount in before:
        if isinstance(amount, Decimal) or isinstance(total, Decimal):
            total = _EXACT.subtract(Decimal(total), Decimal(amount or 0))
        else:
            total -= amount or 0
    return total
