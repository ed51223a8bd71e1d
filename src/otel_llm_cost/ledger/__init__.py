"""What one stored call is: pure, no I/O. Rows are tuples, statements are text; `sinks` carries them out."""

from __future__ import annotations

from otel_llm_cost.ledger.booking import Booking, Kind, kind_of
from otel_llm_cost.ledger.columns import COLUMNS, FOCUS, INDEX, NAMES, Column
from otel_llm_cost.ledger.correction import correction
from otel_llm_cost.ledger.row import Row, row

__all__ = [
    "COLUMNS",
    "FOCUS",
    "INDEX",
    "NAMES",
    "Booking",
    "Column",
    "Kind",
    "Row",
    "correction",
    "kind_of",
    "row",
]
