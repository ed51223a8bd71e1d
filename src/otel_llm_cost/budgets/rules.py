"""Which budgets a call must agree with, and which account of each; worked out once per kind of call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple
from urllib.parse import quote

from otel_llm_cost.budgets.definition import LIFETIMES, Action, Budget
from otel_llm_cost.budgets.lease import Identity, Raise
from otel_llm_cost.budgets.measure import grains_down
from otel_llm_cost.budgets.names import CALL_FACTS
from otel_llm_cost.budgets.period import Rolling

NONE = "(none)"
"""Subject of calls that lack a tag named in `per`: leaving a tag out is no way around a budget."""

Facets = tuple[str, ...]
"""What distinguishes calls for budgets: the values of `Rules.keys`, in that order."""


class Match(NamedTuple):
    """One budget that a call must agree with: its account now, the limit in grains, what happens at it."""

    budget: Budget
    identity: Identity
    limit: int
    action: Action


class Rules:
    """The budgets in force, and the keys that any of them looks at."""

    def __init__(self, budgets: Iterable[Budget], raises: Iterable[Raise] = ()) -> None:
        self.budgets = tuple(budget for budget in budgets if budget.enabled)
        self._raises = tuple(raises)
        used = {key for budget in self.budgets for key in (*budget.match, *budget.per)}
        self.tags = tuple(sorted(used - {*CALL_FACTS, *LIFETIMES, "environment"}))
        self.lifetimes = tuple(key for key in LIFETIMES if key in used)
        self.keys = (*CALL_FACTS, "environment", *self.tags, *self.lifetimes)

    def facets(
        self,
        provider: str,
        model: str,
        service: str,
        operation: str,
        tags: Mapping[str, str],
        lifetimes: Mapping[str, str] | None = None,
    ) -> Facets:
        """The facets of one call. lifetimes: ids of the trace, session and conversation it belongs to."""
        get = tags.get
        facets = (
            provider,
            model,
            service,
            operation,
            get("environment", ""),
            *[get(key, "") for key in self.tags],
        )
        if self.lifetimes:
            facets += tuple((lifetimes or {}).get(key, "") for key in self.lifetimes)
        return facets

    def matching(self, facets: Facets, now: int) -> list[Match]:
        """Every budget that a call of these facets must agree with at `now` (Unix seconds)."""
        facts = dict(zip(self.keys, facets, strict=True))
        return [
            Match(
                budget,
                identify(budget, facts, now),
                self.limit(budget, now),
                budget.action_in(facts["environment"]),
            )
            for budget in self.budgets
            if self.applies(budget, facts)
        ]

    @staticmethod
    def applies(budget: Budget, facts: Mapping[str, str]) -> bool:
        """Whether a call of these facts (`keys` → value) must agree with a budget."""
        if any(key in LIFETIMES and not facts[key] for key in budget.per):
            return False  # a cap on one run says nothing about a call that belongs to none
        return all(
            any(fnmatchcase(facts.get(key, ""), pattern) for pattern in patterns)
            for key, patterns in budget.match.items()
        )

    def limit(self, budget: Budget, now: int) -> int:
        """The limit in grains, raises that hold at `now` included."""
        raised = sum(r.by for r in self._raises if r.budget == budget.name and r.at <= now < r.until)
        return grains_down(max(0, budget.limit.amount + raised), budget.limit.measure)

    def next_change(self, now: int) -> int | None:
        """When the next raise begins or ends, None for never."""
        return min((t for r in self._raises for t in (r.at, r.until) if t > now), default=None)


def identify(budget: Budget, facts: Mapping[str, str], now: int) -> Identity:
    """The account that a call of these facts at `now` belongs to."""
    subject = ",".join(f"{key}={quote(facts.get(key, ''), safe='') or NONE}" for key in budget.per)
    clock = budget.clock
    period = clock.period(now)
    window, slot = (clock.seconds, clock.slot) if isinstance(clock, Rolling) else (0, 0)
    return Identity(
        budget.name, budget.limit.measure, subject, period.key, period.start, period.end, window, slot
    )
