"""The alert rules: what is watched, from when on it is worth a message, and what to do then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from otel_llm_cost.ledger.queries import QUERIES

Severity = Literal["info", "warning", "critical"]
"""info: look at it this week. warning: today. critical: now."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Fires when `column` of any row of `query`, asked over the last `range_s` seconds, is above `above`.

    labels: columns that tell one alert from another. for_s: how long it must stay so. to_do: one sentence.
    A query that gives no row has nothing to say, and so does the rule.
    """

    name: str
    title: str
    query: str
    column: str
    above: float
    range_s: int
    severity: Severity
    to_do: str
    labels: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    for_s: int = 0
    every_s: int = 60

    def __post_init__(self) -> None:
        if self.query not in QUERIES:
            raise ValueError(f"rule {self.name!r} names no query: {self.query!r}")


HOUR: Final = 3600
DAY: Final = 86_400

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "surge",
        "A team's last hour cost far more than that hour of the week does",
        "surge",
        "surplus",
        above=1,
        range_s=HOUR,
        severity="warning",
        labels=("team",),
        to_do="Open Attribution for the team and the last two hours; look at its newest calls.",
        every_s=300,
    ),
    Rule(
        "retry-storm",
        "Most attempts at a model fail",
        "failing",
        "failed_share",
        above=0.5,
        range_s=600,
        severity="critical",
        labels=("provider", "model"),
        params={"least": 20},
        to_do="Look at the provider's status page, and stop what retries without a pause.",
        for_s=120,
    ),
    Rule(
        "unpriced-model",
        "Calls of a model have no price",
        "unpriced",
        "unpriced_calls",
        above=0,
        range_s=HOUR,
        severity="warning",
        labels=("provider", "model", "reason"),
        to_do="Add its price to the file that price_overrides names, then run otel-llm-cost reprice.",
        every_s=300,
    ),
    Rule(
        "unattributed",
        "Much of the cost carries no team",
        "untagged",
        "untagged_share",
        above=0.2,
        range_s=DAY,
        severity="info",
        params={"key": "team"},
        to_do="Open Attribution for the team (untagged); set OTEL_LLM_COST_TAGS for its services.",
        for_s=HOUR,
        every_s=900,
    ),
    Rule(
        "cache-drop",
        "The prompt cache serves much less than in the week before",
        "hit_rate_drop",
        "drop_share",
        above=0.5,
        range_s=6 * HOUR,
        severity="warning",
        labels=("provider", "model"),
        to_do="See whether prompts begin with what changes: a date or an id there defeats the cache.",
        every_s=900,
    ),
    Rule(
        "late-rows",
        "Calls reach the ledger late",
        "lateness",
        "p95_s",
        above=300,
        range_s=900,
        severity="warning",
        to_do="Look at the collector's /healthz and log; while the ledger is away, calls wait in its spool.",
        for_s=600,
    ),
    Rule(
        "silence",
        "A service that usually calls at this time does not",
        "silence",
        "usual_calls",
        above=20,
        range_s=HOUR,
        severity="warning",
        labels=("service",),
        to_do="See whether the service runs, and run otel-llm-cost doctor where it does.",
        for_s=600,
        every_s=300,
    ),
)
