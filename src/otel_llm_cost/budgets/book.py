"""The book of one process: every reservation goes through here, and only shortage goes to the store.

    book = Book(open_store("sqlite:///budgets.db"), budgets)
    answer = book.reserve(book.rules.facets(...), Amounts(usd=bound), now)
    if isinstance(answer, Lack): ...     # nothing was reserved
    else: book.settle(answer, Amounts(usd=cost))

The common path is a dict lookup and some additions under one lock; `refill.py` does the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from otel_llm_cost.budgets import reserve as algebra
from otel_llm_cost.budgets.definition import Action, Budget
from otel_llm_cost.budgets.lease import Definitions, Identity, Store
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.refill import Refill
from otel_llm_cost.budgets.reserve import Hold, reserve
from otel_llm_cost.budgets.rules import Facets, Rules
from otel_llm_cost.budgets.share import Lack, Scope, Share

MOST_SCOPES = 10_000
"""Kinds of calls remembered; beyond it the memory starts anew, accounts and reservations stay."""


class Book:
    """Reservations of one process over all budgets; safe in threads, in asyncio, and after a fork.

    clock: Unix seconds. monotonic: seconds that no clock change touches. on_new: called for an account that
    the store did not know, to seed it from the ledger; on a thread that waits anyway.
    """

    def __init__(
        self,
        store: Store,
        budgets: Iterable[Budget] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_new: Callable[[Identity], None] | None = None,
    ) -> None:
        self.own_budgets = tuple(budgets)
        self.rules = Rules(self.own_budgets)
        self.clock = clock
        self.monotonic = monotonic
        self._scopes: dict[Facets, Scope] = {}
        self._lock = threading.RLock()  # reentrant: a signal or a destructor may come in between
        self._refill = Refill(self, store, on_new)
        self.store = store

    def reserve(self, facets: Facets, amounts: Amounts, now: int) -> Hold | Lack:
        """Reserve the upper bounds in every matching budget, or nothing. May wait for the store.

        now: Unix seconds of the call's start, which decides its period.
        """
        answer = self.try_reserve(facets, amounts, now)
        return self._refill.obtain(facets, amounts, now) if answer is None else answer

    async def reserve_async(self, facets: Facets, amounts: Amounts, now: int) -> Hold | Lack:
        """The same for an event loop: waiting is done elsewhere."""
        answer = self.try_reserve(facets, amounts, now)
        if answer is not None:
            return answer
        if self._refill.is_instant:
            return self._refill.obtain(facets, amounts, now)
        return await self._refill.obtain_async(facets, amounts, now)

    def try_reserve(self, facets: Facets, amounts: Amounts, now: int) -> Hold | None:
        """Reserve from what this process holds; None when that is not enough."""
        with self._lock:  # the scope is looked up inside, since housekeeping may retire its shares
            scope = self._scopes.get(facets)
            if scope is None or now >= scope.until:
                scope = self.scope(facets, now)
            if scope.hard and self.monotonic() >= self._refill.fresh_until:
                return None
            hold = reserve(scope.hard, scope.every, amounts)
        if hold is not None and scope.soft:
            self._refill.note_soft(scope.soft)
        return hold

    def settle(self, hold: Hold, true: Amounts) -> None:
        """The call is over and this is what it really was."""
        with self._lock:
            algebra.settle(hold, true)

    def release(self, hold: Hold) -> None:
        """The provider surely billed nothing."""
        with self._lock:
            algebra.release(hold)

    def charge_unknown(self, hold: Hold) -> None:
        """Nobody knows what the provider billed: the upper bound stays charged."""
        with self._lock:
            algebra.charge_unknown(hold)

    def over(self, facets: Facets, now: int) -> list[Share]:
        """The budgets that only warn and whose limit calls of this kind have passed."""
        return [share for share in self.scope(facets, now).soft if share.is_over]

    def room(self, facets: Facets, now: int) -> Amounts:
        """About the most that a call of this kind could reserve now, from the store's last answers."""
        room = [10**40] * 3
        with self._lock:
            for share in self.scope(facets, now).hard:
                room[share.measure] = min(room[share.measure], share.left)
        return Amounts(*room)

    def scope(self, facets: Facets, now: int) -> Scope:
        """The shares of a kind of call; worked out when first seen, and again when a period ends."""
        scope = self._scopes.get(facets)
        if scope is not None and now < scope.until:
            return scope
        with self._lock:
            scope = self._scopes.get(facets)
            if scope is not None and now < scope.until:
                return scope
            self._refill.start()  # a forked child comes here first
            hard: list[Share] = []
            soft: list[Share] = []
            actions: dict[Share, Action] = {}
            until = float("inf")
            for budget, identity, limit, action in self.rules.matching(facets, now):
                share = self._refill.share(budget, identity, limit)
                (soft if action == "warn" else hard).append(share)
                actions[share] = action
                if identity.end is not None:
                    until = min(until, identity.end)
            change = self.rules.next_change(now)
            if change is not None:
                until = min(until, change)
            if len(self._scopes) >= MOST_SCOPES:
                self._scopes.clear()
            scope = Scope(tuple(hard), tuple(soft), (*hard, *soft), actions, until)
            self._scopes[facets] = scope
            return scope

    def use(self, rules: Rules) -> None:
        """From now on these budgets are in force; running reservations keep theirs."""
        with self._lock:
            self.rules = rules
            self._scopes.clear()

    def use_definitions(self, definitions: Definitions) -> None:
        """Our own budgets, with what the store says about those of the same name, and its raises, on top."""
        budgets = {budget.name: budget for budget in self.own_budgets}
        for name, text in definitions.budgets:
            if text:
                budgets[name] = Budget.model_validate_json(text)
            else:
                budgets.pop(name, None)
        self.use(Rules(budgets.values(), definitions.raises))

    def forget_scopes(self) -> None:
        """Work the scopes out anew: some share has been retired. Hold the lock."""
        self._scopes.clear()

    def forget_parent(self) -> threading.RLock:
        """In a forked child: a new lock, which is also the answer, and none of the parent's shares."""
        self._lock = threading.RLock()
        self._scopes = {}
        return self._lock

    def prepare(self) -> None:
        """Read the store's definitions and start housekeeping; a first call would do it too."""
        self._refill.start()

    @property
    def lock(self) -> threading.RLock:
        """Guards every share of this book."""
        return self._lock

    def tick(self) -> None:
        """Housekeeping that our thread does every two seconds; tests may do it themselves."""
        self._refill.tick()

    def close(self) -> None:
        """Report what was spent and give back what is left. Reservations that still run stay charged."""
        self._refill.close()
