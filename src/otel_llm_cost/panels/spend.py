"""The first dashboard: what is spent, by team, feature and model."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Row
from otel_llm_cost.panels.parts import (
    CALLS_STAT,
    COST_STAT,
    EFFECTIVE,
    FEATURE,
    NO_CALLS,
    TEAM,
    UNPRICED,
    UNPRICED_STAT,
    UNTAGGED_STAT,
    VOLUME,
    over_time,
    ranking,
    table,
)

SPEND: Final = Dashboard(
    name="spend",
    title="Spend",
    question="What is spent, by team, feature and model?",
    rows=(
        Row("In this time range", (COST_STAT, CALLS_STAT, UNPRICED_STAT, UNTAGGED_STAT)),
        Row("By team", (over_time("team", "Team", "team"), ranking("team", "Team", "team"))),
        Row("By feature", (over_time("feature", "Feature"), ranking("feature", "Feature", "feature"))),
        Row("By model", (over_time("model", "Model"), ranking("model", "Model", "model"))),
        Row(
            "Team and feature",
            (
                table(
                    "Teams and features by effective cost",
                    "Which feature of which team costs most?",
                    "spend_by",
                    (
                        TEAM,
                        FEATURE,
                        *VOLUME,
                        Column("failed_attempts", "Failed attempts", "count"),
                        Column("estimated_calls", "Estimated", "count"),
                        UNPRICED,
                        EFFECTIVE,
                    ),
                    params={"by": ["team", "feature"], "limit": 500},
                    empty=NO_CALLS,
                    width=24,
                    height=12,
                ),
            ),
        ),
    ),
)
