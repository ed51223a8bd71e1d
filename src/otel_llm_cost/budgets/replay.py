"""What budgets would have said to calls that were made: pure arithmetic over the ledger's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from otel_llm_cost.budgets.definition import Budget
from otel_llm_cost.budgets.lease import Identity
from otel_llm_cost.budgets.measure import GRAIN, MEASURES
from otel_llm_cost.budgets.rules import Rules
from otel_llm_cost.core.cost import from_text


@dataclass(slots=True)
class Verdict:
    """What one account of one budget would have done. Amounts in atto-dollars.

    calls: that it looked at. stopped: that it would have denied (or warned of, degraded, capped); `saved` is
    the cost of the denied, counted at the first budget that objects. first, last: when. unpriced: calls
    without a known cost.
    """

    budget: Budget
    account: Identity
    calls: int = 0
    stopped: int = 0
    saved: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unpriced: int = 0


class _Ledger:
    """What was spent in one account, with what a rolling window forgets."""

    def __init__(self) -> None:
        self.spent = 0
        self._slots: dict[int, int] = {}

    def forget(self, account: Identity, now: int) -> None:
        for slot in [slot for slot in self._slots if slot + account.slot <= now - account.window]:
            self.spent -= self._slots.pop(slot)

    def add(self, account: Identity, amount: int, now: int) -> None:
        self.spent += amount
        if account.window:
            slot = now - now % account.slot
            self._slots[slot] = self._slots.get(slot, 0) + amount


def replay(rules: Rules, calls: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """The verdicts on calls in the order they were made: rows with `started_at`, the rules' keys, amounts.

    A call counts at its true cost; the real check reserves an upper bound, so it stops a little earlier.
    """
    ledgers: dict[str, _Ledger] = {}
    verdicts: dict[str, Verdict] = {}
    for row in calls:
        now = int(row["started_at"].timestamp())
        facets = tuple(str(row.get(key) or "") for key in rules.keys)
        cost = row["effective_cost"]
        usd = 0 if cost is None else from_text(Decimal(cost))
        amounts = (usd, int(row["tokens"]), int(row["calls"]))
        matches = rules.matching(facets, now)
        denied = False
        for budget, account, limit, action in matches:
            ledger = ledgers.setdefault(account.key, _Ledger())
            ledger.forget(account, now)
            verdict = verdicts.setdefault(account.key, Verdict(budget, account))
            verdict.calls += 1
            verdict.unpriced += cost is None
            amount = amounts[MEASURES.index(account.measure)]
            if not denied and ledger.spent + amount > limit * GRAIN[account.measure]:
                verdict.stopped += 1
                verdict.saved += usd if action == "block" else 0
                verdict.first = verdict.first or row["started_at"]
                verdict.last = row["started_at"]
                denied = action == "block"
        if not denied:
            for _, account, _, _ in matches:
                ledgers[account.key].add(account, amounts[MEASURES.index(account.measure)], now)
    return list(verdicts.values())
