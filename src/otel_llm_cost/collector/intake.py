"""Requests on their way into the spool: those that arrive together share one synced commit.

A commit waits for the disk, so it runs in a thread of its own and never on the event loop. A client gets its
answer only after the commit that holds its request.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

from otel_llm_cost.collector.sift import Sifted
from otel_llm_cost.collector.spool import Spool, SpoolFull
from otel_llm_cost.core.errors import StoreError

MAX_WAITING_BYTES = 256 << 20
"""Requests held in memory while a commit runs; beyond it clients are asked to wait."""
MAX_TOGETHER = 512


class _Waiting(NamedTuple):
    request: Sifted
    answer: asyncio.Future[bool]
    loop: asyncio.AbstractEventLoop


class Intake:
    """Keeps requests in the spool, from an event loop. `kept` is called after every commit."""

    def __init__(self, spool: Spool, kept: Callable[[], None]) -> None:
        self._spool = spool
        self._kept = kept
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._run, name="llm-cost-intake", daemon=True)
        self._thread.start()

    async def keep(self, request: Sifted) -> bool:
        """Wait until the request is durable; False when it was a resend.

        Raises SpoolFull when there is no room, StoreError when the disk fails.
        """
        size = len(request.body)
        if self._waiting_bytes + size > MAX_WAITING_BYTES and self._waiting_bytes:
            raise SpoolFull("too many requests are waiting for the disk")
        self._waiting_bytes += size
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._queue.put(_Waiting(request, answer, loop))
        try:
            return await answer
        finally:
            self._waiting_bytes -= size

    def close(self) -> None:
        """Commit what waits and stop. No request may come after this."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            group = self._next_group()
            if not group:
                return
            requests = [waiting.request for waiting in group]
            outcome: list[bool] | Exception
            try:
                outcome = self._spool.append(requests)
            except (SpoolFull, StoreError) as error:
                outcome = error
            by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bool], bool | Exception]]] = {}
            for index, waiting in enumerate(group):
                answer = outcome if isinstance(outcome, Exception) else outcome[index]
                by_loop.setdefault(waiting.loop, []).append((waiting.answer, answer))
            for loop, answers in by_loop.items():
                loop.call_soon_threadsafe(_tell, answers)
            self._kept()

    def _next_group(self) -> list[_Waiting]:
        """Everything that waits, at least one; empty when closed."""
        first = self._queue.get()
        if first is None:
            return []
        group = [first]
        while len(group) < MAX_TOGETHER:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._queue.put(None)
                break
            group.append(more)
        return group


def _tell(answers: list[tuple[asyncio.Future[bool], bool | Exception]]) -> None:
    for future, answer in answers:
        if future.done():  # the client has gone; its data is kept all the same
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
