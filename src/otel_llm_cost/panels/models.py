"""Models and efficiency: what a call costs and takes, and how often it goes wrong."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row
from otel_llm_cost.panels.parts import CALLS, EFFECTIVE, NAMED, NO_CALLS, measure, over_time, table


def efficiency(key: str, title: str) -> Panel:
    """Cost and time per call, by a key."""
    return table(
        f"{title}s by efficiency",
        f"What does a call of each {title.lower()} cost and take, and how often does it fail?",
        "efficiency",
        (
            Column("key", title, drill=key),
            CALLS,
            Column("cost_per_call", "Cost per call", "usd"),
            Column("cost_per_1k_output", "Per 1,000 output tokens", "usd"),
            Column("p50_s", "Half take less than", "seconds"),
            Column("p95_s", "95 % take less than", "seconds"),
            Column("first_p50_s", "Half begin within", "seconds"),
            Column("failed_share", "Failed", "share"),
            Column("retried_share", "Retried", "share"),
            Column("estimated_share", "Estimated", "share"),
            EFFECTIVE,
        ),
        params={"key": key, "limit": 100},
        empty=NO_CALLS,
        width=24,
    )


MODELS: Final = Dashboard(
    name="models",
    title="Models and efficiency",
    question="What does a call cost and take, by model and feature?",
    since="now-7d",
    rows=(
        Row("Side by side", (efficiency("model", "Model"), efficiency("feature", "Feature"))),
        Row(
            "Over time",
            (
                over_time("model", "Model", width=24),
                measure("95 % of calls take less than", "Which model became slower?", "duration", "seconds"),
                measure(
                    "95 % of streams begin within",
                    "Which model keeps readers waiting?",
                    "first_chunk",
                    "seconds",
                ),
                measure(
                    "Share of attempts that failed",
                    "Which provider fails?",
                    "failed",
                    "share",
                    "provider",
                    24,
                ),
            ),
        ),
        Row(
            "Retries and failures",
            (
                table(
                    "Failed, retried and broken off",
                    "Where do attempts fail, and what was paid for answers that broke off?",
                    "retry_waste",
                    (
                        *NAMED,
                        Column("failed", "Failed attempts", "count"),
                        Column("retried", "Served after a retry", "count"),
                        Column("broken", "Broken off", "count"),
                        Column("broken_cost", "Cost of those", "usd", bar=True),
                    ),
                    empty="No attempt failed, no answer broke off.",
                    width=24,
                ),
            ),
        ),
    ),
)
