"""Where the money stands: today, this month, what moved, and what is missing from the numbers."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row, Threshold
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
                stat("Today", "What did calls cost today (UTC)?", "month", "today_cost", "usd", width=4),
                stat("This month", "What did they cost this month?", "month", "month_cost", "usd", width=4),
                stat(
                    "Forecast of the month",
                    "What will the month cost if days go on as the same days of the week did?",
                    "month",
                    "forecast",
                    "usd",
                    empty=WEEK_NEEDED,
                    width=4,
                ),
                stat(
                    "At least",
                    "Below what will the month end in one of ten cases?",
                    "month",
                    "forecast_low",
                    "usd",
                    empty=WEEK_NEEDED,
                    width=4,
                ),
                stat(
                    "At most",
                    "Above what will the month end in one of ten cases?",
                    "month",
                    "forecast_high",
                    "usd",
                    empty=WEEK_NEEDED,
                    width=4,
                ),
                stat(
                    "Against last month",
                    "How much more is it than last month up to the same moment?",
                    "month",
                    "change_share",
                    "share",
                    thresholds=(Threshold(-1, "good"), Threshold(0.2, "notice"), Threshold(0.5, "warning")),
                    empty="No cost last month.",
                    width=4,
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
