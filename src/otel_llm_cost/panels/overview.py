"""Where the money stands: today, this month, what moved, and what is missing from the numbers."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row
from otel_llm_cost.panels.parts import (
    MISSING_TAGS_TABLE,
    UNPRICED_STAT,
    UNPRICED_TABLE,
    UNTAGGED_STAT,
    over_time,
    stat,
    table,
)

WEEK_NEEDED: Final = "A forecast needs a week of calls before today."


def movers(key: str, title: str) -> Panel:
    """What changed most, by a key."""
    return table(
        f"{title}s that moved",
        f"Which {title.lower()}s changed most against the range of the same length before?",
        "movers",
        (
            Column("key", title, drill=key),
            Column("cost_before", "Before", "usd"),
            Column("cost_now", "Now", "usd"),
            Column("change_share", "Change in %", "share"),
            Column("change", "Change", "usd", bar=True),
        ),
        params={"key": key, "limit": 20},
        empty="Nothing changed against the range before.",
        width=8,
    )


OVERVIEW: Final = Dashboard(
    name="overview",
    title="Overview",
    question="Where does the money stand this month, and what moved?",
    rows=(
        Row(
            "At the end of the time range",
            (
                Panel(
                    title="Today and this month",
                    question="What was spent today and this month (UTC), and was it more than last month?",
                    query="month",
                    picture="stat",
                    columns=(
                        Column("today_cost", "Today", "usd"),
                        Column("month_cost", "This month", "usd"),
                        Column("last_month_so_far", "Last month up to the same moment", "usd"),
                        Column("change_share", "More than that", "share"),
                        Column("last_month_cost", "Last month in all", "usd"),
                    ),
                    empty="No calls this month or last.",
                    width=14,
                    height=5,
                ),
                Panel(
                    title="Forecast of the month",
                    question="What will the month cost if days go on as the same days of the week did? "
                    "In four of five months between which amounts?",
                    query="month",
                    picture="stat",
                    columns=(
                        Column("forecast", "Forecast", "usd"),
                        Column("forecast_low", "At least", "usd"),
                        Column("forecast_high", "At most", "usd"),
                    ),
                    empty=WEEK_NEEDED,
                    width=10,
                    height=5,
                ),
            ),
        ),
        Row("Over time", (over_time("team", "Team", width=24),)),
        Row("What moved", (movers("team", "Team"), movers("feature", "Feature"), movers("model", "Model"))),
        Row(
            "What is missing from the numbers",
            (
                UNPRICED_STAT,
                UNTAGGED_STAT,
                stat(
                    "Estimated calls",
                    "How many calls have estimated usage, since the provider told none?",
                    "spend_by",
                    "estimated_calls",
                    "count",
                ),
                stat("Failed attempts", "How many attempts failed?", "spend_by", "failed_attempts", "count"),
                UNPRICED_TABLE,
                MISSING_TAGS_TABLE,
            ),
        ),
    ),
)
