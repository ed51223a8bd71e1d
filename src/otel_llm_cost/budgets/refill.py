"""What happens when a process has no room left: exchanges with the store, waiting, refusing, housekeeping.

One exchange runs at a time and asks for everybody who waits. Room that is to be given back is taken out of
the share *before* the store is told, room that is granted is added *after* it answered: whatever is lost in
between, this process never believes that it holds more than the store has charged.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

from otel_llm_cost.budgets.housekeeper import Housekeeper
from otel_llm_cost.budgets.lease import LEASE_SECONDS, Identity, Store, StoreAway
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold, force, lacking
from otel_llm_cost.budgets.share import Lack, Scope, Share
from otel_llm_cost.core import faults

if TYPE_CHECKING:
    from otel_llm_cost.budgets.book import Book
    from otel_llm_cost.budgets.definition import Budget
    from otel_llm_cost.budgets.rules import Facets

AWAY_SECONDS = 1.0
"""After a failure the store is left alone for this long, so that not every call waits for it."""

REFUSED_SECONDS = 0.25
"""After a refusal equal or larger amounts are refused without asking the store: no storm on our own wall."""

PRUNE_SECONDS = 600.0
"""How often a process has the store forget old accounts."""

MOST_ASKS = 200
"""Leases in one exchange; more are told in several."""

MOST_ROUNDS = 50
"""Exchanges for one call before it counts as refused: others took what was granted each time."""

_SEVERITY = ("block", "degrade", "cap_output")


class Refill:
    """The shares of a book and their exchanges with its store."""

    def __init__(self, book: Book, store: Store, on_new: Callable[[Identity], None] | None) -> None:
        self._book: Book = weakref.proxy(book)
        self._lock = book.lock
        self._store = store
        self._on_new = on_new
        self.is_instant = store.is_instant
        self.blind = 0
        self._revision = 0
        self._exchanging = threading.RLock()
        self._start_over()
        self._housekeeper = Housekeeper(weakref.WeakMethod(self.tick))
        register(self)

    def _start_over(self) -> None:
        self.shares: dict[str, Share] = {}
        self.fresh_until = float("inf") if self.is_instant else 0.0
        self._away_until = 0.0
        self._prune_at = self._book.monotonic() + PRUNE_SECONDS
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._number = count()
        self._executor: ThreadPoolExecutor | None = None

    def forget_parent(self) -> None:
        """In a forked child: the leases are the parent's, and so are its connections, threads and locks."""
        self._exchanging = threading.RLock()
        self._start_over()
        self._store.reset_after_fork()
        self._housekeeper.forget_parent()
        self._lock = self._book.forget_parent()

    def start(self) -> None:
        """Read what the store says about budgets, and keep house from now on."""
        if self._housekeeper.start():
            self._read_definitions()

    def share(self, budget: Budget, identity: Identity, limit: int) -> Share:
        """This process's share of an account, made when first needed; with its limit and budget as of now."""
        share = self.shares.get(identity.key)
        if share is None:
            share = Share(budget, identity, limit, f"{self._owner}.{next(self._number)}")
            self.shares[identity.key] = share
        if share.limit != limit:
            share.limit, share.refused_until = limit, 0.0
        share.budget = budget
        return share

    def note_soft(self, shares: Iterable[Share]) -> None:
        """Budgets that only warn never wait for the store; the news is fetched behind the call."""
        overdrawn = [share for share in shares if share.room < 0]
        if overdrawn and self.is_instant:
            with self._exchanging:
                self._exchange(overdrawn)
        elif overdrawn:
            self._housekeeper.wake()

    async def obtain_async(self, facets: Facets, amounts: Amounts, now: int) -> Hold | Lack:
        """`obtain` on a thread of ours. A task that is cancelled meanwhile gives back what it got."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(2, "otel-llm-cost-budgets")
        waiting = self._queue(facets, amounts, now)  # so that the exchange of another task asks for this, too
        job = self._executor.submit(self._take_turn, facets, amounts, now, waiting)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            job.add_done_callback(lambda job: self._give_back(job, waiting))
            raise

    def _give_back(self, job: Future[Hold | Lack], waiting: dict[Share, int]) -> None:
        if job.cancelled():
            self._leave_queue(waiting)
        elif isinstance(answer := job.result(), Hold):
            self._book.release(answer)

    def obtain(self, facets: Facets, amounts: Amounts, now: int) -> Hold | Lack:
        """Reserve, with the store's help where needed. May block."""
        return self._take_turn(facets, amounts, now, self._queue(facets, amounts, now))

    def _take_turn(
        self, facets: Facets, amounts: Amounts, now: int, waiting: dict[Share, int]
    ) -> Hold | Lack:
        try:
            with self._exchanging:
                return self._obtain(facets, amounts, now, waiting)
        finally:
            self._leave_queue(waiting)

    def _queue(self, facets: Facets, amounts: Amounts, now: int) -> dict[Share, int]:
        waiting: dict[Share, int] = {}
        with self._lock:
            self._wait(lacking(self._book.scope(facets, now).hard, amounts), amounts, waiting)
        return waiting

    def _leave_queue(self, waiting: dict[Share, int]) -> None:
        with self._lock:
            for share, amount in waiting.items():
                share.stop_waiting(amount)

    @staticmethod
    def _wait(short: Sequence[Share], amounts: Amounts, waiting: dict[Share, int]) -> None:
        for share in short:
            if share not in waiting:
                waiting[share] = amounts[share.measure]
                share.wait_for(waiting[share])

    def _obtain(self, facets: Facets, amounts: Amounts, now: int, waiting: dict[Share, int]) -> Hold | Lack:
        short: list[Share] = []
        for _ in range(MOST_ROUNDS):
            moment = self._book.monotonic()
            with self._lock:
                self._freshen(moment)
                hold = self._book.try_reserve(facets, amounts, now)
                if hold is not None:
                    return hold
                scope = self._book.scope(facets, now)
                short = lacking(scope.hard, amounts)
                self._wait(short, amounts, waiting)
            refused = [s for s in short if moment < s.refused_until and amounts[s.measure] >= s.refused]
            if refused:
                return self._lack(scope, refused)
            try:
                if moment < self._away_until:
                    raise StoreAway("the budget store did not answer a moment ago")
                self._exchange(short)
            except StoreAway:
                return self._without_store(scope, amounts, short)
            with self._lock:
                exhausted = [s for s in lacking(scope.hard, amounts) if s.is_exhausted]
            if exhausted:
                for share in exhausted:
                    share.refused_until = 0.0 if self.is_instant else self._book.monotonic() + REFUSED_SECONDS
                    share.refused = amounts[share.measure]
                return self._lack(scope, exhausted)
        return self._lack(scope, short)

    @staticmethod
    def _lack(scope: Scope, shares: Sequence[Share], *, away: bool = False) -> Lack:
        worst = min(shares, key=lambda share: _SEVERITY.index(scope.actions[share]))
        return Lack(worst, scope.actions[worst], away)

    def _without_store(self, scope: Scope, amounts: Amounts, short: Sequence[Share]) -> Hold | Lack:
        closed = [share for share in short if share.budget.on_failure == "closed"]
        if closed:
            return self._lack(scope, closed, away=True)
        with self._lock:
            self.blind += 1
            return force(scope.every, amounts)

    def _freshen(self, moment: float) -> None:
        """Start nothing on a lease that has run out: others may have been told that it is spent."""
        if moment < self.fresh_until:
            return
        live = moment + LEASE_SECONDS
        for share in self.shares.values():
            if share.room > 0:
                if share.until <= moment:
                    share.room = 0
                else:
                    live = min(live, share.until)
        self.fresh_until = live

    def _exchange(self, shares: Sequence[Share], *, close: bool = False) -> None:
        """Report and ask for these shares. Raises StoreAway with nothing changed here."""
        moment = self._book.monotonic()
        with self._lock:
            asks, debts = [], []
            for share in shares:
                if share.waiting:
                    share.usual = max(share.usual * 2, share.waiting * 8)
                    share.used = moment
                asks.append(share.ask(everything=self.is_instant, close=close))
                debts.append(min(share.room, 0))
        try:
            grants, revision = self._store.exchange(asks)
        except StoreAway:
            self._away_until = self._book.monotonic() + AWAY_SECONDS
            raise
        with self._lock:
            for share, ask, debt, grant in zip(shares, asks, debts, grants, strict=True):
                share.room -= debt
                share.take(ask, grant, moment + LEASE_SECONDS)
        if revision != self._revision:
            self._read_definitions()
        if self._on_new is not None:
            self._seed([share for share, grant in zip(shares, grants, strict=True) if grant.is_new])

    def _seed(self, shares: Sequence[Share]) -> None:
        """Let the ledger say what was spent before the store knew these accounts; then ask again."""
        for share in shares:
            with self._lock:
                share.room, share.is_exhausted = min(share.room, 0), False
            try:
                assert self._on_new is not None
                self._on_new(share.identity)
            except Exception as error:  # noqa: BLE001 - the ledger may be away; the budget counts from now then
                faults.report("seeding a budget from the ledger", error)

    def _read_definitions(self) -> None:
        try:
            definitions = self._store.definitions()
        except StoreAway:
            return
        self._revision = definitions.revision
        self._book.use_definitions(definitions)

    def tick(self) -> None:
        """Report what was spent, renew what is in use, give back what idles, see new definitions."""
        with self._exchanging:
            moment, now = self._book.monotonic(), int(self._book.clock())
            if moment < self._away_until:
                return
            with self._lock:
                self._freshen(moment)
                done = [share for share in self.shares.values() if _is_done(share, moment, now)]
                for share in done:
                    del self.shares[share.identity.key]
                    share.room = 0
                if done:
                    self._book.forget_scopes()
                if not self.is_instant:
                    for share in self.shares.values():
                        _trim(share, moment)
                due = [share for share in self.shares.values() if _is_due(share, moment)]
            try:
                while done:
                    self._exchange(done[:MOST_ASKS], close=True)
                    del done[:MOST_ASKS]
                for first in range(0, len(due), MOST_ASKS):
                    self._exchange(due[first : first + MOST_ASKS])
                if not due and self._store.revision() != self._revision:
                    self._read_definitions()
                if moment >= self._prune_at:
                    self._prune_at = moment + PRUNE_SECONDS
                    self._store.prune(now)
            except StoreAway:
                with self._lock:
                    for share in done:  # the next round tells the store
                        self.shares.setdefault(share.identity.key, share)
                return
            with self._lock:
                rooms = (share.until for share in self.shares.values() if share.room > 0)
                if not self.is_instant:
                    self.fresh_until = min(rooms, default=moment + LEASE_SECONDS)

    def close(self) -> None:
        """Report everything and give back all room; what calls still hold stays charged."""
        self._housekeeper.stop()
        with self._exchanging:
            with self._lock:
                shares = list(self.shares.values())
                for share in shares:
                    share.room = min(share.room, 0)
                self.shares.clear()
                self._book.forget_scopes()
            try:
                for first in range(0, len(shares), MOST_ASKS):
                    self._exchange(shares[first : first + MOST_ASKS], close=True)
            except StoreAway:
                pass  # unreported leases expire and count as spent until the ledger knows
            self._store.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False)


def _is_done(share: Share, moment: float, now: int) -> bool:
    """Whether nothing can come on this share any more, or nobody came for long."""
    if share.held or share.waiting:
        return False
    end = share.identity.end
    return now >= end if end is not None else moment - share.used > 2 * LEASE_SECONDS


def _is_due(share: Share, moment: float) -> bool:
    in_use = share.room > 0 or share.held > 0
    return share.has_news or share.room < 0 or (in_use and share.until < moment + LEASE_SECONDS * 2 / 3)


def _trim(share: Share, moment: float) -> None:
    """Keep less room where others may need it, and none where nobody used it for the life of a lease."""
    recent = share.spent + share.unknown - sum(share.reported)
    if recent or share.held:
        share.used = moment
    share.usual //= 2
    if moment - share.used > LEASE_SECONDS:
        share.room = min(share.room, 0)
    elif share.is_tight:
        share.room = min(share.room, max(recent, 0) + share.held)


_live: weakref.WeakSet[Refill] = weakref.WeakSet()


def register(refill: Refill) -> None:
    """Have this one told of forks and of the end of the process."""
    _live.add(refill)


def _in_child() -> None:
    for refill in list(_live):
        try:
            refill.forget_parent()
        except ReferenceError:
            continue  # its book is gone


def _at_exit() -> None:
    for refill in list(_live):
        try:
            refill.close()
        except ReferenceError:
            continue


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
