# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Named queries that a reprice reads with (`ledger.reprice`), and where prices disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from otel_llm_cost.ledger.columns import NAMES
from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, BadQuery, Bound, Query, Text, in_range
from otel_llm_cost.ledger.reprice import NEEDED

_KINDS: Final = "kind IN ('usage', 'correction', 'duplicate')"


def _hours(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        f"SELECT hour, count() AS n\nFROM {TABLE}\nWHERE {in_range(text, params)}\n"
        f"    AND {_KINDS}\nGROUP BY hour\nORDER BY hour"
    )
    return Bound(sql, text.params, ("hour", "rows"))


def _rows(columns: Sequence[str]) -> Callable[[Mapping[str, Any]], Bound]:
    def build(params: Mapping[str, Any]) -> Bound:
        text = Text(params)
        conditions = in_range(text, params)
        buckets = _whole(params, "buckets", 1)
        if buckets > 1:
            number, of = text.bind("UInt64", _whole(params, "bucket", 0)), text.bind("UInt64", buckets)
            conditions += f"\n    AND cityHash64(call_id) % {of} = {number}"
        sql = (
            f"SELECT {', '.join(columns)}\nFROM {TABLE}\nWHERE {conditions}\n    AND {_KINDS}\n"
            "ORDER BY call_id, charge_class, booked_at, batch_id, row_no"
        )
        return Bound(sql, text.params, tuple(columns))

    return build


def _whole(params: Mapping[str, Any], name: str, least: int) -> int:
    value = params.get(name, least)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadQuery(f"{name} must be a whole number of at least {least}")
    return value


def _reported_drift(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    columns = ("provider", "model", "calls", "reported_cost", "computed_cost", "difference")
    sql = (
        "SELECT provider, model, count() AS n, sum(reported) AS told, sum(computed) AS worked_out, "
        "told - worked_out AS difference\nFROM\n(\n    SELECT provider, model, "
        f"sum(reported_cost) AS reported, sum(computed_cost) AS computed\n    FROM {TABLE}\n"
        f"    WHERE {in_range(text, params)}\n"
        "    GROUP BY call_id, provider, model\n"
        "    HAVING sum(calls) > 0 AND abs(reported - computed) * 200 > abs(reported)\n)\n"
        "GROUP BY provider, model\nORDER BY abs(difference) DESC, provider, model\nLIMIT 50"
    )
    return Bound(sql, text.params, columns)


_WHEN: Final = frozenset({"since", "until"})
_SLICE: Final = {**RANGE, "bucket": "which part of the call ids", "buckets": "how many parts there are"}

QUERIES: Final = (
    Query("reprice_hours", "Hours with calls, and how many rows each has.", RANGE, _hours, _WHEN),
    Query("reprice_rows", "What prices are judged on, call by call.", _SLICE, _rows(NEEDED), _WHEN),
    Query(
        "reported_drift",
        "Calls whose cost, as the provider reported it, differs from ours by more than 0.5 %.",
        RANGE,
        _reported_drift,
        _WHEN,
    ),
    Query("reprice_calls", "Every column of the same rows.", _SLICE, _rows(NAMES), _WHEN),
)
