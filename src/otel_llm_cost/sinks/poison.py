"""A batch that the store refuses for one bad row: find the row, keep the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.ledger import Row


class RowsRefused(StoreError):  # noqa: N818 - it is read as a fact
    """The store can be reached and does not take these rows: trying again cannot help."""


def write_apart(write: Callable[[Sequence[Row]], object], rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Write rows that were refused together, by halves; the rows that nothing can be done with, and why.

    An insert that is refused leaves nothing behind, so no half is written twice. Raises what `write` raises.
    """
    refused: list[tuple[Row, str]] = []
    parts = [rows]
    while parts:
        part = parts.pop()
        try:
            write(part)
        except RowsRefused as error:
            if len(part) == 1:
                refused.append((part[0], str(error)))
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
    return refused
