"""A call as a ledger row: the one way into the table, for the collector and for the in-app exporter."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.ledger.booking import Booking
from otel_llm_cost.ledger.columns import COLUMNS
from otel_llm_cost.ledger.entry import Entry

Row = tuple[Any, ...]
"""One value per column, in the order of COLUMNS. Times are Unix microseconds, money is Decimal."""

_values = attrgetter(*(column.value or column.name for column in COLUMNS))

ADD_NOTHING = frozenset({"denial", "duplicate"})
_NOTHING = tuple(
    (number, column.nothing)
    for number, column in enumerate(COLUMNS)
    if column.summed and column.name not in ("denials", "duplicates")
)


def row(call: Call, booking: Booking) -> Row:
    """The row of a call that was priced (`call.cost`) or is not billable.

    A denial and a duplicate cost nothing and add nothing to any sum but their own count. Raises ValueError
    for a correction, which is made by `ledger.correction`.
    """
    if booking.kind == "correction":
        raise ValueError("a correction is the difference between rows; make it with ledger.correction")
    values: Row = _values(Entry(call, booking))
    if booking.kind not in ADD_NOTHING:
        return values
    kept = list(values)
    for number, nothing in _NOTHING:
        kept[number] = nothing
    return tuple(kept)
