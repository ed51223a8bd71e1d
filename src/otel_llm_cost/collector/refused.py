"""Rows that the ledger will never take, told apart from a ledger that takes nothing at the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.ledger import Row

PATIENCE = 4
"""Tries of a whole batch before its rows are tried in parts."""
LAST_PATIENCE = 12
"""Tries before a batch's only row, or all of them, may be found guilty without another to compare with."""


class Sink(Protocol):
    """Where rows go; `sinks.clickhouse.ClickHouseSink` is one. All raise StoreError when it is not known that
    all rows arrived."""

    def write(self, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Insert rows of a batch that was never tried."""

    def write_again(self, batch_id: str, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Make sure that an earlier try is over, and insert what it did not."""

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer of a named query."""


def find_refused(
    sink: Sink, batch_id: str, rows: Sequence[Row], without_comparison: bool
) -> list[tuple[Row, str]]:
    """Insert every row that the ledger takes; the others, each with the reason.

    A row is refused when it fails alone while the ledger answers and takes another row of the batch. Raises
    StoreError when the ledger is away or takes none: then nobody is to blame (a full disk, a missing right).
    """
    refused: list[tuple[Row, str]] = []
    taken = _try(sink, batch_id, rows, refused)
    if refused and not taken and not without_comparison:
        raise StoreError(refused[0][1])
    return refused


def _try(sink: Sink, batch_id: str, rows: Sequence[Row], refused: list[tuple[Row, str]]) -> int:
    """How many rows are in the ledger now."""
    try:
        sink.write_again(batch_id, rows, query_id=batch_id)
    except StoreError as error:
        sink.query("batch_rows", {"batch_id": batch_id})  # raises when it is the ledger that is away
        if len(rows) == 1:
            refused.append((rows[0], str(error)))
            return 0
        middle = len(rows) // 2
        return sum(_try(sink, batch_id, part, refused) for part in (rows[:middle], rows[middle:]))
    return len(rows)
