"""This process's share of an account: the reservation algebra plus what its lease needs to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_llm_cost.budgets.lease import Ask, Grant, Identity
from otel_llm_cost.budgets.measure import GRAIN, MEASURES, grains_up
from otel_llm_cost.budgets.reserve import Account

if TYPE_CHECKING:
    from otel_llm_cost.budgets.definition import Action, Budget


class Share(Account):
    """An account of this process, leased from a store.

    budget, identity, limit (grains): what it is a share of. lease: its name in the store. until: monotonic
    seconds up to which calls may start on it. waiting, least: amounts that calls wait for, and the smallest.
    usual: room worth keeping, from recent use. everybody_spent, everybody_reserved: atto-dollars, tokens or
    calls, as the store last said. is_exhausted: the store had nothing left for those who waited. is_over: the
    limit is passed.
    refused_until, refused: until when amounts from `refused` up are refused without asking again.
    """

    __slots__ = (
        "budget",
        "everybody_reserved",
        "everybody_spent",
        "identity",
        "is_exhausted",
        "is_over",
        "lease",
        "least",
        "limit",
        "refused",
        "refused_until",
        "reported",
        "until",
        "used",
        "usual",
        "waiting",
    )

    def __init__(self, budget: Budget, identity: Identity, limit: int, lease: str) -> None:
        super().__init__(MEASURES.index(identity.measure))
        self.budget = budget
        self.identity = identity
        self.limit = limit
        self.lease = lease
        self.until = 0.0
        self.used = 0.0
        self.waiting = 0
        self.least = 0
        self.usual = 0
        self.reported = (0, 0)
        self.everybody_spent = 0
        self.everybody_reserved = 0
        self.is_exhausted = False
        self.is_over = False
        self.refused = 0
        self.refused_until = 0.0

    def wait_for(self, amount: int) -> None:
        """One more call waits for this much."""
        self.least = min(self.least, amount) if self.waiting else amount
        self.waiting += amount

    def stop_waiting(self, amount: int) -> None:
        """That call got it, or was refused."""
        self.waiting = max(0, self.waiting - amount)
        self.least = min(self.least, self.waiting)

    def ask(self, *, everything: bool, close: bool = False) -> Ask:
        """What to tell and ask the store now. The room that stays is part of the floor, debts are not."""
        measure = self.identity.measure
        keep = max(self.room, 0)
        floor = 0 if close and not self.held else grains_up(self.held + keep, measure)
        need = max(0, grains_up(self.waiting - keep, measure)) if self.waiting else 0
        least = max(0, grains_up(self.least - keep, measure)) if self.waiting else 0
        slack = 0 if close else self.limit if everything else grains_up(self.usual, measure)
        self.reported = (self.spent, self.unknown)
        return Ask(
            self.identity,
            self.lease,
            self.limit,
            grains_up(self.spent, measure),
            grains_up(self.unknown, measure),
            floor,
            need,
            least,
            slack,
            close,
        )

    def take(self, ask: Ask, grant: Grant, until: float) -> None:
        """Put what the store granted beyond the floor into the room."""
        grain = GRAIN[self.identity.measure]
        self.room += (grant.lease - ask.floor) * grain
        self.until = until
        self.everybody_spent = grant.spent * grain
        self.everybody_reserved = grant.reserved * grain
        self.is_exhausted = grant.lease - ask.floor < ask.least
        # What idles here is charged but not used: a warning counts only what is.
        self.is_over = self.everybody_spent + self.everybody_reserved - max(self.room, 0) > self.limit * grain

    @property
    def is_tight(self) -> bool:
        """Whether over nine tenths of the limit are charged, so that others may need what idles here."""
        charged = self.everybody_spent + self.everybody_reserved
        return charged * 10 > self.limit * GRAIN[self.identity.measure] * 9

    @property
    def left(self) -> int:
        """What nobody holds, as the store last said, and what idles here."""
        charged = self.everybody_spent + self.everybody_reserved
        return max(0, self.limit * GRAIN[self.identity.measure] - charged + max(self.room, 0))

    @property
    def has_news(self) -> bool:
        """Whether the store does not know yet what was spent here."""
        return self.reported != (self.spent, self.unknown)


class Scope(NamedTuple):
    """The shares that calls of one kind must agree with, up to `until` (Unix seconds).

    hard: those with a say (block, degrade, cap_output). soft: those that only warn.
    """

    hard: tuple[Share, ...]
    soft: tuple[Share, ...]
    every: tuple[Share, ...]
    actions: dict[Share, Action]
    until: float


class Lack(NamedTuple):
    """Nothing was reserved: which share had no room, and what its budget wants done.

    away: the store did not answer and the budget fails closed.
    """

    share: Share
    action: Action
    away: bool = False
