"""Data quality: who tells of calls, what is odd or missing about them, and how late they come."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row, Threshold
from otel_llm_cost.panels.parts import (
    MISSING_TAGS_TABLE,
    MODEL,
    NO_CALLS,
    PROVIDER,
    UNPRICED_STAT,
    UNPRICED_TABLE,
    stat,
    table,
)

LAST_SEEN: Final = Column("last_seen", "Last call", "time")
NUMBER: Final = Column("n", "Calls", "count", bar=True)

QUALITY: Final = Dashboard(
    name="data-quality",
    title="Data quality",
    question="Can the numbers be trusted?",
    since="now-7d",
    rows=(
        Row(
            "In this time range",
            (
                UNPRICED_STAT,
                stat(
                    "Estimated calls",
                    "Which share of calls has estimated usage, since the provider told none?",
                    "doubts",
                    "estimated_share",
                    "share",
                    thresholds=(Threshold(0, "good"), Threshold(0.05, "notice"), Threshold(0.2, "warning")),
                    empty=NO_CALLS,
                ),
                stat(
                    "Copies",
                    "How many copies of booked calls came, and cost nothing?",
                    "doubts",
                    "t_duplicates",
                    "count",
                ),
                stat(
                    "Corrections", "How many rows correct an earlier one?", "doubts", "corrections", "count"
                ),
            ),
        ),
        Row("What is missing", (UNPRICED_TABLE, MISSING_TAGS_TABLE)),
        Row(
            "Who tells",
            (
                table(
                    "Emitters",
                    "Which instrumentations and services tell of calls, and which fell silent?",
                    "emitters",
                    (
                        Column("emitter", "Emitter"),
                        Column("emitter_version", "Version"),
                        Column("signal", "As"),
                        Column("service", "Service", drill="service"),
                        LAST_SEEN,
                        Column("copies", "Copies", "count"),
                        NUMBER,
                    ),
                    empty=NO_CALLS,
                    width=16,
                ),
                table(
                    "Rules that read them",
                    "Which rule read how many calls?",
                    "rules",
                    (Column("rule", "Rule"), LAST_SEEN, NUMBER),
                    empty=NO_CALLS,
                    width=8,
                ),
            ),
        ),
        Row(
            "What is odd",
            (
                Panel(
                    title="From a call's end to its row",
                    question="Do rows come late?",
                    query="lag",
                    picture="series",
                    columns=(
                        Column("time", "Time", "time"),
                        Column("p95_s", "95 % are booked within", "seconds"),
                    ),
                    empty=NO_CALLS,
                ),
                table(
                    "Marks",
                    "What was odd about usage or times?",
                    "flags",
                    (Column("flag", "Mark"), PROVIDER, MODEL, NUMBER),
                    empty="Nothing was odd.",
                    height=9,
                ),
                table(
                    "App and collector disagree",
                    "For which models does the app's price differ from the collector's?",
                    "drift",
                    (
                        PROVIDER,
                        MODEL,
                        Column("n", "Calls", "count"),
                        Column("told", "The app said", "usd"),
                        Column("booked", "Booked", "usd"),
                        Column("difference", "Difference", "usd"),
                    ),
                    empty="The app and the collector agree.",
                    width=24,
                ),
            ),
        ),
    ),
)
