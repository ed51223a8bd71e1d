"""Records leave without blocking anyone, and what is lost is counted."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)

from otel_llm_cost import record_sender, records
from otel_llm_cost.core import semconv
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.record_sender import RecordSender


@pytest.fixture
def memory() -> Iterator[InMemoryLogRecordExporter]:
    """The app's own LoggerProvider, given to us."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    records.use(provider)
    yield exporter
    records.use(None)
    provider.shutdown()


def a_call() -> Call:
    return Call(
        provider="openai",
        request_model="gpt-4o-mini",
        started_at=1_700_000_000_000_000_000,
        ended_at=1_700_000_001_000_000_000,
        usage=Usage(input_uncached=10, output=5),
        usage_source="provider",
        tags={"team": "search"},
    )


def test_a_record_holds_the_whole_call(memory: InMemoryLogRecordExporter) -> None:
    call = a_call()
    records.emit(call)
    assert records.flush()
    (finished,) = memory.get_finished_logs()
    record = finished.log_record
    assert (record.event_name, finished.instrumentation_scope.name) == ("llm_cost.call", "otel_llm_cost")  # type: ignore[union-attr]
    read = semconv.from_attributes(
        record.attributes or {}, started_at=record.timestamp or 0, ended_at=record.observed_timestamp
    )
    assert read == call


def test_a_record_may_be_sent_from_a_finalizer_that_runs_inside_the_exporters_own_lock(
    memory: InMemoryLogRecordExporter,
) -> None:
    class Dropped:
        def __del__(self) -> None:
            records.emit(a_call())

    held = [Dropped()]
    with memory._lock:
        held.clear()  # a garbage collection can come at any point: here it would wait for itself
    assert records.flush()
    assert len(memory.get_finished_logs()) == 1


class Exporter(LogRecordExporter):
    """A collector that answers as it is told, once it is let."""

    def __init__(self, result: LogRecordExportResult = LogRecordExportResult.SUCCESS) -> None:
        self.result = result
        self.may_answer = threading.Event()
        self.batches: list[int] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.may_answer.wait(10)
        self.batches.append(len(batch))
        return self.result

    def shutdown(self) -> None:
        self.may_answer.set()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def sender_of(exporter: Exporter) -> tuple[RecordSender, LoggerProvider]:
    sender = RecordSender(exporter)
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(sender)
    return sender, provider


def test_records_go_in_batches_and_all_of_them_arrive() -> None:
    exporter = Exporter()
    exporter.may_answer.set()
    sender, provider = sender_of(exporter)
    for _ in range(1000):
        provider.get_logger("test").emit(event_name="llm_cost.call")
    assert sender.force_flush(5000)
    assert sum(exporter.batches) == 1000 == sender.delivery.delivered
    assert len(exporter.batches) < 20
    sender.shutdown()
    assert sender.delivery.lost == 0


def test_a_full_queue_drops_and_counts_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(record_sender, "QUEUE", 10)
    exporter = Exporter()
    sender, provider = sender_of(exporter)
    for _ in range(100):
        provider.get_logger("test").emit(event_name="llm_cost.call")
    exporter.may_answer.set()
    assert sender.force_flush(5000)
    delivery = sender.delivery
    assert delivery.dropped > 0
    assert delivery.delivered + delivery.dropped == 100
    assert len(caplog.messages) == 1
    sender.shutdown()


def test_what_a_collector_refuses_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter(LogRecordExportResult.FAILURE)
    exporter.may_answer.set()
    sender, provider = sender_of(exporter)
    with caplog.at_level(logging.WARNING):
        provider.get_logger("test").emit(event_name="llm_cost.call")
        assert sender.force_flush(5000)
    assert (sender.delivery.failed, len(caplog.messages)) == (1, 1)
    sender.shutdown()


def test_what_is_still_queued_at_the_end_is_counted_as_lost() -> None:
    exporter = Exporter()
    sender, provider = sender_of(exporter)
    provider.get_logger("test").emit(event_name="llm_cost.call")
    assert not sender.force_flush(50)
    sender.shutdown()
    assert sender.delivery.lost == 1


def test_an_unreachable_collector_holds_the_apps_exit_up_for_seconds_only() -> None:
    code = """
from otel_llm_cost import records
from otel_llm_cost.core.call import Call
records.prepare()  # as the import of an SDK does
records.emit(Call(provider="openai", request_model="m", started_at=1))
print("done")
"""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert (done.stdout, done.returncode) == ("done\n", 0)
    assert "are lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < records.EXIT_S + 6
