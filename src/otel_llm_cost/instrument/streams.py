"""Watches a response while the user reads it, so that no way of ending it loses its cost (design D9).

The response's class is swapped for a subclass that shows each chunk to a `Tap`. A tap holds plain data and
never the response: open ones are kept in a strong registry, since garbage collection may close a generator
before the response. `__del__` and an early close only append to a queue; our own thread settles them.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otel_llm_cost.core import faults
from otel_llm_cost.core.background import background
from otel_llm_cost.instrument import sse, watched
from otel_llm_cost.instrument.payload import parse
from otel_llm_cost.pricing import normalise

if TYPE_CHECKING:
    from otel_llm_cost.instrument.exchange import Exchange

_open: set[Tap] = set()


class Tap:
    """What is known of one response so far.

    state: the provider's events folded into one payload. sample: the events kept for an estimate, of `events`
    in all. error: what broke the reading. is_complete: the
    provider said that it was done. first_chunk_at, ended_at: Unix ns.
    """

    __slots__ = (
        "_exchange",
        "_over",
        "chunks",
        "ended_at",
        "error",
        "events",
        "first_chunk_at",
        "hiding",
        "is_complete",
        "is_events",
        "last_seen",
        "route",
        "sample",
        "state",
    )

    def __init__(self, exchange: Exchange, hide_usage: bool) -> None:
        self.route = exchange.route
        self._exchange: Exchange | None = exchange
        self.chunks: list[bytes] = []
        self.sample = b""
        self.events = 0
        self.state: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self.first_chunk_at = 0
        self.ended_at: int | None = None
        self.last_seen = time.monotonic()
        self.is_complete = False
        self.is_events = exchange.stream
        self.hiding = sse.Hiding() if hide_usage else None
        self._over = [True]

    def begin(self) -> None:
        """The first chunk came."""
        self.first_chunk_at = self.first_chunk_at or time.time_ns()

    def condense(self) -> int:
        """So much was kept that it is time to digest it; how many bytes more may be kept now."""
        self.last_seen = time.monotonic()
        block = b"".join(self.chunks)
        if not self.is_events:  # a JSON body: all of it is needed
            self.chunks[:] = [block]
            return max(watched.KEPT, len(block))
        cut = sse.last_end(block)
        whole = block[:cut]
        self._digest(whole)
        self.events += sse.count(whole)
        if not self.sample:
            self.sample = whole
        self.chunks[:] = [block[cut:]]
        return watched.KEPT

    def _digest(self, block: bytes) -> None:
        api = self.route.api
        for event in sse.telling(block, is_first=self.state is None):
            self.state = normalise.fold(api, self.state, event)

    @property
    def is_over(self) -> bool:
        """Whether the call was recorded, or is about to be."""
        return not self._over

    def _claim(self) -> bool:
        try:
            self._over.pop()  # atomic: one ending wins
        except IndexError:
            return False
        self.ended_at = time.time_ns()
        return True

    def end(self, *, at_end_of_body: bool = False) -> None:
        """The user is done with the response, or it with the user."""
        if not self._claim():
            return
        block = b"".join(self.chunks)
        self.chunks = [block]
        ends = self.route.ends
        self.is_complete = self.error is None and (
            sse.is_over(block, ends) if self.is_events and ends else at_end_of_body
        )
        # Closed by garbage collection, a generator sees GeneratorExit, and any lock may be held.
        if self.is_complete and not isinstance(sys.exc_info()[1], GeneratorExit):
            self._settle()
        else:
            background.submit(self._settle)

    def fail(self, error: BaseException) -> None:
        """Reading broke."""
        self.error = error
        self.end()

    def _settle(self) -> None:
        _open.discard(self)
        try:
            (block,) = self.chunks
            if self.is_events and sse.looks_like_events(block):
                self._digest(block)
            elif body := parse(block):
                self.state = dict(body)
                self.is_complete = True
            if not self.is_complete:
                self.events += sse.count(block)
                self.sample = self.sample or block
            self.chunks.clear()
        except Exception as error:  # noqa: BLE001
            faults.report("reading a stream", error)
        exchange, self._exchange = self._exchange, None  # it holds us: neither waits for the collector
        if exchange is not None:
            exchange.ended(self)
        self.error = None


def watch(response: Any, exchange: Exchange, *, hide_usage: bool) -> Tap:
    """Have everything that is read from `response` pass by a new tap."""
    tap = Tap(exchange, hide_usage)
    watched.show(response, tap)
    keep(tap)
    return tap


def keep(tap: Tap) -> None:
    """Hold on to an open tap until its call is recorded."""
    background.start()
    _register_exit()
    _open.add(tap)


def settle_idle(idle_s: float) -> None:
    """End what nobody has read from for `idle_s` seconds: 0 ends everything that is open."""
    now = time.monotonic()
    for tap in list(_open):
        if now - tap.last_seen >= idle_s:
            tap.end()


@lru_cache(maxsize=1)
def _register_exit() -> None:
    # At the first stream and not at import: exit functions run last in, first out, and the tracer provider
    # that must still be there is made before the first call.
    atexit.register(_at_exit)


def _at_exit() -> None:
    settle_idle(0)
    background.drain()


def _forget_parent() -> None:
    """A forked child's copies of open responses are its parent's to settle."""
    for tap in _open:
        tap._over.clear()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
