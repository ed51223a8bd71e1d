"""How a shared store lends slices of a budget to processes: one operation, `exchange`, and its arithmetic.

A process tells what it has spent so far and what it still needs; the store answers how much it may hold.
What a lease covers is charged to the account from the grant on, and stays charged when its process dies: an
expired lease counts as spent until evidence says otherwise. Expiry therefore never makes room, which is why
neither clock skew nor a stopped process can pass a limit. Reports are totals and not differences, so that one
sent twice (a lost answer, a retry) or into a store that forgot everything is still right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from otel_llm_cost.budgets.measure import Measure
from otel_llm_cost.budgets.period import FOREVER

SHARE = 32
"""All idle slices of an account together are at most about 1/32 of what was left when they were taken."""

LEASE_SECONDS = 30.0
"""How long after its last exchange a process may start calls on what it holds."""


class Identity(NamedTuple):
    """Which account: one budget, one value of its `per` tags, one period. Seconds are Unix time.

    end: None for an account that no calendar ends. window, slot: seconds of a rolling window and of one of
    its slots, else 0.
    """

    budget: str
    measure: Measure
    subject: str
    period: str
    start: int = 0
    end: int | None = None
    window: int = 0
    slot: int = 0

    @property
    def key(self) -> str:
        """The name of the account in every store."""
        return f"{self.budget}/{self.measure}/{self.subject}/{self.period}"


class Ask(NamedTuple):
    """What one lease reports and wants; all amounts in the store's grains.

    lease: unique per process and account object. limit: of the whole account. spent, unknown: totals of this
    lease since it began. floor: what it holds now and will not give back (calls that run, and room it keeps).
    need: wanted besides, for calls that wait. least: the smallest of those; less is of no use to anybody.
    slack: welcome besides, so that the next calls need no exchange. close: the last exchange of this lease.
    """

    account: Identity
    lease: str
    limit: int
    spent: int = 0
    unknown: int = 0
    floor: int = 0
    need: int = 0
    least: int = 0
    slack: int = 0
    close: bool = False


class Grant(NamedTuple):
    """The store's answer, in grains.

    lease: what this lease now covers, never below the floor. spent: true costs of everybody. reserved: all
    that is charged besides: leases, dead or alive, and unknown outcomes. is_new: the account was not there
    before, so the ledger may know of spend that the store does not.
    """

    lease: int
    spent: int
    reserved: int
    is_new: bool = False


def granted(ask: Ask, charged: int, sharers: int, share: int = SHARE) -> int:
    """How much a lease may cover when `charged` is charged to the account without it.

    Never more than the limit leaves, except that the floor is never cut: those calls already run.
    """
    room = ask.limit - charged - ask.floor
    if room <= 0 or room < ask.least:
        return ask.floor
    slack = min(ask.slack, room // (share * max(sharers, 1)))
    return ask.floor + min(room, ask.need + slack)


KEEP_ENDED = 8 * 86400
KEEP_UNUSED = 2 * 86400


def is_old(account: Identity, updated: float, now: float) -> bool:
    """Whether an account may be forgotten: its period ended long ago, or nothing can come on it any more."""
    if account.period == FOREVER:
        return False
    if account.end is not None:
        return account.end + KEEP_ENDED < now
    return updated + account.window + KEEP_UNUSED < now


class StoreAway(Exception):  # noqa: N818 - read as a state
    """The store did not answer in time or at all; each budget says what happens then (`on_failure`)."""


@dataclass(frozen=True, slots=True)
class Raise:
    """A change of a limit for a while: `by` in the budget's measure (atto-dollars, tokens, calls)."""

    budget: str
    by: int
    until: int
    reason: str
    who: str
    at: int


class Definitions(NamedTuple):
    """What the store says about budgets: JSON by name (empty: removed), and raises. revision grows."""

    revision: int = 0
    budgets: tuple[tuple[str, str], ...] = ()
    raises: tuple[Raise, ...] = ()


class State(NamedTuple):
    """One account as the store sees it, in grains. `dead` is the part of leases that have expired."""

    account: Identity
    limit: int
    spent: int
    unknown: int
    leased: int
    dead: int
    adjusted: int
    updated: int


class Store(Protocol):
    """Where accounts are shared. Every method raises StoreAway when the store does not answer."""

    is_instant: bool
    """Whether an exchange is no I/O, so that slices are of no use."""

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        """Report and lend, atomically over all asks; also the revision of the definitions."""
        ...

    def revision(self) -> int:
        """The revision of the definitions."""
        ...

    def definitions(self) -> Definitions:
        """What was set and raised."""
        ...

    def define(self, name: str, budget: str, who: str, reason: str) -> None:
        """Set a budget (JSON), or remove it (empty), for all processes."""
        ...

    def add_raise(self, change: Raise) -> None:
        """Change a limit for a while, for all processes."""
        ...

    def history(self) -> list[tuple[int, str, str, str]]:
        """Every change of a definition or limit: when, who, which budget, what."""
        ...

    def states(self) -> list[State]:
        """All accounts."""
        ...

    def charge(self, account: Identity, limit: int, amount: int) -> None:
        """Spend that no lease covered: calls of others, as they arrive."""
        ...

    def adjust(self, account: Identity, limit: int, adjusted: int, keep_unknown: int) -> None:
        """Set what the ledger knows besides, and how much of unknown outcomes stays; dead leases go."""
        ...

    def prune(self, now: int) -> None:
        """Forget accounts that are of no use any more at this Unix time; see `is_old`."""
        ...

    def reset_after_fork(self) -> None:
        """Called in a forked child: connections of the parent must not be used."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
