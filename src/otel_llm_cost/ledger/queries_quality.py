# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Whether the numbers can be trusted: who tells of calls, what was odd about them, how late they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, Bound, Query, Text, in_range


def _emitters(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        "SELECT emitter, emitter_version, signal, service, sum(calls) AS n, sum(duplicates) AS copies, "
        f"max(started_at) AS last_seen\nFROM {TABLE}\nWHERE {in_range(text, params)}\n"
        "    AND kind != 'correction'\nGROUP BY emitter, emitter_version, signal, service\n"
        "ORDER BY n DESC, emitter, emitter_version, service\nLIMIT 200"
    )
    return Bound(
        sql, text.params, ("emitter", "emitter_version", "signal", "service", "n", "copies", "last_seen")
    )


def _rules(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        f"SELECT rule, sum(calls) AS n, max(started_at) AS last_seen\nFROM {TABLE}\n"
        f"WHERE {in_range(text, params)}\n    AND kind != 'correction'\nGROUP BY rule\nORDER BY n DESC, rule"
    )
    return Bound(sql, text.params, ("rule", "n", "last_seen"))


def _flags(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        f"SELECT arrayJoin(usage_flags) AS flag, provider, model, count() AS n\nFROM {TABLE}\n"
        f"WHERE {in_range(text, params)}\nGROUP BY flag, provider, model\n"
        "ORDER BY n DESC, flag, provider, model\nLIMIT 100"
    )
    return Bound(sql, text.params, ("flag", "provider", "model", "n"))


def _lag(params: Mapping[str, Any]) -> Bound:
    """From the end of a call to its row, so that a long stream is not called late."""
    text = Text(params)
    text.params["step"] = int(params["step"])
    sql = (
        "SELECT toStartOfInterval(started_at, toIntervalSecond({step:UInt32}), 'UTC') AS time,\n"
        "    quantileTDigest(0.95)(greatest(dateDiff('millisecond', started_at, booked_at) / 1000\n"
        "        - coalesce(duration_s, 0), 0)) AS p95_s\n"
        f"FROM {TABLE}\nWHERE {in_range(text, params)}\n    AND kind = 'usage'\nGROUP BY time\nORDER BY time"
    )
    return Bound(sql, text.params, ("time", "p95_s"))


def _doubts(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    names = ("calls", "estimated_calls", "partial_calls", "unpriced_calls", "duplicates", "denials")
    sums = ", ".join(f"sum({name}) AS t_{name}" for name in names)
    sql = (
        f"SELECT {sums}, countIf(kind = 'correction') AS corrections, "
        "if(t_calls > 0, t_estimated_calls / t_calls, NULL) AS estimated_share, "
        "if(t_calls > 0, t_unpriced_calls / t_calls, NULL) AS unpriced_share\n"
        f"FROM {TABLE}\nWHERE {in_range(text, params)}"
    )
    columns = (*(f"t_{name}" for name in names), "corrections", "estimated_share", "unpriced_share")
    return Bound(sql, text.params, columns)


def _drift(params: Mapping[str, Any]) -> Bound:
    """What the app said when it made the call, against what was booked then."""
    text = Text(params)
    sql = (
        "SELECT provider, model, count() AS n, sum(app_cost) AS told, sum(effective_cost) AS booked, "
        f"booked - told AS difference\nFROM {TABLE}\nWHERE {in_range(text, params)}\n"
        "    AND kind = 'usage' AND app_cost IS NOT NULL AND effective_cost IS NOT NULL\n"
        "GROUP BY provider, model\nHAVING difference != 0\n"
        "ORDER BY abs(difference) DESC, provider, model\nLIMIT 50"
    )
    return Bound(sql, text.params, ("provider", "model", "n", "told", "booked", "difference"))


def _price_changes(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        "SELECT time, concat(provider, ' ', model, ': price ', price_id) AS text\nFROM\n(\n"
        "    SELECT provider, model, price_id, min(started_at) AS time,\n"
        "        row_number() OVER (PARTITION BY provider, model ORDER BY min(started_at)) AS place\n"
        f"    FROM {TABLE}\n    WHERE {in_range(text, params)}\n    AND price_id != '' AND kind = 'usage'\n"
        "    GROUP BY provider, model, price_id\n)\nWHERE place > 1\nORDER BY time, text\nLIMIT 200"
    )
    return Bound(sql, text.params, ("time", "text"))


_WHEN: Final = frozenset({"since", "until"})
_STEP: Final = {"step": "seconds from one point to the next"}

QUERIES: Final = (
    Query("emitters", "Who tells of calls, and how many of them were copies.", RANGE, _emitters, _WHEN),
    Query("rules", "Which rule read how many calls.", RANGE, _rules, _WHEN),
    Query("flags", "What was odd about usage or times, as the rows are marked.", RANGE, _flags, _WHEN),
    Query(
        "lag",
        "Seconds from the end of a call to its row; 95 of 100 calls are below.",
        {**RANGE, **_STEP},
        _lag,
        _WHEN | {"step"},
    ),
    Query("doubts", "How many calls are estimated, unpriced, copies, corrected.", RANGE, _doubts, _WHEN),
    Query("drift", "Where the app's price differs from the collector's.", RANGE, _drift, _WHEN),
    Query("price_changes", "When another entry began to price a model.", RANGE, _price_changes, _WHEN),
)
