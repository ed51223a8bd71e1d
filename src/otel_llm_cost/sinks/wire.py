"""A query's result, and how it travels: money as plain decimal strings, times as ISO 8601.

The collector answers `POST /v1/query/<name>` with `encode`, the command line reads the answer with `decode`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from otel_llm_cost.core.cost import from_text, to_text


@dataclass(frozen=True, slots=True)
class Result:
    """What a named query answered. Money is Decimal, times are aware, in UTC; None is NULL."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as one mapping each."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def decimal_text(amount: Decimal) -> str:
    """A plain decimal string, exact, without exponent or trailing zeros."""
    return to_text(from_text(amount))


_ENCODE: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Decimal: ("decimal", decimal_text),
    datetime: ("datetime", lambda value: value.isoformat()),
    date: ("date", lambda value: value.isoformat()),
}
_DECODE: dict[str, Callable[[Any], Any]] = {
    "decimal": Decimal,
    "datetime": lambda text: datetime.fromisoformat(text).astimezone(timezone.utc),
    "date": date.fromisoformat,
}


def encode(result: Result) -> bytes:
    """The answer's body: `{"columns": […], "types": […], "rows": […]}`.

    A type is `decimal`, `datetime`, `date`, or null for what JSON has itself.
    """
    types: list[str | None] = []
    columns: list[list[Any]] = []
    for values in zip(*result.rows, strict=True) if result.rows else [() for _ in result.columns]:
        kind = next((_ENCODE[type(value)] for value in values if type(value) in _ENCODE), None)
        types.append(kind[0] if kind else None)
        columns.append([_plain(value) for value in values])
    rows = [list(row) for row in zip(*columns, strict=True)]
    body = {"columns": result.columns, "types": types, "rows": rows}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _plain(value: Any) -> Any:
    kind = _ENCODE.get(type(value))
    if kind is not None:
        return kind[1](value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def decode(body: bytes) -> Result:
    """The result that `encode` wrote. Raises ValueError when it is not one."""
    try:
        answer = json.loads(body)
        readers = [_DECODE.get(kind) if kind else None for kind in answer["types"]]
        rows = [
            tuple(
                value if reader is None or value is None else reader(value)
                for value, reader in zip(row, readers, strict=True)
            )
            for row in answer["rows"]
        ]
        return Result(tuple(answer["columns"]), rows)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"not a query's result: {error}") from error
