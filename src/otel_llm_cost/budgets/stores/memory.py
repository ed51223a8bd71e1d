"""Accounts in this process: for one process, for tests, and as the plainest statement of the rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from otel_llm_cost.budgets.lease import (
    LEASE_SECONDS,
    Ask,
    Definitions,
    Grant,
    Identity,
    Raise,
    State,
    granted,
    is_old,
)


@dataclass(slots=True)
class _Lease:
    amount: int = 0
    spent: int = 0
    unknown: int = 0
    expires: float = 0.0


@dataclass(slots=True)
class _Account:
    identity: Identity
    limit: int = 0
    spent: int = 0
    unknown: int = 0
    adjusted: int = 0
    updated: float = 0.0
    leases: dict[str, _Lease] = field(default_factory=dict)
    slots: dict[int, int] = field(default_factory=dict)

    @property
    def leased(self) -> int:
        return sum(lease.amount for lease in self.leases.values())

    def forget(self, now: float) -> None:
        """Let what is older than a rolling window go, whole slots only."""
        identity = self.identity
        for slot in [slot for slot in self.slots if slot + identity.slot <= now - identity.window]:
            self.spent -= self.slots.pop(slot)

    def add_spent(self, amount: int, now: float) -> None:
        self.spent += amount
        if self.identity.window and amount:
            slot = int(now) - int(now) % self.identity.slot
            self.slots[slot] = self.slots.get(slot, 0) + amount


class MemoryStore:
    """See `Store`. share: 1 lends all there is (one process), more keeps slices small (several)."""

    is_instant = True

    def __init__(self, clock: Callable[[], float] = time.time, share: int = 1) -> None:
        self.is_instant = share == 1
        self._clock = clock
        self._share = share
        self._accounts: dict[str, _Account] = {}
        self._definitions: dict[str, str] = {}
        self._raises: list[Raise] = []
        self._history: list[tuple[int, str, str, str]] = []
        self._revision = 0
        self._lock = threading.RLock()

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        """See `Store`."""
        now = self._clock()
        with self._lock:
            return [self._exchange(ask, now) for ask in asks], self._revision

    def _exchange(self, ask: Ask, now: float) -> Grant:
        is_new = ask.account.key not in self._accounts
        account = self._account(ask.account, ask.limit, now)
        lease = account.leases.setdefault(ask.lease, _Lease())
        account.add_spent(ask.spent - lease.spent, now)
        account.unknown = max(0, account.unknown + ask.unknown - lease.unknown)
        charged = account.spent + account.unknown + account.adjusted + account.leased - lease.amount
        lease.spent, lease.unknown = ask.spent, ask.unknown
        lease.amount = granted(ask, charged, len(account.leases), self._share)
        lease.expires = now + LEASE_SECONDS
        if ask.close and not lease.amount:
            del account.leases[ask.lease]
        reserved = account.leased + account.unknown
        return Grant(lease.amount, account.spent + account.adjusted, reserved, is_new)

    def _account(self, identity: Identity, limit: int, now: float) -> _Account:
        account = self._accounts.setdefault(identity.key, _Account(identity))
        account.limit, account.updated = limit, now
        account.forget(now)
        return account

    def revision(self) -> int:
        """See `Store`."""
        return self._revision

    def definitions(self) -> Definitions:
        """See `Store`."""
        with self._lock:
            return Definitions(self._revision, tuple(self._definitions.items()), tuple(self._raises))

    def define(self, name: str, budget: str, who: str, reason: str) -> None:
        """See `Store`."""
        with self._lock:
            self._definitions[name] = budget
            self._history.append((int(self._clock()), who, name, f"{budget or 'removed'} {reason}".strip()))
            self._revision += 1

    def add_raise(self, change: Raise) -> None:
        """See `Store`."""
        with self._lock:
            self._raises.append(change)
            text = f"raised by {change.by} until {change.until}: {change.reason}"
            self._history.append((change.at, change.who, change.budget, text))
            self._revision += 1

    def history(self) -> list[tuple[int, str, str, str]]:
        """See `Store`."""
        return list(self._history)

    def states(self) -> list[State]:
        """See `Store`."""
        now = self._clock()
        with self._lock:
            for account in self._accounts.values():
                account.forget(now)
            return [
                State(
                    account.identity,
                    account.limit,
                    account.spent,
                    account.unknown,
                    account.leased,
                    sum(lease.amount for lease in account.leases.values() if lease.expires < now),
                    account.adjusted,
                    int(account.updated),
                )
                for account in self._accounts.values()
            ]

    def charge(self, account: Identity, limit: int, amount: int) -> None:
        """See `Store`."""
        now = self._clock()
        with self._lock:
            self._account(account, limit, now).add_spent(amount, now)

    def adjust(self, account: Identity, limit: int, adjusted: int, keep_unknown: int) -> None:
        """See `Store`."""
        now = self._clock()
        with self._lock:
            kept = self._account(account, limit, now)
            kept.adjusted, kept.unknown = adjusted, keep_unknown
            for lease in kept.leases.values():
                if lease.expires < now:
                    lease.amount = 0

    def prune(self, now: int) -> None:
        """See `Store`."""
        with self._lock:
            for key in [k for k, a in self._accounts.items() if is_old(a.identity, a.updated, now)]:
                del self._accounts[key]

    def reset_after_fork(self) -> None:
        """The child starts empty: it is another process, and this store is for one."""
        self._accounts.clear()
        self._lock = threading.RLock()

    def close(self) -> None:
        """Nothing to give back."""
