# ruff: noqa: S608 - the text is put together from our own names; whatever a user gives is bound
"""Spend by any keys: the query behind every report, and the ground that others are built on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otel_llm_cost.ledger.ddl import TABLE
from otel_llm_cost.ledger.query import COSTS, EDGES, MOST_KEYS, SUMS, TIME_KEYS, WHOLE, BadQuery, Bound, Text


def spend_by(params: Mapping[str, Any]) -> Bound:
    """Sums and costs by the keys of `by`, in the range and under the filters. Keys are named k0, k1 … inside.

    A cost is NULL when no call of the line has one. Raises BadQuery.
    """
    keys = params.get("by") or []
    if isinstance(keys, str) or not isinstance(keys, Sequence) or not all(isinstance(k, str) for k in keys):
        raise BadQuery("by must be a list of keys")
    if len(keys) > MOST_KEYS or len(set(keys)) != len(keys):
        raise BadQuery(f"by must name at most {MOST_KEYS} keys, each once")
    text = Text(params)
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
        f"SELECT {', '.join([*names, *outer])}\nFROM\n(\n{half(WHOLE)}\n    UNION ALL\n{half(EDGES)}\n)"
        f"{f'''{chr(10)}GROUP BY {', '.join(names)}''' if names else ''}"
        f"\nORDER BY {', '.join(order)}"
    )
    if params.get("limit") is not None:
        sql += f"\nLIMIT {text.limit(params['limit'])}"
    return Bound(sql, text.params, (*keys, *SUMS, *COSTS))
