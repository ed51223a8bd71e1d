"""OTLP requests for tests, made by the real SDK and exporters, or built by hand where they must be odd."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from running import Collector

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.semconv import RECORD_EVENT, SCOPE, to_attributes
from otel_llm_cost.core.usage import Usage

GPT_4O = "gpt-4o-2024-08-06"
"""2.50, 1.25 and 10 USD per million input, cached and output tokens."""
CALL_COST = "0.00351"
"""Of `call()`: 1,000 × 2.50 + 8 × 1.25 + 100 × 10, per million."""


def call(team: str, **fields: Any) -> Call:
    """A finished call of our own instrumentation."""
    fields.setdefault("usage", Usage(input_uncached=1000, cache_read=8, output=100))
    fields.setdefault("tags", {"team": team})
    fields.setdefault("response_id", f"chatcmpl-{os.urandom(14).hex()}")
    return Call(
        provider="openai", request_model="gpt-4o", response_model=GPT_4O, usage_source="provider", **fields
    )


def exporter(
    collector: Collector, protocol: str, compression: Compression = Compression.NoCompression
) -> SpanExporter:
    """The real exporter, aimed at the collector."""
    if protocol == "grpc":
        return GrpcSpanExporter(endpoint=f"http://{collector.grpc}", insecure=True)
    return HttpSpanExporter(endpoint=f"http://{collector.http}/v1/traces", compression=compression)


def log_exporter(collector: Collector, protocol: str) -> Any:
    """The real log exporter, aimed at the collector."""
    if protocol == "grpc":
        return GrpcLogExporter(endpoint=f"http://{collector.grpc}", insecure=True)
    return HttpLogExporter(endpoint=f"http://{collector.http}/v1/logs")


@contextmanager
def tracer(
    exporter: SpanExporter, scope: str = SCOPE, resource: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """A tracer of the real SDK that exports every span at once."""
    provider = TracerProvider(resource=Resource(resource or {"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer(scope)
    provider.shutdown()


def send_spans(exporter: SpanExporter, calls: Iterable[Call], **options: Any) -> None:
    """Each call as a span."""
    with tracer(exporter, **options) as spans:
        for one in calls:
            spans.start_span(f"chat {one.request_model}", attributes=to_attributes(one)).end()


def put(attributes: Any, values: Mapping[str, Any]) -> None:
    """Values as KeyValues."""
    for key, value in values.items():
        target = attributes.add(key=key).value
        if isinstance(value, bool):
            target.bool_value = value
        elif isinstance(value, int):
            target.int_value = value
        elif isinstance(value, float):
            target.double_value = value
        elif isinstance(value, (list, tuple)):
            target.array_value.SetInParent()
            for item in value:
                target.array_value.values.add(string_value=item)
        else:
            target.string_value = value


def request(
    spans: Iterable[Mapping[str, Any]],
    *,
    scope: str = SCOPE,
    resource: Mapping[str, Any] | None = None,
    **fields: Any,
) -> ExportTraceServiceRequest:
    """Spans with these attributes as one request. Special keys of a span: trace_id, span_id, parent, name."""
    message = ExportTraceServiceRequest()
    block = message.resource_spans.add()
    put(block.resource.attributes, resource or {"service.name": "shop"})
    group = block.scope_spans.add()
    group.scope.name = scope
    for attributes in spans:
        values = dict(attributes)
        now = time.time_ns()
        span = group.spans.add(
            trace_id=values.pop("trace_id", None) or os.urandom(16),
            span_id=values.pop("span_id", None) or os.urandom(8),
            parent_span_id=values.pop("parent", b""),
            name=values.pop("name", "chat"),
            kind=3,
            start_time_unix_nano=values.pop("start", now),
            end_time_unix_nano=now + 10**9,
            **fields,
        )
        put(span.attributes, values)
    return message


def records(
    items: Iterable[Mapping[str, Any]], *, event: str = RECORD_EVENT, scope: str = SCOPE
) -> ExportLogsServiceRequest:
    """Log records with these attributes as one request."""
    message = ExportLogsServiceRequest()
    block = message.resource_logs.add()
    group = block.scope_logs.add()
    group.scope.name = scope
    for attributes in items:
        record = group.log_records.add(time_unix_nano=time.time_ns(), event_name=event)
        put(record.attributes, attributes)
    return message
