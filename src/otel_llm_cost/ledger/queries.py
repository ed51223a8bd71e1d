# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Every SELECT we ship, by name: reports, dashboards, the page and the alert rules ask only these.

A query's parameters are plain JSON values. Nothing that a user wrote becomes SQL text: values and tag keys
travel as bound parameters, and keys are looked up in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.ledger.columns import NAMES
from otel_llm_cost.ledger.ddl import TABLE


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

_RANGE: Final = {
    "since": "first instant, ISO 8601",
    "until": "the instant after the last, ISO 8601",
    "filters": "key → values that are wanted; an empty text means untagged",
}


class _Text:
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
_WHOLE = f"hour >= {_FIRST_WHOLE} AND hour < {_END_WHOLE}"
_EDGES = (
    f"hour >= toStartOfHour({SINCE}) AND hour <= {_END_WHOLE}\n"
    f"    AND (hour < {_FIRST_WHOLE} OR hour >= {_END_WHOLE})\n"
    f"    AND started_at >= {SINCE} AND started_at < {UNTIL}"
)


def _spend(params: Mapping[str, Any]) -> Bound:
    keys = params.get("by") or []
    if isinstance(keys, str) or not isinstance(keys, Sequence):
        raise BadQuery("by must be a list of keys")
    if len(keys) > MOST_KEYS or len(set(keys)) != len(keys):
        raise BadQuery(f"by must name at most {MOST_KEYS} keys, each once")
    text = _Text(params)
    expressions = [text.key(key) for key in keys]
    names = [f"k{number}" for number in range(len(keys))]
    conditions = text.where(params)
    selected = ", ".join(
        f"{expression} AS {name}" for expression, name in zip(expressions, names, strict=True)
    )
    inner = ", ".join(f"sum({column}) AS s_{column}" for column in (*SUMS, *COSTS))
    grouped = f"\n    GROUP BY {', '.join(names)}" if names else ""

    def half(range_: str) -> str:
        chosen = f"{selected}, {inner}" if selected else inner
        return f"    SELECT {chosen}\n    FROM {TABLE}\n    WHERE {range_}{conditions}{grouped}"

    outer = [
        *(f"sum(s_{column}) AS {column}" for column in SUMS),
        *(
            f"if(calls > 0 AND unpriced_calls >= calls, NULL, sum(s_{column})) AS {column}"
            for column in COSTS
        ),
    ]
    order = [name for name, key in zip(names, keys, strict=True) if key in TIME_KEYS]
    order += ["effective_cost DESC NULLS LAST", "calls DESC"]
    order += [name for name in names if name not in order]
    sql = (
        f"SELECT {', '.join([*names, *outer])}\nFROM\n(\n{half(_WHOLE)}\n    UNION ALL\n{half(_EDGES)}\n)"
        f"{f'''{chr(10)}GROUP BY {', '.join(names)}''' if names else ''}"
        f"\nORDER BY {', '.join(order)}"
    )
    if params.get("limit") is not None:
        sql += f"\nLIMIT {text.bind('UInt64', int(params['limit']))}"
    return Bound(sql, text.params, (*keys, *SUMS, *COSTS))


def _in_range(text: _Text, params: Mapping[str, Any]) -> str:
    """The range for queries that read rows: the hour prunes, the instant decides."""
    return (
        f"hour >= toStartOfHour({SINCE}) AND hour <= toStartOfHour({UNTIL})\n"
        f"    AND started_at >= {SINCE} AND started_at < {UNTIL}{text.where(params)}"
    )


def _calls(params: Mapping[str, Any]) -> Bound:
    text = _Text(params)
    limit = text.bind("UInt64", int(params.get("limit") or 100))
    sql = (
        f"SELECT {', '.join(LISTED)}\nFROM {TABLE}\nWHERE {_in_range(text, params)}\n"
        f"ORDER BY started_at DESC, call_id, booked_at\nLIMIT {limit}"
    )
    return Bound(sql, text.params, LISTED)


LISTED: Final = (
    *("started_at", "call_id", "kind", "team", "feature", "environment", "customer_id", "service"),
    *("provider", "model", "operation", "attempt", "duration_s", "time_to_first_chunk_s"),
    *("input_tokens", "output_tokens", "cache_read_tokens"),
    *("effective_cost", "cost_status", "cost_reason", "error_type", "trace_id"),
)
"""What a list of calls shows."""


def _call(params: Mapping[str, Any]) -> Bound:
    sql = (
        f"SELECT {', '.join(NAMES)}\nFROM {TABLE}\nWHERE call_id = {{call_id:String}}\n"
        "ORDER BY booked_at, batch_id, row_no"
    )
    return Bound(sql, {"call_id": str(params["call_id"])}, NAMES)


def _unpriced(params: Mapping[str, Any]) -> Bound:
    text = _Text(params)
    sums = ("unpriced_calls", "partial_calls", "input_tokens", "output_tokens")
    sql = (
        "SELECT provider, model, reason, "
        + ", ".join(f"sum(s_{name}) AS {name}" for name in sums)
        + "\nFROM\n(\n    SELECT provider, model, cost_reason AS reason, "
        + ", ".join(f"{name} AS s_{name}" for name in sums)
        + f"\n    FROM {TABLE}\n    WHERE {_in_range(text, params)}\n"
        "    AND (unpriced_calls != 0 OR partial_calls != 0)\n)\n"
        "GROUP BY provider, model, reason\nHAVING unpriced_calls > 0 OR partial_calls > 0\n"
        "ORDER BY unpriced_calls + partial_calls DESC, provider, model, reason"
    )
    return Bound(sql, text.params, ("provider", "model", "reason", *sums))


def _tag_keys(params: Mapping[str, Any]) -> Bound:
    text = _Text(params)
    sql = (
        f"SELECT arrayJoin(mapKeys(tags)) AS tag, sum(calls) AS tagged_calls\nFROM {TABLE}\n"
        f"WHERE {_in_range(text, params)}\nGROUP BY tag\nORDER BY tagged_calls DESC, tag"
    )
    return Bound(sql, text.params, ("tag", "calls"))


def _batch(params: Mapping[str, Any]) -> Bound:
    sql = f"SELECT row_no\nFROM {TABLE}\nWHERE batch_id = {{batch_id:String}}\nORDER BY row_no"
    return Bound(sql, {"batch_id": str(params["batch_id"])}, ("row_no",))


def _extent(params: Mapping[str, Any]) -> Bound:  # noqa: ARG001 - it has no parameters
    columns = ("rows", "first_started_at", "last_started_at", "last_booked_at")
    sql = (
        "SELECT count() AS rows, minOrNull(started_at) AS first_started_at, "
        f"maxOrNull(started_at) AS last_started_at, maxOrNull(booked_at) AS last_booked_at\nFROM {TABLE}"
    )
    return Bound(sql, {}, columns)


QUERIES: dict[str, Query] = {
    query.name: query
    for query in (
        Query(
            "spend_by",
            "Calls, tokens and costs by any keys; without keys, the total. The default of every report.",
            {**_RANGE, "by": "list of keys: those of KEYS, or any tag key", "limit": "most rows"},
            _spend,
            frozenset({"since", "until"}),
        ),
        Query(
            "calls",
            "Rows one by one, newest first.",
            {**_RANGE, "limit": "most rows, 100 when not given"},
            _calls,
            frozenset({"since", "until"}),
        ),
        Query(
            "call_by_id",
            "Every row of one call, the first booked one first.",
            {"call_id": "the call's id"},
            _call,
            frozenset({"call_id"}),
        ),
        Query(
            "unpriced",
            "Models with calls that have no cost, or a cost that is a lower bound, and why.",
            _RANGE,
            _unpriced,
            frozenset({"since", "until"}),
        ),
        Query(
            "tag_keys",
            "Free tag keys in use, and how many calls carry each.",
            _RANGE,
            _tag_keys,
            frozenset({"since", "until"}),
        ),
        Query(
            "batch_rows",
            "Which rows of one insert are there.",
            {"batch_id": "the insert's id"},
            _batch,
            frozenset({"batch_id"}),
        ),
        Query("extent", "How much the ledger holds, and from when to when.", {}, _extent),
    )
}


def bind(name: str, params: Mapping[str, Any]) -> Bound:
    """The statement of a named query. Raises BadQuery."""
    query = QUERIES.get(name)
    if query is None:
        raise BadQuery(f"there is no query {name}; there are {', '.join(QUERIES)}")
    return query.bind(params)
