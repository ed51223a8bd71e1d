"""What budgets ask of the ledger: spend by everything that a budget may match, in sums or call by call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, BadQuery, Bound, Query, Text, in_range

FACTS: Final = {
    "provider": "provider",
    "model": "request_model",  # budgets decide before the call, when only the asked model is known
    "service": "service",
    "operation": "operation",
    "environment": "environment",
    "trace": "trace_id",
    "session": "session_id",
    "conversation": "conversation_id",
}
"""What a budget may match or count by, besides tags, and the column of each."""

AMOUNTS: Final = ("effective_cost", "tokens", "calls")
MOST_KEYS: Final = 20


def _spend(params: Mapping[str, Any], each: tuple[str, ...] = (), order: str = "", limit: str = "") -> Bound:
    text = Text(params)
    keys = list(params.get("by") or ())
    if len(keys) > MOST_KEYS or len(set(keys)) != len(keys):
        raise BadQuery(f"by must name at most {MOST_KEYS} keys, each once")
    named = [f"{FACTS.get(key) or text.key(key)} AS k{number}" for number, key in enumerate(keys)]
    groups = [*each, *(f"k{number}" for number in range(len(keys)))]
    sql = (
        f"SELECT {', '.join([*each, *named, ''])}sum(effective_cost) AS cost, "
        "sum(input_tokens + output_tokens) AS all_tokens, sum(calls) AS all_calls\n"
        f"FROM {TABLE}\nWHERE {in_range(text, params)}"
        f"{f'''{chr(10)}GROUP BY {', '.join(groups)}''' if groups else ''}\n"
        f"HAVING all_calls > 0 OR cost != 0{order}"
    )
    if limit:
        sql += f"\nLIMIT {text.bind('UInt64', int(params.get('limit') or limit))}"
        sql += f" OFFSET {text.bind('UInt64', int(params.get('offset') or 0))}"
    return Bound(sql, text.params, (*each, *keys, *AMOUNTS))


def _calls(params: Mapping[str, Any]) -> Bound:
    return _spend(params, ("started_at", "call_id"), "\nORDER BY started_at, call_id", "10000")


_BY = {"by": f"list of keys: {', '.join(FACTS)}, or any tag key"}

QUERIES: Final = (
    Query(
        "budget_spend",
        "Cost, tokens and calls by what budgets match.",
        {**RANGE, **_BY},
        _spend,
        frozenset({"since", "until"}),
    ),
    Query(
        "budget_calls",
        "The same call by call, the oldest first: what a budget would have said to each.",
        {**RANGE, **_BY, "limit": "most calls, 10,000 when not given", "offset": "calls to skip"},
        _calls,
        frozenset({"since", "until"}),
    ),
)
