"""What the ledger knows against what the store says: unknown outcomes replaced, uncounted spend added.

Pure but for the two callables: `spend` answers from the ledger, the store is told the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from otel_llm_cost.budgets.definition import LIFETIMES, Budget
from otel_llm_cost.budgets.lease import Identity, State, Store
from otel_llm_cost.budgets.measure import grains_up
from otel_llm_cost.budgets.rules import Rules, identify
from otel_llm_cost.core.cost import from_text

Spend = Callable[[int, int, Sequence[str]], Iterable[Mapping[str, Any]]]
"""The ledger's answer for [since, until) in Unix seconds by keys: rows with the keys and `effective_cost`,
`tokens`, `calls`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One account, in the store's grains: what the ledger says, what the store had, what it has now.

    ledger: spend of everybody. spent: true costs that processes reported. unknown: charged without an
    outcome, dead leases included; keeps: what of it stays. adjusted: added since only the ledger knew it.
    """

    account: Identity
    ledger: int
    spent: int
    unknown: int
    keeps: int
    adjusted_before: int
    adjusted: int

    @property
    def is_right(self) -> bool:
        """Whether store and ledger agree."""
        return self.keeps == self.unknown and self.adjusted == self.adjusted_before


def ledger_spend(budget: Budget, rules: Rules, now: int, spend: Spend) -> dict[Identity, int]:
    """What the ledger says of every account of a budget in the period of `now`, in the store's grains."""
    identity = identify(budget, {}, now)
    since = now - identity.window if identity.window else identity.start
    sums: dict[Identity, int] = {}
    for row in spend(since, now + 1, rules.keys):
        facts = {key: str(row.get(key) or "") for key in rules.keys}
        if rules.applies(budget, facts):
            account = identify(budget, facts, now)
            sums[account] = sums.get(account, 0) + _amount(row, budget)
    return {account: grains_up(amount, budget.limit.measure) for account, amount in sums.items()}


def _amount(row: Mapping[str, Any], budget: Budget) -> int:
    if budget.limit.measure != "usd":
        return int(row[budget.limit.measure])
    cost = row["effective_cost"]
    return 0 if cost is None else from_text(Decimal(cost))


def compare(state: State, ledger: int) -> Finding:
    """How an account should change so that it says what the ledger says.

    What the ledger knows beyond the reported costs explains, first, unknown outcomes and dead leases; the
    rest is spend that no lease covered. Reported costs are never lowered: the ledger may lag behind them.
    """
    unknown = state.unknown + state.dead
    evidence = max(0, ledger - state.spent)
    keeps = min(unknown, evidence)
    return Finding(state.account, ledger, state.spent, unknown, keeps, state.adjusted, evidence - keeps)


def reconcile(store: Store, rules: Rules, now: int, spend: Spend, *, repair: bool = True) -> list[Finding]:
    """Compare every account of the running periods with the ledger, and repair the store."""
    states = {state.account.key: state for state in store.states()}
    findings = []
    for budget in rules.budgets:
        if any(key in LIFETIMES for key in budget.per):
            continue  # over before anybody could repair them
        limit = rules.limit(budget, now)
        ledger = ledger_spend(budget, rules, now, spend)
        period = identify(budget, {}, now).period
        accounts = set(ledger) | {
            state.account
            for state in states.values()
            if (state.account.budget, state.account.period) == (budget.name, period)
        }
        for account in sorted(accounts):
            state = states.get(account.key) or State(account, limit, 0, 0, 0, 0, 0, 0)
            finding = compare(state, ledger.get(account, 0))
            findings.append(finding)
            if repair and not finding.is_right:
                _repair(store, finding, limit)
    return findings


def _repair(store: Store, finding: Finding, limit: int) -> None:
    if finding.account.window:  # what is added must age, too
        store.adjust(finding.account, limit, 0, finding.keeps)
        store.charge(finding.account, limit, finding.adjusted)
    else:
        store.adjust(finding.account, limit, finding.adjusted, finding.keeps)
