"""The SDK's own objects as what the normaliser reads."""

from __future__ import annotations

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from otel_llm_cost.normalise.emitted import Emitted


def from_span(span: ReadableSpan) -> Emitted:
    """A finished span."""
    context, parent, scope = span.context, span.parent, span.instrumentation_scope
    return Emitted(
        attributes=dict(span.attributes or {}),
        resource=span.resource.attributes,
        scope=scope.name if scope else "",
        scope_version=(scope.version or "") if scope else "",
        name=span.name,
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        parent_span_id=f"{parent.span_id:016x}" if parent else "",
        started_at=span.start_time or 0,
        ended_at=span.end_time or 0,
        failed=span.status.status_code is StatusCode.ERROR,
    )


def from_record(readable: ReadableLogRecord) -> Emitted:
    """A log record."""
    record, scope = readable.log_record, readable.instrumentation_scope
    attributes = dict(record.attributes or {})
    return Emitted(
        attributes=attributes,
        resource=readable.resource.attributes,
        scope=scope.name if scope else "",
        scope_version=(scope.version or "") if scope else "",
        name=record.event_name or str(attributes.get("event.name", "")),
        is_record=True,
        trace_id=f"{record.trace_id:032x}" if record.trace_id else "",
        span_id=f"{record.span_id:016x}" if record.span_id else "",
        started_at=record.timestamp or record.observed_timestamp or 0,
        ended_at=(record.observed_timestamp or 0) if record.timestamp else 0,
    )
