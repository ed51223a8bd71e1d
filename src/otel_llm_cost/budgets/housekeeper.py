"""The thread that keeps house for a book: every two seconds, or sooner when woken."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from otel_llm_cost.core import faults

TICK_SECONDS = 2.0
"""So that a change of a definition is seen well within five seconds."""

PAUSE_SECONDS = 0.1
"""Least time between two rounds, however often it is woken."""


class Housekeeper:
    """One daemon thread, started when first needed, gone when its book is."""

    def __init__(self, task: weakref.WeakMethod[Callable[[], None]]) -> None:
        self._task = task
        self.forget_parent()

    def forget_parent(self) -> None:
        """A forked child has no thread."""
        self._is_started = False
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._starting = threading.Lock()

    def start(self) -> bool:
        """Start the thread if it does not run; whether that was needed."""
        if self._is_started or not self._starting.acquire(blocking=False):
            return False
        self._is_started = True
        work = (self._task, self._woken, self._stopped)
        threading.Thread(target=_work, args=work, name="otel-llm-cost-budgets", daemon=True).start()
        return True

    def wake(self) -> None:
        """Do a round soon."""
        self._woken.set()

    def stop(self) -> None:
        """No more rounds."""
        self._stopped.set()
        self._woken.set()


def _work(
    task: weakref.WeakMethod[Callable[[], None]], woken: threading.Event, stopped: threading.Event
) -> None:
    while not stopped.wait(PAUSE_SECONDS):
        woken.wait(TICK_SECONDS)
        woken.clear()
        round_ = task()
        if round_ is None or stopped.is_set():
            return
        try:
            round_()
        except ReferenceError:
            return
        except Exception as error:  # noqa: BLE001 - the next round may do better
            try:
                faults.report("housekeeping of budgets", error)
            except Exception:  # noqa: BLE001 - our own suite: the thread's death would hide the next fault
                import traceback

                traceback.print_exc()
        del round_
