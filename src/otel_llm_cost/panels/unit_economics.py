"""What one customer, one session, one trace costs, how that is spread, and which stand out."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row
from otel_llm_cost.panels.parts import table

NONE: Final[dict[str, str]] = {
    "customer": "No call carries customer_id. Set it with otel_llm_cost.tags(customer_id=…).",
    "session": "No call carries session.id or gen_ai.conversation.id.",
    "trace": "No call is part of a trace.",
    "feature": "No call carries feature. Set it with otel_llm_cost.tags(feature=…).",
}
DRILL: Final = {"customer": "customer", "feature": "feature"}


def spread(per: str) -> tuple[Panel, ...]:
    """Mean, quantiles, histogram and outliers of the cost per thing."""
    numbers = Panel(
        title=f"Cost per {per}",
        question=f"What does a {per} cost: on average, usually, at the high end?",
        query="cost_per",
        picture="stat",
        columns=(
            Column("things", f"{per.capitalize()}s", "count"),
            Column("mean", "On average", "usd"),
            Column("p50", "Half cost less", "usd"),
            Column("p90", "90 % cost less", "usd"),
            Column("p99", "99 % cost less", "usd"),
            Column("highest", "Costliest", "usd"),
        ),
        params={"per": per},
        empty=NONE[per],
        width=24,
        height=4,
    )
    histogram = table(
        f"How many {per}s cost how much",
        f"Is the cost of {per}s even, or do a few stand out?",
        "cost_histogram",
        (
            Column("at_least", "Cost from", "usd"),
            Column("bucket_cost", "Cost together", "usd"),
            Column("things", f"{per.capitalize()}s", "count", bar=True),
        ),
        params={"per": per},
        empty=NONE[per],
        width=8,
    )
    outliers = table(
        f"Costliest {per}s",
        f"Which {per}s cost most?",
        "costliest",
        (
            Column("thing", per.capitalize(), drill=DRILL.get(per, ""), trace=per == "trace"),
            Column("teams", "Teams"),
            Column("features", "Features"),
            Column("n", "Calls", "count"),
            Column("cost", "Effective cost", "usd", bar=True),
        ),
        params={"per": per, "limit": 50},
        empty=NONE[per],
        width=16,
    )
    return (numbers, histogram, outliers)


UNIT_ECONOMICS: Final = Dashboard(
    name="unit-economics",
    title="Unit economics",
    question="What does one customer, session, trace or feature cost?",
    rows=tuple(Row(f"Per {per}", spread(per)) for per in NONE),
)
