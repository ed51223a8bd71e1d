# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""What a call costs and takes, by model or any key, and what the provider's prompt cache does for it.

Rates, shares and savings are estimates for people and come as floating point; booked amounts do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, Bound, Query, Text, in_range
from otel_llm_cost.ledger.spend import spend_by

MOST_LINES: Final = 8
LEAST_CACHEABLE: Final = 1024
"""Tokens below which providers cache nothing (https://platform.openai.com/docs/guides/prompt-caching, read
2026-11-24); some models need more."""
STEP: Final = "toIntervalSecond({step:UInt32})"


def _efficiency(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    key = text.key(params["key"])
    limit = text.bind("UInt64", int(params.get("limit") or 100))
    sql = f"""SELECT
    key, t_calls AS calls,
    if(priced > 0, toFloat64(t_cost) / priced, NULL) AS cost_per_call,
    if(t_output > 0, toFloat64(t_cost) * 1000 / t_output, NULL) AS cost_per_1k_output,
    p50_s, p95_s, first_p50_s,
    if(t_calls + t_failed > 0, t_failed / (t_calls + t_failed), NULL) AS failed_share,
    if(t_calls > 0, retried / t_calls, NULL) AS retried_share,
    if(t_calls > 0, t_estimated / t_calls, NULL) AS estimated_share,
    t_cost AS effective_cost
FROM
(
    SELECT {key} AS key, sum(calls) AS t_calls, sum(calls) - sum(unpriced_calls) AS priced,
        sum(effective_cost) AS t_cost, sum(output_tokens) AS t_output, sum(failed_attempts) AS t_failed,
        sum(estimated_calls) AS t_estimated, countIf(kind = 'usage' AND attempt > 1) AS retried,
        quantileTDigestIf(0.5)(duration_s, kind = 'usage') AS p50_s,
        quantileTDigestIf(0.95)(duration_s, kind = 'usage') AS p95_s,
        quantileTDigestIf(0.5)(time_to_first_chunk_s, kind = 'usage') AS first_p50_s
    FROM {TABLE}
    WHERE {in_range(text, params)}
    GROUP BY key
    HAVING t_calls > 0 OR t_failed > 0
)
ORDER BY effective_cost DESC NULLS LAST, calls DESC, key
LIMIT {limit}"""
    return Bound(sql, text.params, _EFFICIENCY_COLUMNS)


_EFFICIENCY_COLUMNS: Final = (
    *("key", "calls", "cost_per_call", "cost_per_1k_output", "p50_s", "p95_s", "first_p50_s"),
    *("failed_share", "retried_share", "estimated_share", "effective_cost"),
)

MEASURES: Final[Mapping[str, str]] = {
    "duration": "quantileTDigest(0.95)(duration_s)",
    "first_chunk": "quantileTDigest(0.95)(time_to_first_chunk_s)",
    "failed": "sum(failed_attempts) / greatest(sum(calls) + sum(failed_attempts), 1)",
}


def _over_time(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    text.params["step"] = int(params["step"])
    key = text.key(params["key"])
    where = in_range(text, params)
    sql = f"""SELECT toStartOfInterval(started_at, {STEP}, 'UTC') AS time, {key} AS key,
    {MEASURES[params["measure"]]} AS value
FROM {TABLE}
WHERE {where}
    AND kind IN ('usage', 'failed_attempt')
    AND {key} IN
    (
        SELECT {key} FROM {TABLE} WHERE {where}
        GROUP BY {key} ORDER BY sum(calls) DESC, {key} LIMIT {MOST_LINES}
    )
GROUP BY time, key
HAVING value IS NOT NULL
ORDER BY time, key"""
    return Bound(sql, text.params, ("time", "key", "value"))


def _cache_by(params: Mapping[str, Any]) -> Bound:
    """Savings are worked out per model and added up: each model has its own rate."""
    keys = list(params.get("by") or [])
    inner = spend_by(
        {**_without(params, "limit", "by"), "by": [*keys, *(key for key in _MODEL if key not in keys)]}
    )
    names = [f"k{number}" for number in range(len(keys))]
    grouped = f"\nGROUP BY {', '.join(names)}" if names else ""
    selected = "".join(f"{name}, " for name in names)
    sql = f"""SELECT {selected}sum(m_calls) AS calls, sum(m_input) AS input_tokens,
    if(input_tokens > 0, sum(m_read) / input_tokens, NULL) AS hit_rate,
    sum(m_read_saving) AS read_saving, sum(m_write_premium) AS write_premium,
    sum(m_read_saving - m_write_premium) AS net_saving, sum(m_input_cost) AS input_cost
FROM
(
    SELECT {selected}calls AS m_calls, input_tokens AS m_input, cache_read_tokens AS m_read,
        input_cost AS m_input_cost,
        toFloat64(input_cost) / nullIf(input_tokens - cache_read_tokens - cache_write_tokens, 0) AS rate,
        unpriced_calls = 0 AND partial_calls = 0 AS whole,
        multiIf(NOT whole, NULL, cache_read_tokens = 0, 0,
            cache_read_tokens * rate - toFloat64(cache_read_cost)) AS m_read_saving,
        multiIf(NOT whole, NULL, cache_write_tokens = 0, 0,
            toFloat64(cache_write_cost) - cache_write_tokens * rate) AS m_write_premium
    FROM
    (
{inner.sql}
    )
    WHERE input_tokens > 0
){grouped}
ORDER BY net_saving DESC NULLS LAST, input_tokens DESC"""
    bound = dict(inner.params)
    if params.get("limit") is not None:
        bound["most"] = int(params["limit"])
        sql += "\nLIMIT {most:UInt64}"
    return Bound(sql, bound, (*keys, *_CACHE_COLUMNS))


_MODEL: Final = ("provider", "model")
_CACHE_COLUMNS: Final = (
    *("calls", "input_tokens", "hit_rate", "read_saving", "write_premium", "net_saving", "input_cost"),
)


def _hit_rate(params: Mapping[str, Any]) -> Bound:
    inner = spend_by({**_without(params, "step"), "by": ["hour"]})
    sql = (
        "SELECT toStartOfInterval(k0, toIntervalSecond(greatest({step:UInt32}, 3600)), 'UTC') AS time, "
        "sum(cache_read_tokens) / sum(input_tokens) AS hit_rate\n"
        f"FROM\n(\n{inner.sql}\n)\nGROUP BY time\nHAVING sum(input_tokens) > 0\nORDER BY time"
    )
    return Bound(sql, {**inner.params, "step": int(params["step"])}, ("time", "hit_rate"))


def _cache_candidates(params: Mapping[str, Any]) -> Bound:
    inner = spend_by({**params, "by": ["team", "feature", "model"]})
    sql = (
        "SELECT k0 AS team, k1 AS feature, k2 AS model, calls, input_tokens / calls AS input_per_call, "
        "cache_read_tokens / input_tokens AS hit_rate, input_cost\n"
        f"FROM\n(\n{inner.sql}\n)\n"
        f"WHERE calls > 1 AND input_tokens >= calls * {LEAST_CACHEABLE}\n"
        "    AND cache_read_tokens * 5 < input_tokens\n"
        "ORDER BY input_cost DESC NULLS LAST, calls DESC\nLIMIT 50"
    )
    columns = ("team", "feature", "model", "calls", "input_per_call", "hit_rate", "input_cost")
    return Bound(sql, inner.params, columns)


def _without(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in names}


_KEY: Final = {"key": "the key: one of KEYS, or any tag key"}
_STEP: Final = {"step": "seconds from one point to the next"}
_WHEN: Final = frozenset({"since", "until"})

QUERIES: Final = (
    Query(
        "efficiency",
        "Cost per call and per 1,000 output tokens, how long calls take, how often they fail or are retried.",
        {**RANGE, **_KEY, "limit": "most rows, 100 when not given"},
        _efficiency,
        _WHEN | {"key"},
    ),
    Query(
        "over_time",
        f"A measure over time for the {MOST_LINES} values of a key with most calls.",
        {**RANGE, **_KEY, **_STEP, "measure": f"one of {', '.join(MEASURES)}"},
        _over_time,
        _WHEN | {"key", "step", "measure"},
    ),
    Query(
        "cache_by",
        "What the prompt cache saves against the model's mean uncached rate, less what writing to it costs.",
        {**RANGE, "by": "list of keys", "limit": "most rows"},
        _cache_by,
        _WHEN,
    ),
    Query(
        "hit_rate",
        "Share of input tokens that a cache served, over time.",
        {**RANGE, **_STEP},
        _hit_rate,
        _WHEN | {"step"},
    ),
    Query("cache_candidates", "Long prompts that hardly any cache serves.", RANGE, _cache_candidates, _WHEN),
)
