"""What an instrumented app would send: spans, records and metrics, kept in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

import otel_llm_cost
from otel_llm_cost import records, wiring
from otel_llm_cost.core import semconv
from otel_llm_cost.core.call import Call


@dataclass
class Telemetry:
    """Everything that left."""

    tracer_provider: TracerProvider
    spans_out: InMemorySpanExporter
    logs_out: InMemoryLogRecordExporter
    reader: InMemoryMetricReader

    def settle(self, *, idle_s: float = wiring.IDLE_S) -> None:
        """Wait for our own thread."""
        assert wiring.flush(10, idle_s=idle_s)
        assert records.flush(10)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Our spans."""
        self.settle()
        return [
            span
            for span in self.spans_out.get_finished_spans()
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == semconv.SCOPE
        ]

    @property
    def foreign_spans(self) -> list[ReadableSpan]:
        """Spans that the SDKs emit themselves."""
        ours = self.spans
        return [span for span in self.spans_out.get_finished_spans() if span not in ours]

    @property
    def records(self) -> list[Mapping[str, Any]]:
        """Attributes of our records."""
        self.settle()
        logs = self.logs_out.get_finished_logs()
        assert all(log.log_record.event_name == semconv.RECORD_EVENT for log in logs)
        return [dict(log.log_record.attributes or {}) for log in logs]

    @property
    def calls(self) -> list[Call]:
        """Every call, of spans first, as the collector would read them."""
        found = [semconv.from_attributes(dict(span.attributes or {})) for span in self.spans]
        return found + [semconv.from_attributes(record) for record in self.records]

    @property
    def only(self) -> ReadableSpan:
        """The one span, when there must be exactly one, and no record."""
        spans = self.spans
        assert len(spans) == 1, [span.name for span in spans]
        assert self.records == []
        return spans[0]

    def until(self, count: int, timeout_s: float = 5.0) -> list[Call]:
        """The calls, once there are `count` of them."""
        end = time.monotonic() + timeout_s
        while len(self.calls) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.calls

    def metrics(self) -> dict[str, list[Any]]:
        """Data points by metric name."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def instrumented(sampler: Sampler = ALWAYS_ON) -> Iterator[Telemetry]:
    """Both SDKs counted, until the generator is closed."""
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
    tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    logger_provider = LoggerProvider(shutdown_on_exit=False)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    otel_llm_cost.instrument(tracer_provider, meter_provider, logger_provider)
    try:
        yield Telemetry(tracer_provider, spans, logs, reader)
    finally:
        wiring.flush(10, idle_s=0)
        otel_llm_cost.uninstrument()
        records.use(None)
        meter_provider.shutdown()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Both SDKs counted, every span recorded."""
    yield from instrumented()
