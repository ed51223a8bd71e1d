# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Where the money stands: so far this month, against before, and what nobody can be charged with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, SINCE, UNTIL, Bound, Query, Text
from otel_llm_cost.ledger.spend import spend_by

HISTORY_DAYS: Final = 28
"""Whole weeks, so that each day of the week weighs the same in a forecast."""
LEAST_DAYS: Final = 7
"""Days of history that a forecast needs; before that there is none, which is not the same as zero."""

WELL_KNOWN: Final = ("team", "feature", "environment", "customer_id")


def _untagged(params: Mapping[str, Any]) -> Bound:
    inner = spend_by({**_without(params, "key"), "by": [params["key"]]})
    sql = f"SELECT {_MISSING}\nFROM\n(\n{inner.sql}\n)"
    return Bound(sql, inner.params, _MISSING_COLUMNS)


_MISSING: Final = (
    "sumIf(calls, k0 = '') AS untagged_calls, sumIf(effective_cost, k0 = '') AS untagged_cost, "
    "sum(effective_cost) AS cost, "
    "if(cost > 0, toFloat64(coalesce(untagged_cost, 0)) / toFloat64(cost), NULL) AS untagged_share"
)
_MISSING_COLUMNS: Final = ("untagged_calls", "untagged_cost", "cost", "untagged_share")


def _missing_tags(params: Mapping[str, Any]) -> Bound:
    parts = [(key, spend_by({**params, "by": [key]})) for key in WELL_KNOWN]
    # The parts have the same parameters under the same names: their range and filters are the same.
    tables = [f"SELECT '{key}' AS tag, {_MISSING}\nFROM\n(\n{part.sql}\n)" for key, part in parts]
    union = "\nUNION ALL\n".join(tables)
    sql = (
        f"SELECT * FROM\n(\n{union}\n)\nWHERE untagged_calls > 0\nORDER BY untagged_cost DESC NULLS LAST, tag"
    )
    return Bound(sql, parts[0][1].params, ("tag", *_MISSING_COLUMNS))


_BEFORE: Final = f"addMicroseconds({SINCE}, -dateDiff('microsecond', {SINCE}, {UNTIL}))"


def _movers(params: Mapping[str, Any]) -> Bound:
    now = spend_by({**_without(params, "key", "limit"), "by": [params["key"]]})
    before = now.sql.replace(UNTIL, "\0").replace(SINCE, _BEFORE).replace("\0", SINCE)
    limit = f"{{p{len(now.params)}:UInt64}}"
    sql = (
        "SELECT k0 AS key, coalesce(sum(n), 0) AS cost_now, coalesce(sum(b), 0) AS cost_before, "
        "cost_now - cost_before AS change, "
        "if(cost_before > 0, toFloat64(change) / toFloat64(cost_before), NULL) AS change_share\nFROM\n(\n"
        f"SELECT k0, effective_cost AS n, NULL AS b FROM\n(\n{now.sql}\n)\nUNION ALL\n"
        f"SELECT k0, NULL AS n, effective_cost AS b FROM\n(\n{before}\n)\n)\n"
        f"GROUP BY key\nHAVING change != 0\nORDER BY abs(change) DESC, key\nLIMIT {limit}"
    )
    bound_limit = {f"p{len(now.params)}": int(params.get("limit") or 20)}
    return Bound(
        sql, {**now.params, **bound_limit}, ("key", "cost_now", "cost_before", "change", "change_share")
    )


def _month(params: Mapping[str, Any]) -> Bound:
    """Reads the rollup, by whole hours: the hour in which `until` lies counts in full."""
    text = Text(params)
    end = f"({UNTIL} - toIntervalMicrosecond(1))"
    sql = f"""WITH
    {end} AS at,
    toStartOfDay(at) AS today,
    toDateTime(toStartOfMonth(at), 'UTC') AS month,
    toDateTime(addMonths(toStartOfMonth(at), -1), 'UTC') AS last_month,
    toDateTime(addMonths(toStartOfMonth(at), 1), 'UTC') AS next_month,
    least(month, last_month + (toDateTime({UNTIL}, 'UTC') - month)) AS as_far_last_month,
    arrayFilter(d -> d.1 >= toDate(today) - {HISTORY_DAYS} AND d.1 < toDate(today), days) AS history,
    if(empty(history), 0, dateDiff('day', arrayMin(d -> d.1, history), toDate(today))) AS known_days,
    arrayMap(n -> toDate(today) - n, range(1, known_days + 1)) AS window,
    arrayMap(w -> arraySum(d -> toFloat64(d.2) * (toDayOfWeek(d.1) = w), history)
        / greatest(arrayCount(d -> toDayOfWeek(d) = w, window), 1), range(1, 8)) AS usual,
    (toDateTime({UNTIL}, 'UTC') - today) / 86400 AS of_today,
    arrayMap(n -> toDate(today) + n, range(toUInt32(dateDiff('day', today, next_month)))) AS to_come,
    arraySum(d -> usual[toDayOfWeek(d)] * if(d = toDate(today), greatest(1 - of_today, 0), 1), to_come)
        AS rest,
    arrayMap(d -> arraySum(h -> toFloat64(h.2) * (h.1 = d), history) - usual[toDayOfWeek(d)], window)
        AS errors,
    sqrt(arraySum(e -> e * e, errors) / greatest(known_days - 1, 1)) AS spread,
    known_days >= {LEAST_DAYS} AS is_known
SELECT
    sumIf(cost, hour >= today) AS today_cost,
    sumIf(cost, hour >= month) AS month_cost,
    sumIf(cost, hour >= last_month AND hour < as_far_last_month) AS last_month_so_far,
    sumIf(cost, hour >= last_month AND hour < month) AS last_month_cost,
    if(last_month_so_far > 0, toFloat64(month_cost) / toFloat64(last_month_so_far) - 1, NULL) AS change_share,
    if(is_known, toFloat64(month_cost) + rest, NULL) AS forecast,
    if(is_known, toFloat64(month_cost) + greatest(rest - 1.28 * spread * sqrt(length(to_come)), 0), NULL)
        AS forecast_low,
    if(is_known, toFloat64(month_cost) + rest + 1.28 * spread * sqrt(length(to_come)), NULL) AS forecast_high
FROM
(
    SELECT hour, cost, groupArray((toDate(hour), cost)) OVER () AS days
    FROM
    (
        SELECT hour, coalesce(sum(effective_cost), 0) AS cost
        FROM {TABLE}
        WHERE hour >= least(toDateTime(addMonths(toStartOfMonth({end}), -1), 'UTC'),
                toStartOfDay({end}) - toIntervalDay({HISTORY_DAYS}))
            AND hour <= toStartOfHour({end}){text.where(params)}
        GROUP BY hour
    )
)
GROUP BY days"""
    return Bound(sql, {**text.params}, _MONTH_COLUMNS)


_MONTH_COLUMNS: Final = (
    *("today_cost", "month_cost", "last_month_so_far", "last_month_cost", "change_share"),
    *("forecast", "forecast_low", "forecast_high"),
)


def _without(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in names}


_KEY: Final = {"key": "the key: one of KEYS, or any tag key"}
_WHEN: Final = frozenset({"since", "until"})

QUERIES: Final = (
    Query(
        "untagged",
        "How much of the known cost has an empty key; the share is NULL when there is no cost.",
        {**RANGE, **_KEY},
        _untagged,
        _WHEN | {"key"},
    ),
    Query(
        "missing_tags",
        "Well-known tags that are missing, and the cost without them.",
        RANGE,
        _missing_tags,
        _WHEN,
    ),
    Query(
        "movers",
        "What changed most against the range of the same length just before.",
        {**RANGE, **_KEY, "limit": "most rows, 20 when not given"},
        _movers,
        _WHEN | {"key"},
    ),
    Query(
        "month",
        "Today, this month and last month up to `until`, and a forecast of the month: what is spent so far "
        f"and, for what is left, the mean of the same day of the week over {HISTORY_DAYS} days, with the "
        "range that four of five months would fall in if days were independent. "
        f"NULL with less than {LEAST_DAYS} days.",
        {"until": RANGE["until"], "filters": RANGE["filters"]},
        _month,
        frozenset({"until"}),
    ),
)
