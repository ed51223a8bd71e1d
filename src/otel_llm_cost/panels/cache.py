"""What the providers' prompt caches serve, cost and save, and where they could."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row
from otel_llm_cost.panels.parts import FEATURE, MODEL, NAMED, PROVIDER, TEAM, table

NO_CACHE: Final = "No prompt tokens in this time range."
SAVINGS: Final = (
    Column("calls", "Calls", "count"),
    Column("input_tokens", "Input tokens", "tokens"),
    Column("hit_rate", "Served by the cache", "share"),
    Column("read_saving", "Saved by reads", "usd"),
    Column("write_premium", "Premium for writes", "usd"),
    Column("net_saving", "Saved in all", "usd", bar=True),
)


def savings(keys: tuple[Column, ...], title: str) -> Panel:
    """What caching saves, by keys."""
    return table(
        f"Saved by {title}",
        f"Where does caching pay, by {title}, and where does writing cost more than reading saves?",
        "cache_by",
        (*keys, *SAVINGS),
        params={"by": [column.name for column in keys], "limit": 100},
        empty=NO_CACHE,
    )


CACHE: Final = Dashboard(
    name="cache",
    title="Prompt cache",
    question="What does the prompt cache save, and what could it?",
    rows=(
        Row(
            "In this time range",
            (
                Panel(
                    title="What caching saves",
                    question="Which share of input did caches serve, and what does that save after its cost?",
                    query="cache_by",
                    picture="stat",
                    columns=SAVINGS[2:],
                    empty=NO_CACHE,
                    width=24,
                    height=4,
                ),
                Panel(
                    title="Input served by a cache over time",
                    question="When did the hit rate drop?",
                    query="hit_rate",
                    picture="series",
                    columns=(
                        Column("time", "Time", "time"),
                        Column("hit_rate", "Served by the cache", "share"),
                    ),
                    empty=NO_CACHE,
                    width=24,
                ),
            ),
        ),
        Row(
            "Where it pays",
            (savings((PROVIDER, MODEL), "model"), savings((TEAM, FEATURE), "team and feature")),
        ),
        Row(
            "Where it could",
            (
                table(
                    "Long prompts that no cache serves",
                    "Which features send long prompts at the full price again and again?",
                    "cache_candidates",
                    (
                        *NAMED,
                        Column("calls", "Calls", "count"),
                        Column("input_per_call", "Input per call", "tokens"),
                        Column("hit_rate", "Served by the cache", "share"),
                        Column("input_cost", "Cost of uncached input", "usd", bar=True),
                    ),
                    empty="No feature sends prompts of 1,024 tokens and more without a cache.",
                    width=24,
                ),
            ),
        ),
    ),
)
