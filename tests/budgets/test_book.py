"""One process's book when things go wrong around it: forks, stops, slow and broken stores, cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.denial import exceeded
from otel_llm_cost.budgets.lease import Ask, Grant, Identity, Raise
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.share import Lack
from otel_llm_cost.budgets.stores import open_store
from otel_llm_cost.budgets.stores.memory import MemoryStore
from otel_llm_cost.budgets.stores.redis import RedisStore
from otel_llm_cost.budgets.stores.sqlite import SQLiteStore
from otel_llm_cost.core.errors import ConfigError, StoreError

NOW = int(time.time())


def budgets(**more: Any) -> Any:
    return read_budgets([{"name": "b", "limit": "100 calls", "window": "month", **more}])


def ask(book: Book, calls: int = 1) -> Hold | Lack:
    return book.reserve(book.rules.facets("openai", "m", "", "chat", {}), Amounts(0, 0, calls), NOW)


def charged(path: Path) -> tuple[int, int]:
    """Spent, and reserved by anybody, in the file."""
    store = SQLiteStore(path)
    (state,) = store.states()
    store.close()
    return state.spent, state.leased


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_with_nothing_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "budgets.db"
    book = Book(SQLiteStore(path), budgets())
    parents = ask(book, 60)
    assert isinstance(parents, Hold)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            outcome = "kept" if book._refill.shares else "dropped"
            book.settle(parents, Amounts(0, 0, 60))  # the parent's business: must not count here
            answers = [isinstance(ask(book, 15), Hold) for _ in range(3)]
            for share in book._refill.shares.values():
                share.room, share.held, share.spent = 0, 0, 30
            book.close()
            os.write(writer, f"{outcome} {answers}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode() == "dropped [True, True, False]"
    book.settle(parents, Amounts(0, 0, 60))
    book.close()
    assert charged(path) == (90, 0)


def test_a_process_past_its_lease_may_finish_calls_but_not_start_them() -> None:
    moment = 0.0
    store = MemoryStore(lambda: NOW + moment, share=32)
    book = Book(store, budgets(on_failure="closed"), monotonic=lambda: moment)
    book._refill._housekeeper.stop()
    hold = ask(book)
    assert isinstance(hold, Hold)
    (share,) = book._refill.shares.values()
    assert share.room > 0  # it could start more without asking
    moment = 31.0  # stopped for long, and running again
    store.exchange = _away  # type: ignore[method-assign]
    answer = ask(book)
    assert isinstance(answer, Lack)
    assert answer.away
    book.settle(hold, Amounts())
    assert (share.held, share.spent) == (0, 1)


def _away(_asks: Sequence[Ask]) -> tuple[list[Grant], int]:
    from otel_llm_cost.budgets.lease import StoreAway

    raise StoreAway("gone")


def test_a_store_that_is_away_lets_calls_go_or_not_as_the_budget_says() -> None:
    for policy, kind in (("open", Hold), ("closed", Lack)):
        store = MemoryStore(share=32)
        book = Book(store, budgets(on_failure=policy))
        store.exchange = _away  # type: ignore[method-assign]
        answer = ask(book)
        assert isinstance(answer, kind)
        if isinstance(answer, Lack):
            error = exceeded(answer, Amounts())
            assert "cannot be checked since its store does not answer" in str(error)
            assert error.limit is None


class SlowStore(MemoryStore):
    """Every exchange takes a fifth of a second."""

    exchanges = 0

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        self.exchanges += 1
        time.sleep(0.2)
        return super().exchange(asks)


async def test_a_slow_store_does_not_block_the_event_loop() -> None:
    store = SlowStore(share=32)
    book = Book(store, budgets())
    book._refill._housekeeper.stop()
    facets = book.rules.facets("openai", "m", "", "chat", {})
    worst = 0.0

    async def heartbeat() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            worst = max(worst, time.monotonic() - before)

    beating = asyncio.create_task(heartbeat())
    answers = await asyncio.gather(*(book.reserve_async(facets, Amounts(), NOW) for _ in range(120)))
    beating.cancel()
    assert sum(isinstance(answer, Hold) for answer in answers) == 100
    assert worst < 0.15
    assert store.exchanges < 8  # one asks for many


async def test_a_task_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    book = Book(SlowStore(share=32), budgets())
    book._refill._housekeeper.stop()
    facets = book.rules.facets("openai", "m", "", "chat", {})
    waiting = asyncio.create_task(book.reserve_async(facets, Amounts(), NOW))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.4)
    (share,) = book._refill.shares.values()
    assert (share.held, share.waiting) == (0, 0)


def test_a_storm_against_our_own_wall_does_not_reach_the_store() -> None:
    store = SlowStore(share=32)
    book = Book(store, budgets(limit="1 calls"))
    assert isinstance(ask(book), Hold)
    assert isinstance(ask(book), Lack)
    before, start = store.exchanges, time.monotonic()
    refused = sum(isinstance(ask(book), Lack) for _ in range(1000))
    assert refused == 1000
    assert store.exchanges - before <= 1 + (time.monotonic() - start) / 0.25


def test_our_thread_sees_a_raise_within_five_seconds(tmp_path: Path) -> None:
    path = tmp_path / "budgets.db"
    book = Book(SQLiteStore(path), budgets(limit="1 calls"))
    assert isinstance(ask(book), Hold)
    assert isinstance(ask(book), Lack)
    elsewhere = SQLiteStore(path)
    elsewhere.add_raise(Raise("b", 1, NOW + 1000, "launch", "ann", NOW - 1))
    start = time.monotonic()
    while isinstance(ask(book), Lack):
        assert time.monotonic() - start < 5
        time.sleep(0.05)
    book.close()
    elsewhere.close()


def test_a_broken_file_is_set_aside_and_live_processes_tell_again_what_they_spent(tmp_path: Path) -> None:
    path = tmp_path / "budgets.db"
    book = Book(SQLiteStore(path), budgets())
    book._refill._housekeeper.stop()
    hold = ask(book, 40)
    assert isinstance(hold, Hold)
    book.settle(hold, Amounts(0, 0, 40))
    book.tick()
    assert charged(path)[0] == 40
    for file in tmp_path.glob("budgets.db*"):
        file.write_bytes(b"this is no database" * 500)
    book._refill._store.close()
    for _ in range(3):
        book._refill._away_until = 0.0
        book.tick()
        (share,) = book._refill.shares.values()
        share.reported = (0, 0)
    assert list(tmp_path.glob("budgets.db.broken-*"))
    assert charged(path)[0] == 40
    book.close()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "budgets.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="made by a newer version; upgrade otel-llm-cost"):
        SQLiteStore(path).revision()


def test_a_new_account_is_seeded_before_anything_is_granted() -> None:
    store = MemoryStore()
    seeded: list[Identity] = []

    def from_ledger(account: Identity) -> None:
        seeded.append(account)
        store.adjust(account, 100, 99, 0)

    book = Book(store, budgets(), on_new=from_ledger)
    assert isinstance(ask(book), Hold)
    assert isinstance(ask(book), Lack)
    assert len(seeded) == 1


def test_a_rolling_window_gets_room_back_as_spend_ages_and_not_before() -> None:
    moment = 0.0
    store = MemoryStore(lambda: NOW + moment)
    book = Book(store, budgets(window="rolling 60s", limit="2 calls"), clock=lambda: NOW + moment)
    book._refill._housekeeper.stop()
    for _ in range(2):
        hold = ask(book)
        assert isinstance(hold, Hold)
        book.settle(hold, Amounts())
    book.tick()
    for seconds in (0.0, 30.0, 60.0):
        moment = seconds
        assert isinstance(ask(book), Lack), seconds
    moment = 62.0  # one slot late at most
    assert isinstance(ask(book), Hold)


def test_a_new_period_has_its_own_account() -> None:
    book = Book(MemoryStore(), budgets(limit="1 calls", window="day"))
    facets = book.rules.facets("openai", "m", "", "chat", {})
    answers = [book.reserve(facets, Amounts(), NOW + day * 86400) for day in (0, 0, 1, 1)]
    assert [type(answer) for answer in answers] == [Hold, Lack, Hold, Lack]


def test_redis_that_is_gone_costs_a_call_at_most_fifty_milliseconds(own_redis: Any) -> None:
    port, server = own_redis
    book = Book(RedisStore(f"redis://127.0.0.1:{port}/0"), budgets(on_failure="closed"))
    book._refill._housekeeper.stop()
    book.prepare()
    hold = ask(book)
    assert isinstance(hold, Hold)
    (share,) = book._refill.shares.values()
    for end in (signal.SIGSTOP, signal.SIGKILL):
        server.send_signal(end)
        share.room, book._refill._away_until = 0, 0.0
        start = time.monotonic()
        answer = ask(book)
        took = time.monotonic() - start
        assert isinstance(answer, Lack)
        assert answer.away
        assert took < 0.06
    start = time.monotonic()
    assert isinstance(ask(book), Lack)  # it is left alone for a while
    assert time.monotonic() - start < 0.01


def test_a_redis_cluster_takes_the_script_since_all_keys_lie_on_one_node(redis_cluster_port: int) -> None:
    store = RedisStore(
        f"redis://127.0.0.1:{redis_cluster_port}?cluster=true&socket_timeout=5&socket_connect_timeout=5"
    )
    several = read_budgets([{"name": f"b{n}", "limit": "1 calls"} for n in range(5)])
    book = Book(store, several)
    assert isinstance(ask(book), Hold)
    assert isinstance(ask(book), Lack)
    book.tick()
    assert [state.leased for state in store.states()] == [1] * 5
    book.close()


def test_redis_keeps_definitions_raises_and_evidence(redis_port: int) -> None:
    store = RedisStore(
        f"redis://127.0.0.1:{redis_port}/0?namespace=evidence&socket_timeout=5&socket_connect_timeout=5"
    )
    book = Book(store, budgets())
    book._refill._housekeeper.stop()
    hold = ask(book, 10)
    assert isinstance(hold, Hold)
    book.charge_unknown(hold)
    book.close()
    (state,) = store.states()
    assert (state.spent, state.unknown, state.leased) == (0, 10, 0)
    store.adjust(state.account, state.limit, 4, 6)
    store.charge(state.account, state.limit, 5)
    (state,) = store.states()
    assert (state.spent, state.unknown, state.adjusted) == (5, 6, 4)
    store.define("b", "", "ann", "no longer")
    store.add_raise(Raise("b", 3, NOW + 9, "r", "ann", NOW))
    told = store.definitions()
    assert (told.revision, told.budgets, told.raises) == (
        2,
        (("b", ""),),
        (Raise("b", 3, NOW + 9, "r", "ann", NOW),),
    )
    assert [entry[2] for entry in store.history()] == ["b", "b"]
    store.close()


def test_an_unknown_store_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown kind 'mysql'; expected one of memory://"):
        open_store("mysql://x")
