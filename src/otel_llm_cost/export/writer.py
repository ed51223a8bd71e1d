"""The exporters' common writer: a bounded queue, and one thread that reads, prices and inserts."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from otel_llm_cost.core.errors import ConfigError, LLMCostError, MissingExtra, StoreError

if TYPE_CHECKING:
    from otel_llm_cost.export.batch import Batch, Reader
    from otel_llm_cost.normalise.emitted import Emitted
    from otel_llm_cost.sinks.clickhouse import ClickHouseSink

MOST_WAITING = 20_000
"""Spans and records that wait; what comes on top is dropped and counted."""
BATCH = 5_000
DELAY_S = 1.0
"""Longest time that one waits for others."""
LONGEST_WRITE_S = 20.0
"""So long the batch processor's thread waits for a slow insert before it takes up the next spans."""
EXIT_S = 5.0
"""Longest time that the app's exit waits for what is not written yet."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
"""Between tries while the store cannot be reached, doubling."""

_log = logging.getLogger("otel_llm_cost")


@dataclass(slots=True)
class Delivery:
    """What became of the calls so far, counted in spans and records.

    taken: accepted. written: rows in the ledger, duplicates included. passed: not a model's call.
    dropped: there was no room, or the app ended first. rejected: not understood, or refused by the store.
    """

    taken: int = 0
    written: int = 0
    passed: int = 0
    dropped: int = 0
    rejected: int = 0

    @property
    def waiting(self) -> int:
        """Accepted, and nothing has become of it yet."""
        return self.taken - self.written - self.passed - self.dropped - self.rejected


class Writer:
    """Takes spans and records on any thread and writes them on its own. Nothing here raises into the app."""

    def __init__(self, store: str | None) -> None:
        self._store = store
        self.users = 0
        self._forget_parent()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_parent)

    def _forget_parent(self) -> None:
        """A forked child has no thread and no connection, and its parent's calls are its parent's."""
        self.delivery = Delivery()
        self._waiting: queue.SimpleQueue[Emitted | threading.Event | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reader: Reader | None = None
        self._sink: ClickHouseSink | None = None
        self._warned: set[str] = set()
        self._is_over = False
        self._is_away = False
        self._leave_by: float | None = None
        self._is_leaving = threading.Event()

    def write(self, emitted: Sequence[Emitted]) -> bool:
        """Queue them, and wait until they are written unless the store is away; False when some are lost."""
        taken = self._put(emitted)
        done, until = self._mark(), time.monotonic() + LONGEST_WRITE_S
        while not done.wait(0.05) and not self._is_away and time.monotonic() < until:
            pass
        return taken

    def _put(self, emitted: Sequence[Emitted]) -> bool:
        """Queue them; False when some found no room. Never blocks."""
        self._start()
        for number, one in enumerate(emitted):
            if self._is_over or self.delivery.waiting >= MOST_WAITING:
                self.delivery.dropped += len(emitted) - number
                self.delivery.taken += len(emitted) - number
                self._warn("full", "LLM calls come faster than they can be written; some are lost")
                return False
            self.delivery.taken += 1
            self._waiting.put(one)
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._is_over:
                self._thread = threading.Thread(target=self._work, name="otel-llm-cost-export", daemon=True)
                self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued before is written or given up; whether that was in time."""
        return self._mark().wait(timeout_s)

    def _mark(self) -> threading.Event:
        """Set once everything queued before is written or given up."""
        done = threading.Event()
        if self._thread is None:
            done.set()
        else:
            self._waiting.put(done)
        return done

    def leave(self) -> None:
        """The app ends: write what waits, in EXIT_S altogether, however many exporters ask."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + EXIT_S
        self.flush(max(0.0, self._leave_by - time.monotonic()))

    def close(self) -> None:
        """Give up what waits, count it, let go of the store."""
        self._is_over = True
        self._is_leaving.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(1.0)  # else it hangs in a network call, and dies with the process
        if left := self.delivery.waiting:
            self.delivery.dropped += left
            self._warn("left", f"{left} LLM calls could not be written before the app ended, and are lost")

    def _work(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # our own requests are nobody's spans
        try:
            while not self._is_over:
                emitted, flushed, more = _next_batch(self._waiting)
                if emitted:
                    self._export(emitted)
                if flushed is not None:
                    flushed.set()
                if not more:
                    return
        finally:
            if self._sink is not None:
                self._sink.close()

    def _export(self, emitted: Sequence[Emitted]) -> None:
        try:
            reader = self._reader_of()
        except (ConfigError, MissingExtra) as error:
            self.delivery.rejected += len(emitted)
            self._warn("store", f"LLM calls are not written: {error}")
            return
        except Exception as error:  # noqa: BLE001 - the thread goes on
            self.delivery.rejected += len(emitted)
            self._warn("fault", "LLM calls are not written: the exporter could not start", error)
            return
        batch = reader.read(emitted)
        self.delivery.passed += batch.passed
        self.delivery.rejected += batch.rejected
        if batch.rejected:
            self._warn("rejected", f"some spans were not understood and are not written: {batch.why}")
        self._write(batch)

    def _reader_of(self) -> Reader:
        if self._reader is None:
            from otel_llm_cost.export.batch import Reader

            self._reader = Reader(self._store)
        return self._reader

    def _write(self, batch: Batch) -> None:
        """Until it is done, the app leaves, or the rows are refused; the same row ids at every try."""
        from otel_llm_cost.sinks.poison import RowsRefused

        pause = FIRST_PAUSE_S
        tried = False
        while batch.rows:
            try:
                sink = self._sink_of()
                if tried:
                    sink.write_again(batch.batch_id, batch.rows, query_id=batch.batch_id)
                else:
                    tried = True
                    sink.write(batch.rows, query_id=batch.batch_id)
            except RowsRefused:
                self._write_apart(batch)
                return
            except StoreError as error:
                self._warn("store", f"LLM calls wait in memory (at most {MOST_WAITING}): {error}")
                self._is_away = True
                if self._is_leaving.wait(pause):
                    return
                pause = min(pause * 2, LONGEST_PAUSE_S)
            except LLMCostError as error:
                self.delivery.rejected += len(batch.rows)
                self._warn("store", f"LLM calls are not written: {error}")
                return
            except Exception as error:  # noqa: BLE001 - the thread goes on
                self.delivery.rejected += len(batch.rows)
                self._warn("fault", "LLM calls are not written: a fault of the exporter", error)
                return
            else:
                self._is_away = False
                self.delivery.written += len(batch.rows)
                return

    def _write_apart(self, batch: Batch) -> None:
        from otel_llm_cost.sinks.poison import write_apart

        try:
            refused = write_apart(self._sink_of().write, batch.rows)
        except StoreError as error:
            self.delivery.rejected += len(batch.rows)
            self._warn("store", f"LLM calls are not written: {error}")
            return
        self.delivery.rejected += len(refused)
        self.delivery.written += len(batch.rows) - len(refused)
        if refused:
            self._warn("refused", f"{len(refused)} LLM calls are not written: {refused[0][1]}")

    def _sink_of(self) -> ClickHouseSink:
        if self._sink is None:
            from otel_llm_cost.sinks.clickhouse import ClickHouseSink

            assert self._reader is not None
            sink = ClickHouseSink(self._reader.location)
            try:
                sink.migrate()
            except BaseException:
                sink.close()
                raise
            self._sink = sink
        return self._sink

    def _warn(self, about: str, sentence: str, error: BaseException | None = None) -> None:
        """Once per kind of trouble: a store that is away must not fill the app's log."""
        if about not in self._warned:
            self._warned.add(about)
            _log.warning("%s", sentence, exc_info=error)


def _next_batch(
    waiting: queue.SimpleQueue[Emitted | threading.Event | None],
) -> tuple[list[Emitted], threading.Event | None, bool]:
    """What to write next: until there is enough, the oldest is old enough, or someone waits for it.

    Also who waits, and whether there is more to come.
    """
    batch: list[Emitted] = []
    until: float | None = None
    while len(batch) < BATCH:
        try:
            item = waiting.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if item is None:
            return batch, None, False
        if isinstance(item, threading.Event):
            return batch, item, True
        batch.append(item)
        until = until or time.monotonic() + DELAY_S
    return batch, None, True


_lock = threading.Lock()
_writers: dict[str | None, Writer] = {}


def acquire(store: str | None) -> Writer:
    """The process's writer for a store; the span and the log exporter share it."""
    with _lock:
        writer = _writers.setdefault(store, Writer(store))
        writer.users += 1
        return writer


def release(writer: Writer) -> None:
    """One exporter less; with the last one the writer ends."""
    with _lock:
        writer.users -= 1
        if writer.users:
            return
        for store, one in list(_writers.items()):
            if one is writer:
                del _writers[store]
    writer.close()


def delivery() -> list[Delivery]:
    """What became of the calls, per writer of this process; for `doctor`."""
    with _lock:
        return [writer.delivery for writer in _writers.values()]
