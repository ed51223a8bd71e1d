"""Our own way out for `llm_cost.call` records: for apps that set up no LoggerProvider (design D13).

OpenTelemetry's batch processor would do, but for three things. It takes locks, which a garbage collection in
the thread that holds one would wait for forever; it does not let us say how long the app's exit may take;
and it does not count what it loses.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

QUEUE = 4096
"""Most records that wait; what comes on top is dropped and counted."""
BATCH = 512
DELAY_S = 1.0
"""Longest time a record waits for others."""

_log = logging.getLogger("otel_llm_cost")


@dataclass(slots=True)
class Delivery:
    """What became of the records so far.

    queued: taken on. delivered: a collector has them. failed: refused, or nobody there. dropped: never sent.
    """

    queued: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: int = 0

    @property
    def lost(self) -> int:
        """Records that nobody will get."""
        return self.failed + self.dropped


class RecordSender(LogRecordProcessor):
    """A bounded queue, and a thread of ours that exports it in batches. `on_emit` takes no lock."""

    def __init__(self, exporter: LogRecordExporter) -> None:
        self._exporter = exporter
        self.delivery = Delivery()
        self._waiting: queue.SimpleQueue[ReadWriteLogRecord | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._warned = False
        self._is_over = False

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue the record. Never blocks."""
        if self._is_over or self._waiting.qsize() >= QUEUE:
            self.delivery.dropped += 1
            self._warn("records come faster than they can be sent")
            return
        self.delivery.queued += 1
        self._waiting.put(log_record)
        if self._thread is None:
            self._start()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything queued before is sent or given up; whether that was in time."""
        done = threading.Event()
        self._waiting.put(done)
        if self._thread is None:
            batch, _ = _next_batch(self._waiting)
            if batch:
                self._export(batch)
            return True
        return done.wait(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Stop; what is not sent by now is dropped."""
        self._is_over = True
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        delivery = self.delivery
        if left := delivery.queued - delivery.delivered - delivery.failed:
            delivery.dropped += left
            self._warn("the app ended before they could be sent")

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, args=(self._waiting,), name="otel-llm-cost-records", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends; `force_flush` sends it
            return
        self._thread = thread

    def _work(self, waiting: queue.SimpleQueue[ReadWriteLogRecord | threading.Event]) -> None:
        while not self._is_over:
            batch, flushed = _next_batch(waiting)
            if batch:
                self._export(batch)
            if flushed is not None:
                flushed.set()

    def _export(self, batch: list[ReadWriteLogRecord]) -> None:
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            result = self._exporter.export([_readable(record) for record in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
            result = LogRecordExportResult.FAILURE
            _log.debug("exporting records failed", exc_info=error)
        finally:
            detach(token)
        if result is LogRecordExportResult.SUCCESS:
            self.delivery.delivered += len(batch)
        else:
            self.delivery.failed += len(batch)
            self._warn("no collector took them")

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            endpoint = getattr(self._exporter, "_endpoint", "the collector")
            _log.warning(
                "records of LLM calls for %s are lost: %s; ask `otel-llm-cost doctor`", endpoint, why
            )


def _next_batch(waiting: queue.SimpleQueue[Any]) -> tuple[list[ReadWriteLogRecord], threading.Event | None]:
    """Records until the batch is full, the oldest is a second old, or someone waits for them."""
    batch: list[ReadWriteLogRecord] = []
    until: float | None = None
    while len(batch) < BATCH:
        try:
            item = waiting.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(item, threading.Event):
            return batch, item
        batch.append(item)
        until = until or time.monotonic() + DELAY_S
    return batch, None


def _readable(record: ReadWriteLogRecord) -> ReadableLogRecord:
    resource = record.resource or Resource.get_empty()
    return ReadableLogRecord(record.log_record, resource, record.instrumentation_scope, record.limits)
