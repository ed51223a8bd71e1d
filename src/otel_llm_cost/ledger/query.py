"""What a named query is, and the parts that all of them are made of: keys, filters, ranges of time.

A query's parameters are plain JSON values. Nothing that a user wrote becomes SQL text: values and tag keys
travel as bound parameters, and keys are looked up in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from otel_llm_cost.core.errors import ConfigError


class BadQuery(ConfigError):  # noqa: N818 - it is read as a fact
    """A named query does not exist, or was asked for with parameters that it does not have."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement that is ready to run: its text, its bound parameters, the names of its result's columns."""

    sql: str
    params: dict[str, Any]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A named SELECT. params: name → meaning. build: makes the statement from checked parameters."""

    name: str
    doc: str
    params: Mapping[str, str]
    build: Callable[[Mapping[str, Any]], Bound]
    required: frozenset[str] = frozenset()

    def bind(self, params: Mapping[str, Any]) -> Bound:
        """The statement for these parameters. Raises BadQuery."""
        if unknown := sorted(set(params) - set(self.params)):
            raise BadQuery(
                f"query {self.name} has no parameter {unknown[0]}; it has {', '.join(self.params)}"
            )
        if missing := sorted(self.required - set(params)):
            raise BadQuery(f"query {self.name} needs the parameter {missing[0]}")
        return self.build(params)


KEYS: Final[Mapping[str, str]] = {
    "team": "team",
    "feature": "feature",
    "environment": "environment",
    "customer_id": "customer_id",
    "provider": "provider",
    "model": "model",
    "service": "service",
    "operation": "operation",
    "month": "toStartOfMonth(hour)",
    "day": "toDate(hour)",  # days are UTC days
    "hour": "toDateTime64(hour, 0, 'UTC')",
}
"""What spend can be grouped and filtered by, besides any tag key. All but customer_id are in the rollup."""

TIME_KEYS: Final = frozenset({"month", "day", "hour"})

SUMS: Final = (
    "calls",
    "failed_attempts",
    "denials",
    "duplicates",
    "estimated_calls",
    "partial_calls",
    "unpriced_calls",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
COSTS: Final = (
    "effective_cost",
    "list_cost",
    "contracted_cost",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_write_cost",
    "tools_cost",
)

INSTANT = "DateTime64(6, 'UTC')"
SINCE: Final = f"{{since:{INSTANT}}}"
UNTIL: Final = f"{{until:{INSTANT}}}"
MOST_KEYS: Final = 12

RANGE: Final = {
    "since": "first instant, ISO 8601",
    "until": "the instant after the last, ISO 8601",
    "filters": "key → values that are wanted; an empty text means untagged",
}


class Text:
    """SQL text under construction, and the parameters that its user-given parts became."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params: dict[str, Any] = {
            name: _instant(name, params[name]) for name in ("since", "until") if name in params
        }

    def bind(self, type_: str, value: Any) -> str:
        """A placeholder for `value`."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{type_}}}"

    def limit(self, value: Any) -> str:
        """A placeholder for a number of rows."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadQuery("limit must be a whole number of rows")
        return self.bind("UInt64", value)

    def key(self, key: Any) -> str:
        """The expression of a key: a column of the table, else a tag."""
        if not isinstance(key, str) or not key.strip():
            raise BadQuery("a key is empty; give the name of a tag, or one of " + ", ".join(KEYS))
        return KEYS.get(key) or f"tags[{self.bind('String', key)}]"

    def where(self, params: Mapping[str, Any]) -> str:
        """The filters as conditions, each with AND before it."""
        filters = params.get("filters") or {}
        if not isinstance(filters, Mapping):
            raise BadQuery("filters must be an object of key and list of values")
        conditions = ""
        for key, values in filters.items():
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise BadQuery(f"filter {key} must be a list of texts")
            if values:
                texts = self.bind("Array(String)", [str(value) for value in values])
                conditions += (
                    f"\n    AND toString({self.key(key)}) IN {texts}"
                    if key in TIME_KEYS
                    else (f"\n    AND {self.key(key)} IN {texts}")
                )
        return conditions


def _instant(name: str, value: Any) -> str:
    """An instant as ClickHouse reads it; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))  # Python 3.10 knows no Z
        except ValueError:
            raise BadQuery(f"{name} must be an instant like 2026-11-01T00:00:00Z") from None
    if not isinstance(value, datetime):
        raise BadQuery(f"{name} must be an instant like 2026-11-01T00:00:00Z")
    utc = value.astimezone(timezone.utc) if value.tzinfo else value
    return utc.strftime("%Y-%m-%d %H:%M:%S.%f")


# The rollup holds whole hours, so a range is its whole hours, which the rollup answers, and up to two edges,
# which the rows answer. A filter on `started_at` alone would never be served by the rollup.
_FIRST_WHOLE = f"toStartOfHour({SINCE} + toIntervalMicrosecond(3599999999))"
_END_WHOLE = f"toStartOfHour({UNTIL})"
WHOLE = f"hour >= {_FIRST_WHOLE} AND hour < {_END_WHOLE}"
EDGES = (
    f"hour >= toStartOfHour({SINCE}) AND hour <= {_END_WHOLE}\n"
    f"    AND (hour < {_FIRST_WHOLE} OR hour >= {_END_WHOLE})\n"
    f"    AND started_at >= {SINCE} AND started_at < {UNTIL}"
)


def in_range(text: Text, params: Mapping[str, Any]) -> str:
    """The range for queries that read rows: the hour prunes, the instant decides."""
    return (
        f"hour >= toStartOfHour({SINCE}) AND hour <= toStartOfHour({UNTIL})\n"
        f"    AND started_at >= {SINCE} AND started_at < {UNTIL}{text.where(params)}"
    )
