"""Panels and columns that several dashboards have."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import NOTHING_HERE, Column, Panel, Threshold

NO_CALLS: Final = (
    "No calls here. Start your app with opentelemetry-instrument, point OTEL_EXPORTER_OTLP_ENDPOINT at the "
    "collector, and run otel-llm-cost doctor; or choose a longer time range."
)

EFFECTIVE: Final = Column("effective_cost", "Effective cost", "usd", bar=True)
CALLS: Final = Column("calls", "Calls", "count")
VOLUME: Final = (
    CALLS,
    Column("input_tokens", "Input tokens", "tokens"),
    Column("output_tokens", "Output tokens", "tokens"),
)
UNPRICED: Final = Column("unpriced_calls", "Without a price", "count")
TEAM: Final = Column("team", "Team", drill="team")
FEATURE: Final = Column("feature", "Feature", drill="feature")
MODEL: Final = Column("model", "Model", drill="model")
PROVIDER: Final = Column("provider", "Provider", drill="provider")
NAMED: Final = (TEAM, FEATURE, MODEL)


def stat(
    title: str,
    question: str,
    query: str,
    column: str,
    unit: str,
    *,
    params: dict[str, object] | None = None,
    thresholds: tuple[Threshold, ...] = (),
    empty: str = NOTHING_HERE,
    width: int = 6,
) -> Panel:
    """One number."""
    return Panel(
        title=title,
        question=question,
        query=query,
        picture="stat",
        columns=(Column(column, title, unit),),
        params=params or {},
        thresholds=thresholds,
        empty=empty,
        width=width,
        height=4,
    )


def over_time(key: str, title: str, drill: str = "", width: int = 14) -> Panel:
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
        width=width,
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


def measure(
    title: str, question: str, measure_: str, unit: str, key: str = "model", width: int = 12
) -> Panel:
    """A measure over time, one line per value of a key."""
    return Panel(
        title=title,
        question=question,
        query="over_time",
        params={"key": key, "measure": measure_},
        picture="series",
        columns=(
            Column("time", "Time", "time"),
            Column("key", key.capitalize()),
            Column("value", title, unit),
        ),
        empty=NO_CALLS,
        width=width,
    )


def table(
    title: str,
    question: str,
    query: str,
    columns: tuple[Column, ...],
    *,
    params: dict[str, object] | None = None,
    empty: str = NOTHING_HERE,
    width: int = 12,
    height: int = 10,
) -> Panel:
    """Rows as they are."""
    return Panel(title, question, query, "table", columns, params or {}, empty, (), width, height)


UNPRICED_STAT: Final = stat(
    "Calls without a price",
    "How many calls are missing from the cost because no price is known?",
    "spend_by",
    "unpriced_calls",
    "count",
    thresholds=(Threshold(0, "good"), Threshold(1, "warning")),
)
UNTAGGED_STAT: Final = stat(
    "Cost without a team",
    "Which share of the cost can no team be charged with?",
    "untagged",
    "untagged_share",
    "share",
    params={"key": "team"},
    thresholds=(Threshold(0, "good"), Threshold(0.05, "notice"), Threshold(0.2, "warning")),
    empty="No cost in this time range.",
)
COST_STAT: Final = stat(
    "Effective cost",
    "What did all calls cost, as far as their price is known?",
    "spend_by",
    "effective_cost",
    "usd",
    empty=NO_CALLS,
)
CALLS_STAT: Final = stat("Calls", "How many calls were served?", "spend_by", "calls", "count")
UNPRICED_TABLE: Final = table(
    "Models without a price",
    "Which models' calls have no cost, and why?",
    "unpriced",
    (
        PROVIDER,
        MODEL,
        Column("reason", "Why"),
        Column("input_tokens", "Input tokens", "tokens"),
        Column("output_tokens", "Output tokens", "tokens"),
        Column("partial_calls", "In part", "count"),
        UNPRICED,
    ),
    empty="Every call has a price.",
)
MISSING_TAGS_TABLE: Final = table(
    "Missing tags",
    "Which tags are missing, and how much cost is without them?",
    "missing_tags",
    (
        Column("tag", "Tag"),
        Column("untagged_calls", "Calls without", "count"),
        Column("untagged_cost", "Cost without", "usd"),
        Column("untagged_share", "Share of the cost", "share", bar=True),
    ),
    empty="Every call carries team, feature, environment and customer_id.",
)
