"""Who spends: by every tag, provider and model, down to the calls themselves."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.filters import CHOSEN_TAG
from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row
from otel_llm_cost.panels.parts import (
    COST_STAT,
    EFFECTIVE,
    FEATURE,
    MODEL,
    NO_CALLS,
    TEAM,
    UNTAGGED_STAT,
    VOLUME,
    over_time,
    ranking,
    stat,
    table,
)

CUSTOMER: Final = Column("customer_id", "Customer", drill="customer")
NO_CUSTOMERS: Final = "No call carries customer_id. Set it with otel_llm_cost.tags(customer_id=…)."


def by_tag() -> tuple[Panel, Panel]:
    """The tag that the reader has chosen, over time and by value."""
    column = Column(CHOSEN_TAG, "Value of the tag", drill="tag_value")
    empty = "No call carries the tag. Choose one under Tag, or set it with otel_llm_cost.tags(key=…)."
    return (
        Panel(
            title="Effective cost by the chosen tag",
            question="Which value of the chosen tag spends how much?",
            query="spend_by",
            params={"by": ["hour", CHOSEN_TAG]},
            picture="series",
            columns=(Column("hour", "Time", "time"), column, EFFECTIVE),
            empty=empty,
            stacked=True,
            width=14,
            height=10,
        ),
        table(
            "Values of the chosen tag",
            "Which values of the chosen tag cost most?",
            "spend_by",
            (column, *VOLUME, EFFECTIVE),
            params={"by": [CHOSEN_TAG], "limit": 100},
            empty=empty,
            width=10,
        ),
    )


ATTRIBUTION: Final = Dashboard(
    name="attribution",
    title="Attribution",
    question="Who spends, and on what?",
    rows=(
        Row(
            "In this time range",
            (
                COST_STAT,
                UNTAGGED_STAT,
                stat(
                    "Share of the costliest 5 % of customers",
                    "Do few customers make most of the cost?",
                    "concentration",
                    "top_share",
                    "share",
                    params={"per": "customer"},
                    empty=NO_CUSTOMERS,
                ),
                stat(
                    "Customers",
                    "How many customers were served?",
                    "cost_per",
                    "things",
                    "count",
                    params={"per": "customer"},
                ),
            ),
        ),
        Row("By team", (over_time("team", "Team"), ranking("team", "Team", "team"))),
        Row("By feature", (over_time("feature", "Feature"), ranking("feature", "Feature", "feature"))),
        Row(
            "By customer",
            (
                table(
                    "Customers by effective cost",
                    "Which customers cost most, and how much do they make together?",
                    "largest",
                    (
                        CUSTOMER,
                        Column("calls", "Calls", "count"),
                        Column("cost_share", "Share", "share"),
                        Column("running_share", "Share so far", "share"),
                        EFFECTIVE,
                    ),
                    params={"by": ["customer_id"], "limit": 100},
                    empty=NO_CUSTOMERS,
                ),
                ranking("environment", "Environment", "environment", width=12),
            ),
        ),
        Row(
            "By provider and model",
            (
                over_time("provider", "Provider"),
                ranking("provider", "Provider", "provider"),
                over_time("model", "Model"),
                ranking("model", "Model", "model"),
            ),
        ),
        Row(
            "By service and any tag",
            (over_time("service", "Service"), ranking("service", "Service", "service"), *by_tag()),
        ),
        Row(
            "Calls",
            (
                table(
                    "Newest calls",
                    "Which calls are behind these numbers?",
                    "calls",
                    (
                        Column("started_at", "Started", "time"),
                        TEAM,
                        FEATURE,
                        CUSTOMER,
                        MODEL,
                        Column("kind", "Kind"),
                        Column("input_tokens", "Input", "tokens"),
                        Column("output_tokens", "Output", "tokens"),
                        Column("duration_s", "Took", "seconds"),
                        Column("cost_status", "Cost is"),
                        Column("trace_id", "Trace", trace=True),
                        Column("call_id", "Call"),
                        Column("effective_cost", "Effective cost", "usd"),
                    ),
                    params={"limit": 200},
                    empty=NO_CALLS,
                    width=24,
                    height=14,
                ),
            ),
        ),
    ),
)
