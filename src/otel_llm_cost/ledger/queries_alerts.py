# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""What alert rules ask: the last minutes or hours against what is usual. No row means nothing to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, SINCE, UNTIL, Bound, Query, Text, in_range

HOURS_OF_A_WEEK: Final = 168
WEEKS: Final = 4
"""Weeks that say what is usual at an hour of the week."""
LEAST_WEEKS: Final = 2
FENCE: Final = 3
"""Spreads of the last week's surprises by which one must lie outside them (Tukey's far fence)."""
LEAST_CALLS: Final = 100
"""Calls below which a change of hit rate is chance."""


def _failing(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    where = in_range(text, params)
    least = text.bind("UInt32", int(params.get("least") or 20))
    sql = (
        "SELECT provider, model, sum(failed_attempts) AS failed, "
        "failed / (failed + sum(calls)) AS failed_share\n"
        f"FROM {TABLE}\nWHERE {where}\nGROUP BY provider, model\nHAVING failed >= {least}\n"
        "ORDER BY failed_share DESC, provider, model"
    )
    return Bound(sql, text.params, ("provider", "model", "failed", "failed_share"))


def _hit_rate_drop(params: Mapping[str, Any]) -> Bound:
    """The range against the week before it, both by whole hours."""
    text = Text(params)
    sql = f"""SELECT provider, model, rate_now, rate_before, 1 - rate_now / rate_before AS drop_share
FROM
(
    SELECT provider, model,
        sumIf(cache_read_tokens, is_now) / nullIf(sumIf(input_tokens, is_now), 0) AS rate_now,
        sumIf(cache_read_tokens, NOT is_now) / nullIf(sumIf(input_tokens, NOT is_now), 0) AS rate_before,
        sumIf(calls, is_now) AS calls_now, sumIf(calls, NOT is_now) AS calls_before
    FROM
    (
        SELECT provider, model, hour >= toStartOfHour({SINCE}) AS is_now,
            input_tokens, cache_read_tokens, calls
        FROM {TABLE}
        WHERE hour >= toStartOfHour({SINCE}) - toIntervalDay(7)
            AND hour < toStartOfHour({UNTIL}){text.where(params)}
    )
    GROUP BY provider, model
)
WHERE rate_before > 0 AND rate_now IS NOT NULL
    AND calls_now >= {LEAST_CALLS} AND calls_before >= {LEAST_CALLS}
ORDER BY drop_share DESC, provider, model"""
    return Bound(sql, text.params, ("provider", "model", "rate_now", "rate_before", "drop_share"))


def _lateness(params: Mapping[str, Any]) -> Bound:
    """Of rows that were booked in the range, whenever their calls started within the day before."""
    text = Text(params)
    sql = (
        "SELECT quantileTDigest(0.95)(greatest(dateDiff('millisecond', started_at, booked_at) / 1000\n"
        "    - coalesce(duration_s, 0), 0)) AS p95_s\n"
        f"FROM {TABLE}\nWHERE hour >= toStartOfHour({SINCE}) - toIntervalDay(1)\n"
        f"    AND booked_at >= {SINCE} AND booked_at < {UNTIL} AND kind = 'usage'{text.where(params)}\n"
        "HAVING count() > 0"
    )
    return Bound(sql, text.params, ("p95_s",))


def _silence(params: Mapping[str, Any]) -> Bound:
    """Services without a call in the range, with the calls that this range of the day usually has."""
    text = Text(params)
    seconds = f"dateDiff('second', {SINCE}, {UNTIL})"
    ago = f"dateDiff('second', started_at, {UNTIL})"
    sql = f"""SELECT service, usual_calls
FROM
(
    SELECT service, sumIf(calls, {ago} <= {seconds}) AS calls_now,
        sumIf(calls, {ago} > 86400 AND {ago} % 86400 <= {seconds}) / 7 AS usual_calls
    FROM {TABLE}
    WHERE hour >= toStartOfHour({SINCE}) - toIntervalDay(7) AND started_at < {UNTIL}{text.where(params)}
    GROUP BY service
)
WHERE calls_now = 0 AND usual_calls >= 1
ORDER BY usual_calls DESC, service"""
    return Bound(sql, text.params, ("service", "usual_calls"))


def _surge(params: Mapping[str, Any]) -> Bound:
    """The last whole hour, per team, against the same hour of the week.

    A surprise is an hour's cost less the median of the same hour of earlier weeks. The last week's surprises
    say how large they usually are; Tukey's fences on that series say whether the last one is beyond it
    (https://clickhouse.com/docs/sql-reference/functions/time-series-functions, read 2026-11-24).
    """
    text = Text(params)
    hours = HOURS_OF_A_WEEK * (WEEKS + 1)
    end = f"toStartOfHour({UNTIL})"
    weeks, week = f"range(1, {WEEKS + 1})", f"range({HOURS_OF_A_WEEK})"
    sql = f"""WITH
    arrayMap(h -> arrayMap(w -> h + w * {HOURS_OF_A_WEEK}, {weeks}), {week}) AS same_hours,
    arrayMap(agos -> arrayFilter(ago -> ago < known_hours, agos), same_hours) AS earlier,
    arrayMap(h -> costs[{hours} - h]
        - arrayReduce('medianExact', arrayMap(ago -> costs[{hours} - ago], earlier[h + 1])), {week})
        AS surprises,
    seriesOutliersDetectTukey(arrayReverse(surprises), 0.1, 0.9, {FENCE}.0) AS scores
SELECT team, costs[{hours}] AS hour_cost, costs[{hours}] - surprises[1] AS usual_cost, surprises[1] AS surplus
FROM
(
    SELECT team, max(ago) + 1 AS known_hours, sumMap(map(toUInt32(ago), toFloat64(cost))) AS by_ago,
        arrayMap(n -> by_ago[toUInt32({hours} - n)], range(1, {hours} + 1)) AS costs
    FROM
    (
        SELECT team, dateDiff('hour', hour, {end}) - 1 AS ago, coalesce(sum(effective_cost), 0) AS cost
        FROM {TABLE}
        WHERE hour >= {end} - toIntervalHour({hours}) AND hour < {end}{text.where(params)}
        GROUP BY team, ago
    )
    GROUP BY team
)
WHERE known_hours > {HOURS_OF_A_WEEK * LEAST_WEEKS} AND scores[{HOURS_OF_A_WEEK}] > 0 AND surplus > 0
ORDER BY surplus DESC, team"""
    return Bound(sql, text.params, ("team", "hour_cost", "usual_cost", "surplus"))


_WHEN: Final = frozenset({"since", "until"})
_LEAST: Final = {"least": "failed attempts from which a model is named, 20 when not given"}

QUERIES: Final = tuple(
    Query(name, doc, params, build, _WHEN)
    for name, doc, params, build in (
        ("failing", "Models whose attempts fail.", {**RANGE, **_LEAST}, _failing),
        ("hit_rate_drop", "Models whose cache serves less than in the week before.", RANGE, _hit_rate_drop),
        ("lateness", "Seconds from a call's end to its row, of rows booked in the range.", RANGE, _lateness),
        ("silence", "Services without a call that have some at this time of other days.", RANGE, _silence),
        ("surge", "Teams whose last whole hour cost far more than that hour of the week.", RANGE, _surge),
    )
)
