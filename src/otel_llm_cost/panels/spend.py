"""The first dashboard: what is spent, by team, feature and model."""

from __future__ import annotations

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row, Threshold

EFFECTIVE = Column("effective_cost", "Effective cost", "usd", bar=True)
VOLUME = (
    Column("calls", "Calls", "count"),
    Column("input_tokens", "Input tokens", "tokens"),
    Column("output_tokens", "Output tokens", "tokens"),
)
UNPRICED = Column("unpriced_calls", "Without a price", "count")

NO_CALLS = (
    "No calls here. Start your app with opentelemetry-instrument, point OTEL_EXPORTER_OTLP_ENDPOINT at the "
    "collector, and run otel-llm-cost doctor; or choose a longer time range."
)


def over_time(key: str, title: str, drill: str = "") -> Panel:
    """Effective cost over time, stacked by a key."""
    return Panel(
        title=f"Effective cost by {title.lower()}",
        question=f"Which {title.lower()} spends how much, and when did that change?",
        query="spend_by",
        params={"by": ["hour", key]},
        picture="series",
        columns=(Column("hour", "Time", "time"), Column(key, title, drill=drill), EFFECTIVE),
        empty=NO_CALLS,
        stacked=True,
        width=14,
        height=10,
    )


def ranking(key: str, title: str, drill: str, width: int = 10, limit: int = 100) -> Panel:
    """The values of a key by what they cost."""
    return Panel(
        title=f"{title}s by effective cost",
        question=f"Which {title.lower()}s cost most?",
        query="spend_by",
        params={"by": [key], "limit": limit},
        picture="table",
        columns=(Column(key, title, drill=drill), *VOLUME, UNPRICED, EFFECTIVE),
        empty=NO_CALLS,
        width=width,
        height=10,
    )


SPEND = Dashboard(
    name="spend",
    title="Spend",
    question="What is spent, by team, feature and model?",
    rows=(
        Row(
            "In this time range",
            (
                Panel(
                    title="Effective cost",
                    question="What did all calls cost, as far as their price is known?",
                    query="spend_by",
                    picture="stat",
                    columns=(Column("effective_cost", "Effective cost", "usd"),),
                    empty=NO_CALLS,
                    width=6,
                    height=4,
                ),
                Panel(
                    title="Calls",
                    question="How many calls were served?",
                    query="spend_by",
                    picture="stat",
                    columns=(Column("calls", "Calls", "count"),),
                    width=6,
                    height=4,
                ),
                Panel(
                    title="Calls without a price",
                    question="How many calls are missing from the cost because no price is known?",
                    query="spend_by",
                    picture="stat",
                    columns=(UNPRICED,),
                    thresholds=(Threshold(0, "good"), Threshold(1, "warning")),
                    width=6,
                    height=4,
                ),
                Panel(
                    title="Cost without a team",
                    question="Which share of the cost can no team be charged with?",
                    query="untagged",
                    params={"key": "team"},
                    picture="stat",
                    columns=(Column("untagged_share", "Cost without a team", "share"),),
                    thresholds=(Threshold(0, "good"), Threshold(0.05, "notice"), Threshold(0.2, "warning")),
                    empty="No cost in this time range.",
                    width=6,
                    height=4,
                ),
            ),
        ),
        Row("By team", (over_time("team", "Team", "team"), ranking("team", "Team", "team"))),
        Row(
            "By feature",
            (over_time("feature", "Feature", "feature"), ranking("feature", "Feature", "feature")),
        ),
        Row("By model", (over_time("model", "Model", "model"), ranking("model", "Model", "model"))),
        Row(
            "Team and feature",
            (
                Panel(
                    title="Teams and features by effective cost",
                    question="Which feature of which team costs most?",
                    query="spend_by",
                    params={"by": ["team", "feature"], "limit": 500},
                    picture="table",
                    columns=(
                        Column("team", "Team", drill="team"),
                        Column("feature", "Feature", drill="feature"),
                        *VOLUME,
                        Column("failed_attempts", "Failed attempts", "count"),
                        Column("estimated_calls", "Estimated", "count"),
                        UNPRICED,
                        EFFECTIVE,
                    ),
                    empty=NO_CALLS,
                    width=24,
                    height=12,
                ),
            ),
        ),
    ),
)
