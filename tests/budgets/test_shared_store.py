"""Several processes on one store, in any order of events, with kills, stops and lost answers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.lease import Ask, Grant, Store, StoreAway
from otel_llm_cost.budgets.measure import GRAIN, Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.stores.memory import MemoryStore
from otel_llm_cost.budgets.stores.redis import RedisStore
from otel_llm_cost.budgets.stores.sqlite import SQLiteStore
from otel_llm_cost.core.cost import ATTO

CENT = ATTO // 100
LIMITS = {"company": 300 * CENT, "team": 200 * CENT}
BUDGETS = read_budgets(
    [
        {"name": "company", "limit": "3 USD", "on_failure": "closed"},
        {"name": "team", "match": {"team": "search"}, "limit": "2 USD", "on_failure": "closed"},
    ]
)
NOW = 1_800_000_000
SETTINGS = partial(settings, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))


class Unreliable:
    """A store of which an answer may get lost, before or after the work is done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fault = ""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        fault, self.fault = self.fault, ""
        if fault == "before":
            raise StoreAway("lost on the way there")
        answer = self._store.exchange(asks)
        if fault == "after":
            raise StoreAway("lost on the way back")
        return answer


class Processes(RuleBasedStateMachine):
    """Three books; `true` is what the provider would bill at worst, kept apart from any of our own sums."""

    kills = True

    def make_store(self) -> Store:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.moment = 0.0
        self.shared = self.make_store()
        self.stores = [Unreliable(self.shared) for _ in range(3)]
        self.books = [self.new_book(index) for index in range(3)]
        self.holds: list[tuple[int, Hold, str, int]] = []
        self.billed = {"company": 0, "team": 0}
        self.killed = False

    def new_book(self, index: int) -> Book:
        book = Book(self.stores[index], BUDGETS, clock=self.clock, monotonic=lambda: self.moment)  # type: ignore[arg-type]
        book._refill._housekeeper.start = lambda: False  # type: ignore[method-assign]  # the machine ticks itself
        return book

    def clock(self) -> float:
        return NOW + self.moment

    @rule(index=st.integers(0, 2), cents=st.integers(1, 60), team=st.sampled_from(["search", "ads"]))
    def reserve(self, index: int, cents: int, team: str) -> None:
        book = self.books[index]
        facets = book.rules.facets("openai", "m", "", "chat", {"team": team})
        answer = book.reserve(facets, Amounts(cents * CENT), NOW)
        if isinstance(answer, Hold):
            self.holds.append((index, answer, team, cents * CENT))
            self.bill(team, cents * CENT)

    def bill(self, team: str, amount: int) -> None:
        self.billed["company"] += amount
        if team == "search":
            self.billed["team"] += amount

    @rule(
        which=st.integers(0, 10**6),
        part=st.integers(0, 100),
        end=st.sampled_from(["settle", "release", "unknown"]),
    )
    def end_one(self, which: int, part: int, end: str) -> None:
        if not self.holds:
            return
        index, hold, team, bound = self.holds.pop(which % len(self.holds))
        book = self.books[index]
        if end == "unknown":
            book.charge_unknown(hold)  # for all we know it was billed
        elif end == "release":
            book.release(hold)
            self.bill(team, -bound)
        else:
            true = bound * part // 100
            book.settle(hold, Amounts(true))
            self.bill(team, true - bound)

    @rule(index=st.integers(0, 2), fault=st.sampled_from(["before", "after"]))
    def lose_an_answer(self, index: int, fault: str) -> None:
        self.stores[index].fault = fault

    @rule(index=st.integers(0, 2))
    def keep_house(self, index: int) -> None:
        self.books[index].tick()

    @precondition(lambda self: self.kills)
    @rule(index=st.integers(0, 2))
    def kill(self, index: int) -> None:
        self.holds = [held for held in self.holds if held[0] != index]  # billed at worst, never settled
        self.books[index] = self.new_book(index)
        self.killed = True

    @rule(index=st.integers(0, 2))
    def restart(self, index: int) -> None:
        if all(held[0] != index for held in self.holds):
            self.killed = self.killed or bool(self.stores[index].fault)  # its last words are lost
            self.books[index].close()
            self.books[index] = self.new_book(index)

    @rule(seconds=st.sampled_from([1.0, 5.0, 31.0, 70.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.moment += seconds

    @invariant()
    def no_limit_is_passed(self) -> None:
        for name, limit in LIMITS.items():
            assert getattr(self, "billed", {name: 0})[name] <= limit

    @invariant()
    def the_store_never_lends_more_than_there_is(self) -> None:
        if not hasattr(self, "shared"):
            return
        for state in self.shared.states():
            charged = state.spent + state.unknown + state.leased + state.adjusted
            assert charged <= state.limit + 2  # a grain of rounding per report
            assert charged >= self.billed[state.account.budget] // GRAIN["usd"]

    def teardown(self) -> None:
        if not hasattr(self, "shared"):
            return
        self.moment += 5  # a lost answer keeps the store "away" for a second
        for index, hold, team, bound in self.holds:
            self.books[index].release(hold)
            self.bill(team, -bound)
        for store, book in zip(self.stores, self.books, strict=True):
            store.fault = ""
            book.close()
        if not self.killed:
            for state in self.shared.states():
                assert state.leased == 0
                assert state.spent + state.unknown <= self.billed[state.account.budget] // GRAIN["usd"] + 60
        self.shared.close()


class OnMemory(Processes):
    """Slices lent by the plain store."""

    def make_store(self) -> Store:
        return MemoryStore(self.clock, share=32)


class WithoutKills(OnMemory):
    """Nothing may leak when nobody dies: what was lent comes back, and what was spent is counted once."""

    kills = False


class OnSQLite(Processes):
    """The same on a file."""

    def make_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(Path(self.folder.name) / "budgets.db", clock=self.clock)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


class OnRedis(Processes):
    """The same in Redis; its clock is the server's, so leases do not expire there while the test runs."""

    port = 0

    def make_store(self) -> Store:
        return RedisStore(
            f"redis://127.0.0.1:{self.port}/0?namespace={uuid4().hex}&socket_timeout=5&socket_connect_timeout=5"
        )


def test_no_order_of_events_passes_a_limit_in_redis(redis_port: int) -> None:
    OnRedis.port = redis_port
    run_state_machine_as_test(OnRedis, settings=SETTINGS(max_examples=12))


@pytest.mark.parametrize(("machine", "examples"), [(OnMemory, 40), (WithoutKills, 60), (OnSQLite, 12)])
def test_no_order_of_events_passes_a_limit(machine: type[Processes], examples: int) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS(max_examples=examples))
