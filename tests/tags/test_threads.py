"""Tags go along to threads and pools, and a pool's worker keeps nobody's."""

from __future__ import annotations

import asyncio
import gc
import importlib
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
from opentelemetry import baggage as otel_baggage
from opentelemetry.context import attach, detach

from otel_llm_cost import propagation, tags
from otel_llm_cost.core.tags import current

pytestmark = pytest.mark.usefixtures("installed")


def read(*_: object) -> dict[str, str]:
    return dict(current())


def in_thread(make: Callable[[Callable[[], None]], threading.Thread]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    with tags(team="search"):
        thread = make(lambda: found.append(read()))
        thread.start()
    thread.join(5)
    return found


class Subclass(threading.Thread):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work()


@pytest.mark.parametrize(
    "make",
    [lambda work: threading.Thread(target=work), lambda work: threading.Timer(0.001, work), Subclass],
    ids=["target", "timer", "subclass"],
)
def test_a_thread_has_the_tags_of_where_it_was_started(
    make: Callable[[Callable[[], None]], threading.Thread],
) -> None:
    assert in_thread(make) == [{"team": "search"}]


def test_tags_are_taken_when_a_thread_starts_and_not_when_it_is_made() -> None:
    found: list[dict[str, str]] = []
    with tags(team="maker"):
        thread = threading.Thread(target=lambda: found.append(read()))
    with tags(team="starter"):
        thread.start()
    thread.join(5)
    assert found == [{"team": "starter"}]


def test_a_thread_is_freed_and_looks_as_before() -> None:
    with tags(team="search"):
        thread = Subclass(lambda: None)
        thread.start()
    thread.join(5)
    assert "run" not in thread.__dict__
    gc.disable()
    try:
        gone = weakref.ref(thread)
        del thread
        assert gone() is None, "the thread is part of a reference cycle"
    finally:
        gc.enable()


def test_a_run_that_the_app_put_on_the_object_itself_is_called_and_kept() -> None:
    found: list[dict[str, str]] = []
    thread = threading.Thread()
    thread.run = own = lambda: found.append(read())  # type: ignore[method-assign]
    with tags(team="search"):
        thread.start()
    thread.join(5)
    assert found == [{"team": "search"}]
    assert thread.run is own


def test_a_second_start_fails_as_it_always_did() -> None:
    with tags(team="search"):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join(5)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    assert "run" not in thread.__dict__


def test_an_error_in_a_thread_is_reported_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def fail() -> None:
        raise KeyError("mine")

    with tags(team="search"):
        thread = threading.Thread(target=fail)
        thread.start()
    thread.join(5)
    assert [hook.exc_type for hook in seen] == [KeyError]


def test_each_task_of_a_pool_has_its_submitters_tags_and_a_worker_keeps_none() -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        with tags(team="search"):
            first = pool.submit(read)
        with tags(feature="rank"):
            second = pool.submit(read)
        assert [first.result(5), second.result(5), pool.submit(read).result(5)] == [
            {"team": "search"},
            {"feature": "rank"},
            {},
        ]


def test_map_over_a_pool_takes_tags_along() -> None:
    with ThreadPoolExecutor(max_workers=2) as pool, tags(team="search"):
        assert list(pool.map(read, range(3))) == [{"team": "search"}] * 3


def test_submit_passes_arguments_and_errors_through() -> None:
    with ThreadPoolExecutor(max_workers=1) as pool, tags(team="search"):
        assert pool.submit(divmod, 7, 2).result(5) == (3, 1)
        assert pool.submit(dict, fn="kept").result(5) == {"fn": "kept"}
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result(5)


async def test_run_in_executor_and_to_thread_take_tags_along() -> None:
    loop = asyncio.get_running_loop()
    with tags(team="search"):
        found = [await loop.run_in_executor(None, read), await asyncio.to_thread(read)]
    found.append(await loop.run_in_executor(None, read))
    assert found == [{"team": "search"}, {"team": "search"}, {}]


@pytest.mark.parametrize(
    "ask",
    [
        lambda pool: pool.apply(read),
        lambda pool: pool.apply_async(func=read).get(5),
        lambda pool: pool.map(read, [0])[0],
        lambda pool: pool.starmap(read, [(0,)])[0],
        lambda pool: next(pool.imap(read, [0])),
        lambda pool: next(pool.imap_unordered(read, [0])),
    ],
    ids=["apply", "apply_async", "map", "starmap", "imap", "imap_unordered"],
)
def test_a_thread_pool_of_multiprocessing_does_the_same(ask: Callable[[ThreadPool], dict[str, str]]) -> None:
    with tags(team="maker"):
        pool = ThreadPool(1)
    with pool:
        with tags(feature="rank"):
            assert ask(pool) == {"feature": "rank"}
        assert ask(pool) == {}


def test_tags_that_came_in_by_baggage_go_along_too() -> None:
    token = attach(otel_baggage.set_baggage("llm_cost.team", "search"))
    try:
        with tags(feature="rank"), ThreadPoolExecutor(max_workers=1) as pool:
            assert pool.submit(read).result(5) == {"team": "search", "feature": "rank"}
    finally:
        detach(token)


def test_uninstall_gives_every_original_back() -> None:
    def all_of_them() -> list[object]:
        owners = (getattr(importlib.import_module(place.module), place.owner) for place in propagation.PLACES)
        return [owner.__dict__[place.name] for owner, place in zip(owners, propagation.PLACES, strict=True)]

    wrapped = all_of_them()
    propagation.uninstall()
    originals = all_of_them()
    assert all(one is not other for one, other in zip(wrapped, originals, strict=True))
    assert not any(hasattr(one, "__wrapped__") for one in originals)
    assert in_thread(lambda work: threading.Thread(target=work)) == [{}]
    propagation.install()
    propagation.install()
    propagation.uninstall()
    assert all_of_them() == originals


def test_a_wrapper_that_someone_put_over_ours_still_works_after_uninstall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: ours(self))
    propagation.uninstall()
    assert in_thread(lambda work: threading.Thread(target=work)) == [{}]
