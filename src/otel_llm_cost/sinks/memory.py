"""Rows in a list: for tests, and for a look at what would be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_llm_cost.ledger import NAMES, Row


class MemorySink:
    """Keeps every row it is given, in order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def migrate(self) -> list[str]:
        """There is no schema here."""
        return []

    def write(self, rows: Iterable[Row], *, query_id: str = "") -> int:  # noqa: ARG002 - the seam's signature
        """Keep the rows; how many they were."""
        before = len(self.rows)
        self.rows.extend(rows)
        return len(self.rows) - before

    def close(self) -> None:
        """Nothing to let go of."""

    def records(self) -> list[dict[str, Any]]:
        """The rows as one mapping each."""
        return [dict(zip(NAMES, row, strict=True)) for row in self.rows]
