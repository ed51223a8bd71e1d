"""Our own thread: jobs in order, no job ends it, and `submit` is safe wherever it is called."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from otel_llm_cost.core import faults
from otel_llm_cost.core.background import Background


def test_jobs_run_in_order_on_another_thread() -> None:
    background, seen = Background(), []
    background.start()
    for number in range(100):
        background.submit(lambda number=number: seen.append((number, threading.current_thread().name)))
    assert background.drain(5)
    assert seen == [(number, "otel-llm-cost") for number in range(100)]


def test_a_job_on_our_thread_runs_at_once() -> None:
    background, seen = Background(), []
    background.run(lambda: (background.run(lambda: seen.append("inner")), seen.append("outer")))
    assert background.drain(5)
    assert seen == ["inner", "outer"]


def test_one_bad_job_is_told_and_the_next_still_runs() -> None:
    background, seen = Background(), []
    background.start()
    background.submit(lambda: 1 / 0)
    background.submit(lambda: seen.append(1))
    with pytest.raises(ZeroDivisionError):
        background.drain(5)
    assert seen == [1]


def test_in_an_app_a_bad_job_is_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(faults.RAISE)
    monkeypatch.setattr(faults, "_seen", set())
    background = Background()
    background.start()
    for _ in range(3):
        background.submit(lambda: 1 / 0)
    assert background.drain(5)
    assert len(caplog.records) == 1


def test_drain_says_when_it_was_not_in_time() -> None:
    background, go = Background(), threading.Event()
    background.start()
    background.submit(go.wait)
    assert not background.drain(0.05)
    go.set()
    assert background.drain(5)


def test_submit_is_safe_in_garbage_collection_at_any_moment() -> None:
    background, seen = Background(), []
    background.start()

    class Dropped:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            background.submit(lambda: seen.append(1))

    threshold = gc.get_threshold()
    gc.set_threshold(1)  # collect inside `submit` and `put` themselves
    try:
        for _ in range(300):
            Dropped()
            background.submit(lambda: None)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert background.drain(10)
    assert len(seen) == 300


def test_a_forked_child_starts_empty() -> None:
    background, go = Background(), threading.Event()
    background.start()
    background.submit(go.wait)
    child = os.fork()
    if not child:
        idle = background.drain(0.1) and not background.is_running
        os._exit(0 if idle else 1)
    go.set()
    assert os.waitpid(child, 0)[1] == 0
    assert background.drain(5)
