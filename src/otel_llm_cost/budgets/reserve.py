"""The algebra of reservations: reserve, then settle, release, or leave charged because nobody knows.

Plain additions on whole numbers, no clock, lock or I/O; the callers hold the lock. For every account

    room + held + spent + unknown == everything it was granted

holds before and after every operation except `force`, which may take room below zero. That is the proof that
a limit is not passed: an account grants no more than its limit, and `reserve` never takes more than `room`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from otel_llm_cost.budgets.measure import Amounts


class Account:
    """What one process may still spend from one budget's account, and what it did with the rest.

    measure: index into `Amounts`. room: may be reserved at once. held: reserved by calls that run. spent:
    true costs. unknown: upper bounds of calls whose outcome nobody knows. The last two only ever describe
    this process; a shared store adds up everybody's.
    """

    __slots__ = ("held", "measure", "room", "spent", "unknown")

    def __init__(self, measure: int = 0, room: int = 0) -> None:
        self.measure = measure
        self.room = room
        self.held = 0
        self.spent = 0
        self.unknown = 0

    @property
    def granted(self) -> int:
        """All that this account was ever given."""
        return self.room + self.held + self.spent + self.unknown


AnyAccount = TypeVar("AnyAccount", bound=Account)

RUNNING, UNKNOWN, CLOSED = "running", "unknown", "closed"


class Hold:
    """A reservation of the same amounts in several accounts. It ends once; later ends change nothing."""

    __slots__ = ("accounts", "amounts", "state")

    def __init__(self, accounts: Sequence[Account], amounts: Amounts) -> None:
        self.accounts = accounts
        self.amounts = amounts
        self.state = RUNNING


def lacking(accounts: Iterable[AnyAccount], amounts: Amounts) -> list[AnyAccount]:
    """The accounts that have no room for these amounts."""
    return [account for account in accounts if account.room < amounts[account.measure]]


def reserve(hard: Sequence[Account], every: Sequence[Account], amounts: Amounts) -> Hold | None:
    """Take the amounts from `every` account if each of the `hard` ones has room, else nothing and None."""
    for account in hard:
        if account.room < amounts[account.measure]:
            return None
    return force(every, amounts)


def force(accounts: Sequence[Account], amounts: Amounts) -> Hold:
    """Take the amounts even where there is no room: budgets that only warn, stores that fail open."""
    for account in accounts:
        amount = amounts[account.measure]
        account.room -= amount
        account.held += amount
    return Hold(accounts, amounts)


def settle(hold: Hold, true: Amounts) -> None:
    """Replace the upper bound by what it really was; also when that becomes known late."""
    if hold.state is CLOSED:
        return
    bounds = hold.amounts
    if hold.state is RUNNING:
        for account in hold.accounts:
            bound, amount = bounds[account.measure], true[account.measure]
            account.held -= bound
            account.spent += amount
            account.room += bound - amount
    else:
        for account in hold.accounts:
            bound, amount = bounds[account.measure], true[account.measure]
            account.unknown -= bound
            account.spent += amount
            account.room += bound - amount
    hold.state = CLOSED


def release(hold: Hold) -> None:
    """Nothing was billed: give everything back."""
    settle(hold, Amounts(0, 0, 0))


def charge_unknown(hold: Hold) -> None:
    """Nobody knows what was billed (a timeout, a crash): the bound stays charged until evidence comes."""
    if hold.state is not RUNNING:
        return
    for account in hold.accounts:
        amount = hold.amounts[account.measure]
        account.held -= amount
        account.unknown += amount
    hold.state = UNKNOWN
