# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""What one customer, session or trace costs, and where money could be saved.

Means, shares and possible savings are for people and come as floating point; booked amounts do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import RANGE, BadQuery, Bound, Query, Text, in_range
from otel_llm_cost.ledger.spend import spend_by

THINGS: Final[Mapping[str, str]] = {
    "customer": "customer_id",
    "session": "if(session_id != '', session_id, conversation_id)",
    "trace": "trace_id",
    "feature": "feature",
    "team": "team",
}
"""What a cost can be per; calls that belong to none are left out."""

TOP_SHARE: Final = 0.05


def _thing(params: Mapping[str, Any]) -> str:
    if params["per"] not in THINGS:
        raise BadQuery(f"per must be one of {', '.join(THINGS)}")
    return THINGS[params["per"]]


def _things(params: Mapping[str, Any], text: Text) -> str:
    """Each thing with its known cost."""
    return (
        f"    SELECT {_thing(params)} AS thing, sum(effective_cost) AS cost, sum(calls) AS n\n"
        f"    FROM {TABLE}\n    WHERE {in_range(text, params)}\n    AND thing != ''\n"
        "    GROUP BY thing\n    HAVING cost IS NOT NULL AND n > 0"
    )


def _distribution(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        "SELECT count() AS things, if(things > 0, toFloat64(sum(cost)) / things, NULL) AS mean, "
        "quantileExactOrNull(0.5)(toFloat64(cost)) AS p50, quantileExactOrNull(0.9)(toFloat64(cost)) AS p90, "
        "quantileExactOrNull(0.99)(toFloat64(cost)) AS p99, maxOrNull(cost) AS highest\n"
        f"FROM\n(\n{_things(params, text)}\n)"
    )
    return Bound(sql, text.params, ("things", "mean", "p50", "p90", "p99", "highest"))


def _histogram(params: Mapping[str, Any]) -> Bound:
    """Buckets from 1 and from 3 in each power of ten, which is about even steps of a logarithm."""
    text = Text(params)
    sql = (
        "SELECT at_least, count() AS things, sum(cost) AS bucket_cost\nFROM\n(\n"
        "SELECT cost, floor(log10(toFloat64(cost))) AS power, "
        "if(toFloat64(cost) >= 3 * exp10(power), 3, 1) * exp10(power) AS at_least\n"
        f"FROM\n(\n{_things(params, text)}\n)\nWHERE cost > 0\n)\nGROUP BY at_least\nORDER BY at_least"
    )
    return Bound(sql, text.params, ("at_least", "things", "bucket_cost"))


def _costliest(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    where = in_range(text, params)
    limit = text.bind("UInt64", int(params.get("limit") or 20))
    sql = (
        f"SELECT {_thing(params)} AS thing, {_some('team')} AS teams, {_some('feature')} AS features, "
        f"sum(calls) AS n, sum(effective_cost) AS cost\nFROM {TABLE}\nWHERE {where}\n    AND thing != ''\n"
        f"GROUP BY thing\nHAVING cost IS NOT NULL AND n > 0\nORDER BY cost DESC, thing\nLIMIT {limit}"
    )
    return Bound(sql, text.params, ("thing", "teams", "features", "n", "cost"))


def _some(name: str) -> str:
    """Up to three values of a column, as one text."""
    return f"arrayStringConcat(arraySort(groupUniqArrayIf(3)({name}, {name} != '')), ', ')"


def _concentration(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        "SELECT length(costs) AS things, ceil(things * " + str(TOP_SHARE) + ") AS top_things, "
        "arraySum(arraySlice(costs, 1, toInt64(top_things))) AS top_cost, "
        "if(all_cost > 0, toFloat64(top_cost) / toFloat64(all_cost), NULL) AS top_share\nFROM\n(\n"
        "SELECT arrayReverseSort(groupArray(assumeNotNull(cost))) AS costs, sum(cost) AS all_cost\n"
        f"FROM\n(\n{_things(params, text)}\n)\n)"
    )
    return Bound(sql, text.params, ("things", "top_things", "top_cost", "top_share"))


def _largest(params: Mapping[str, Any]) -> Bound:
    keys = list(params["by"])
    inner = spend_by({name: value for name, value in params.items() if name != "limit"})
    names = ", ".join(f"k{number}" for number in range(len(keys)))
    order = f"effective_cost DESC NULLS LAST, {names}"
    limit = f"{{p{len(inner.params)}:UInt64}}"
    sql = (
        f"SELECT {names}, calls, effective_cost,\n"
        "    if(total > 0, toFloat64(effective_cost) / toFloat64(total), NULL) AS cost_share,\n"
        "    if(total > 0, toFloat64(so_far) / toFloat64(total), NULL) AS running_share\nFROM\n(\n"
        f"    SELECT *, sum(effective_cost) OVER () AS total,\n"
        f"        sum(effective_cost) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS so_far\n"
        f"    FROM\n(\n{inner.sql}\n)\n)\nWHERE effective_cost > 0\nORDER BY {order}\nLIMIT {limit}"
    )
    bound = {**inner.params, f"p{len(inner.params)}": int(params.get("limit") or 20)}
    return Bound(sql, bound, (*keys, "calls", "effective_cost", "cost_share", "running_share"))


def _context_length(params: Mapping[str, Any]) -> Bound:
    text = Text(params)
    sql = (
        "SELECT team, feature, n AS calls, input / n AS mean_input, p50 AS p50_input, p95 AS p95_input, "
        "if(input > 0, output / input, NULL) AS output_per_input, prompt_cost\nFROM\n(\n"
        "    SELECT team, feature, sum(calls) AS n,\n"
        "        sum(input_tokens) AS input, sum(output_tokens) AS output,\n"
        "        quantileTDigestIf(0.5)(input_tokens, kind = 'usage') AS p50,\n"
        "        quantileTDigestIf(0.95)(input_tokens, kind = 'usage') AS p95,\n"
        "        sum(input_cost + cache_read_cost + cache_write_cost) AS prompt_cost\n"
        f"    FROM {TABLE}\n    WHERE {in_range(text, params)}\n"
        "    GROUP BY team, feature\n    HAVING n > 0\n)\n"
        "ORDER BY prompt_cost DESC NULLS LAST, team, feature\nLIMIT 50"
    )
    columns = (
        "team",
        "feature",
        "calls",
        "mean_input",
        "p50_input",
        "p95_input",
        "output_per_input",
        "prompt_cost",
    )
    return Bound(sql, text.params, columns)


def _repeated_prompts(params: Mapping[str, Any]) -> Bound:
    """The first of equal requests had to be made; a cache of answers could save what the others cost."""
    text = Text(params)
    sql = (
        "SELECT team, feature, model, count() AS prompts, sum(n - 1) AS repeats, "
        "sum(toFloat64(cost) * (n - 1) / n) AS repeat_cost\nFROM\n(\n"
        "    SELECT team, feature, model, prompt_hash, sum(calls) AS n, sum(effective_cost) AS cost\n"
        f"    FROM {TABLE}\n    WHERE {in_range(text, params)}\n    AND prompt_hash != ''\n"
        "    GROUP BY team, feature, model, prompt_hash\n    HAVING n > 1\n)\n"
        "GROUP BY team, feature, model\nORDER BY repeat_cost DESC NULLS LAST, team, feature, model\nLIMIT 50"
    )
    return Bound(sql, text.params, ("team", "feature", "model", "prompts", "repeats", "repeat_cost"))


def _retry_waste(params: Mapping[str, Any]) -> Bound:
    """Broken calls were served in part and are paid; failed attempts cost nothing but time."""
    text = Text(params)
    sql = (
        "SELECT team, feature, model, sum(failed_attempts) AS failed, "
        "countIf(kind = 'usage' AND attempt > 1) AS retried, "
        "countIf(kind = 'usage' AND error_type != '') AS broken, "
        "sumIf(effective_cost, error_type != '') AS broken_cost\n"
        f"FROM {TABLE}\nWHERE {in_range(text, params)}\nGROUP BY team, feature, model\n"
        "HAVING failed > 0 OR retried > 0 OR broken > 0\n"
        "ORDER BY broken_cost DESC NULLS LAST, failed DESC, team, feature, model\nLIMIT 50"
    )
    return Bound(sql, text.params, ("team", "feature", "model", "failed", "retried", "broken", "broken_cost"))


def _batch_eligible(params: Mapping[str, Any]) -> Bound:
    """An upper bound, since whether an answer can wait is not in the data: calls that are not streamed and
    belong to no conversation."""
    text = Text(params)
    sql = (
        "SELECT team, feature, sumIf(calls, waits) AS eligible_calls, "
        "sumIf(effective_cost, waits) AS eligible_cost, "
        "if(sum(effective_cost) > 0, toFloat64(eligible_cost) / toFloat64(sum(effective_cost)), NULL) "
        "AS eligible_share, toFloat64(eligible_cost) / 2 AS possible_saving\nFROM\n(\n"
        "    SELECT team, feature, calls, effective_cost,\n"
        "        NOT is_stream AND service_tier NOT IN ('batch', 'flex') AND conversation_id = ''\n"
        "            AND session_id = '' AS waits\n"
        f"    FROM {TABLE}\n    WHERE {in_range(text, params)}\n)\n"
        "GROUP BY team, feature\nHAVING eligible_calls > 0 AND eligible_cost IS NOT NULL\n"
        "ORDER BY eligible_cost DESC, team, feature\nLIMIT 50"
    )
    columns = ("team", "feature", "eligible_calls", "eligible_cost", "eligible_share", "possible_saving")
    return Bound(sql, text.params, columns)


_WHEN: Final = frozenset({"since", "until"})
_PER: Final = {**RANGE, "per": f"one of {', '.join(THINGS)}"}
_LIMIT: Final = {"limit": "most rows, 20 when not given"}
_BY: Final = {"by": "list of keys: those of KEYS, or any tag key"}

QUERIES: Final = tuple(
    Query(name, doc, params, build, _WHEN | needed)
    for name, doc, params, build, needed in (
        (
            "cost_per",
            "How cost is spread over things: mean, quantiles, highest.",
            _PER,
            _distribution,
            {"per"},
        ),
        ("cost_histogram", "How many things cost how much.", _PER, _histogram, {"per"}),
        ("costliest", "The things that cost most.", {**_PER, **_LIMIT}, _costliest, {"per"}),
        ("concentration", "The share of cost that the costliest 5 % make.", _PER, _concentration, {"per"}),
        (
            "largest",
            "Spend with its share and the running one.",
            {**RANGE, **_BY, **_LIMIT},
            _largest,
            {"by"},
        ),
        ("context_length", "How long prompts are, and what they cost.", RANGE, _context_length, set[str]()),
        ("repeated_prompts", "Requests made again word for word.", RANGE, _repeated_prompts, set[str]()),
        ("retry_waste", "Attempts that failed, paid calls that broke off.", RANGE, _retry_waste, set[str]()),
        (
            "batch_eligible",
            "Calls that might run as a batch at half price.",
            RANGE,
            _batch_eligible,
            set[str](),
        ),
    )
)
