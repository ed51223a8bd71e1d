"""What to cut: where the money goes, and which part of it buys nothing."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.cache import CACHE
from otel_llm_cost.panels.models import MODELS
from otel_llm_cost.panels.panel import Column, Dashboard, Row
from otel_llm_cost.panels.parts import CALLS, EFFECTIVE, FEATURE, NAMED, TEAM, table

(UNCACHED,) = CACHE.rows[-1].panels
(RETRIES,) = MODELS.rows[-1].panels

CUTS: Final = Dashboard(
    name="what-to-cut",
    title="What to cut",
    question="Where does the money go, and which part of it buys nothing?",
    rows=(
        Row(
            "Where it goes",
            (
                table(
                    "Largest teams and features",
                    "Which few make most of the cost?",
                    "largest",
                    (
                        TEAM,
                        FEATURE,
                        CALLS,
                        Column("cost_share", "Share", "share"),
                        Column("running_share", "Share so far", "share"),
                        EFFECTIVE,
                    ),
                    params={"by": ["team", "feature"], "limit": 25},
                ),
                table(
                    "Length of prompts",
                    "Which features send long prompts, and what do those cost?",
                    "context_length",
                    (
                        TEAM,
                        FEATURE,
                        CALLS,
                        Column("mean_input", "Mean input", "tokens"),
                        Column("p95_input", "95 % are shorter than", "tokens"),
                        Column("output_per_input", "Output per input token", "ratio"),
                        Column("prompt_cost", "Cost of prompts", "usd", bar=True),
                    ),
                ),
            ),
        ),
        Row(
            "Said twice",
            (
                table(
                    "Repeated requests",
                    "Which requests are made again word for word, and what do the repeats cost?",
                    "repeated_prompts",
                    (
                        *NAMED,
                        Column("prompts", "Requests", "count"),
                        Column("repeats", "Repeats", "count"),
                        Column("repeat_cost", "Cost of repeats", "usd", bar=True),
                    ),
                    empty="No request was repeated, or none carries a hash of its prompt.",
                    width=24,
                ),
                UNCACHED,
            ),
        ),
        Row("Paid for nothing", (RETRIES,)),
        Row(
            "Not urgent",
            (
                table(
                    "Calls that might run as a batch",
                    "Which calls are not streamed and belong to no conversation, so that an answer "
                    "tomorrow at half the price might do?",
                    "batch_eligible",
                    (
                        TEAM,
                        FEATURE,
                        Column("eligible_calls", "Calls", "count"),
                        Column("eligible_cost", "Their cost", "usd"),
                        Column("eligible_share", "Share of the feature's cost", "share"),
                        Column("possible_saving", "Half of it", "usd", bar=True),
                    ),
                    empty="Every call is streamed, part of a conversation, or in a batch already.",
                    width=24,
                ),
            ),
        ),
    ),
)
