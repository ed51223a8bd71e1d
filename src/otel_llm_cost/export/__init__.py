"""Spans and records priced and written to a ClickHouse server from inside the app, without a collector.

    OTEL_TRACES_EXPORTER=llm_cost_clickhouse
    OTEL_LOGS_EXPORTER=llm_cost_clickhouse
    OTEL_LLM_COST_STORE=clickhouse://user:password@host:8123/database

The logs exporter carries what no span tells (unsampled calls, attempts before a retry). Both share one
writer, so a call that comes as a span and as a record is counted once. Nothing of it runs on the app's
threads, and nothing that goes wrong here reaches the app; but what waits in memory when the app dies is
lost: where that matters, run a collector.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_llm_cost.export.writer import Delivery, acquire, delivery, release

__all__ = ["ClickHouseLogExporter", "ClickHouseSpanExporter", "Delivery", "delivery"]


class ClickHouseSpanExporter(SpanExporter):
    """Entry point `llm_cost_clickhouse` of OTEL_TRACES_EXPORTER."""

    def __init__(self, store: str | None = None) -> None:
        """store: the DSN, for apps that set OpenTelemetry up in code; else the setting `store`."""
        self._writer = acquire(store)
        self._is_over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans, or leave them with the writer while the store is away; FAILURE when some are lost.

        Called on the batch processor's thread, so it may wait; then a flush of the provider is one of rows.
        """
        from otel_llm_cost.export.emitted import from_span  # here, since the tables must not slow a start

        if self._is_over:
            return SpanExportResult.FAILURE
        taken = self._writer.write([from_span(span) for span in spans])
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything so far is written or given up; whether that was in time."""
        return self._writer.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write what waits, for a few seconds at most."""
        if not self._is_over:
            self._is_over = True
            self._writer.leave()
            release(self._writer)


class ClickHouseLogExporter(LogRecordExporter):
    """Entry point `llm_cost_clickhouse` of OTEL_LOGS_EXPORTER."""

    def __init__(self, store: str | None = None) -> None:
        """store: as for the span exporter."""
        self._writer = acquire(store)
        self._is_over = False

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """As the span exporter."""
        from otel_llm_cost.export.emitted import from_record  # as above

        if self._is_over:
            return LogRecordExportResult.FAILURE
        taken = self._writer.write([from_record(record) for record in batch])
        return LogRecordExportResult.SUCCESS if taken else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything so far is written or given up; whether that was in time."""
        return self._writer.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write what waits, for a few seconds at most."""
        if not self._is_over:
            self._is_over = True
            self._writer.leave()
            release(self._writer)
