"""Our own thread: for work that must not run on the caller's (garbage collection, token counting).

`submit` only appends to a reentrant queue, so that it is safe inside `__del__` and with any lock held.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from otel_llm_cost.core import faults

Job = Callable[[], object]


class Background:
    """A queue of jobs and one daemon thread that runs them in order."""

    def __init__(self) -> None:
        self._forget_parent()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_parent)

    def _forget_parent(self) -> None:
        """A forked child has no thread, and its parent's jobs are its parent's."""
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._fault: BaseException | None = None

    @property
    def is_running(self) -> bool:
        """Whether this process ever had work for it."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread if it does not run. Not safe inside `__del__`."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._work, args=(self._jobs,), name="otel-llm-cost", daemon=True
                )
                self._thread = thread
                thread.start()

    def submit(self, job: Job) -> None:
        """Have `job` run soon, once `start` was called. Never blocks."""
        self._jobs.put(job)

    def run(self, job: Job) -> None:
        """`submit`, but at once where this is our thread already."""
        if threading.current_thread() is self._thread:
            job()
        else:
            self.start()
            self.submit(job)

    def drain(self, timeout_s: float = 5.0) -> bool:
        """Wait until every job submitted before is done; whether that was in time."""
        done = threading.Event()
        if self._thread is None or threading.current_thread() is self._thread:
            return True
        self._jobs.put(done.set)
        in_time = done.wait(timeout_s)
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        return in_time

    def _work(self, jobs: queue.SimpleQueue[Job]) -> None:
        while True:
            job = jobs.get()
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - one bad job must not end the thread
                try:
                    faults.report("a background job", error)
                except BaseException as fault:  # noqa: BLE001 - our own tests: `drain` raises it
                    self._fault = fault
            del job


background = Background()
"""The process's one."""
