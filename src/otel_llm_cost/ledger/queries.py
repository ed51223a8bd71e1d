# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Every SELECT we ship, by name: reports, dashboards, the page and the alert rules ask only these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger import (
    queries_alerts,
    queries_budget,
    queries_economics,
    queries_efficiency,
    queries_overview,
    queries_quality,
    queries_reprice,
)
from otel_llm_cost.ledger.columns import NAMES
from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import (
    COSTS,
    KEYS,
    RANGE,
    SUMS,
    TIME_KEYS,
    BadQuery,
    Bound,
    Query,
    Text,
    in_range,
)
from otel_llm_cost.ledger.spend import spend_by

__all__ = ["COSTS", "KEYS", "LISTED", "QUERIES", "SUMS", "TIME_KEYS", "BadQuery", "Bound", "Query", "bind"]


def _calls(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    limit = text.limit(params.get("limit") or 100)
    sql = (
        f"SELECT {', '.join(LISTED)}\nFROM {TABLE}\nWHERE {in_range(text, params)}\n"
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
        "ORDER BY charge_class, booked_at, batch_id, row_no"
    )
    return Bound(sql, {"call_id": str(params["call_id"])}, NAMES)


def _unpriced(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sums = ("unpriced_calls", "partial_calls", "input_tokens", "output_tokens")
    # Call by call first: a correction that found a price takes its call off, whatever reason the call had.
    sql = (
        "SELECT provider, model, reason, "
        + ", ".join(f"sum(s_{name}) AS {name}" for name in sums)
        + "\nFROM\n(\n    SELECT provider, model, argMax(cost_reason, booked_at) AS reason, "
        + ", ".join(f"sum({name}) AS s_{name}" for name in sums)
        + f"\n    FROM {TABLE}\n    WHERE {in_range(text, params)}\n"
        "    AND (unpriced_calls != 0 OR partial_calls != 0)\n"
        "    GROUP BY call_id, provider, model\n    HAVING s_unpriced_calls > 0 OR s_partial_calls > 0\n)\n"
        "GROUP BY provider, model, reason\n"
        "ORDER BY unpriced_calls + partial_calls DESC, provider, model, reason"
    )
    return Bound(sql, text.params, ("provider", "model", "reason", *sums))


def _tag_keys(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        f"SELECT arrayJoin(mapKeys(tags)) AS tag, sum(calls) AS tagged_calls\nFROM {TABLE}\n"
        f"WHERE {in_range(text, params)}\nGROUP BY tag\nORDER BY tagged_calls DESC, tag"
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
            {**RANGE, "by": "list of keys: those of KEYS, or any tag key", "limit": "most rows"},
            spend_by,
            frozenset({"since", "until"}),
        ),
        Query(
            "calls",
            "Rows one by one, newest first.",
            {**RANGE, "limit": "most rows, 100 when not given"},
            _calls,
            frozenset({"since", "until"}),
        ),
        Query(
            "call_by_id",
            "Every row of one call: the call itself, then its corrections in their order.",
            {"call_id": "the call's id"},
            _call,
            frozenset({"call_id"}),
        ),
        Query(
            "unpriced",
            "Models with calls that have no cost, or a cost that is a lower bound, and why.",
            RANGE,
            _unpriced,
            frozenset({"since", "until"}),
        ),
        Query(
            "tag_keys",
            "Free tag keys in use, and how many calls carry each.",
            RANGE,
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
        *queries_overview.QUERIES,
        *queries_efficiency.QUERIES,
        *queries_economics.QUERIES,
        *queries_quality.QUERIES,
        *queries_alerts.QUERIES,
        *queries_budget.QUERIES,
        *queries_reprice.QUERIES,
    )
}


def bind(name: str, params: Mapping[str, Any]) -> Bound:
    """The statement of a named query. Raises BadQuery."""
    query = QUERIES.get(name)
    if query is None:
        raise BadQuery(f"there is no query {name}; there are {', '.join(QUERIES)}")
    return query.bind(params)
