"""Outermost: the span around an SDK call, and the record of whatever no span tells (design D13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_current
from opentelemetry.sdk.trace.sampling import (
    ParentBased,
    ParentBasedTraceIdRatio,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from otel_llm_cost.core import semconv
from otel_llm_cost.pipeline import Exit, Policy, Run
from otel_llm_cost.propagation.baggage import without_baggage

Emit = Callable[..., None]
"""`records.emit(call, context)`: sends the call as an `llm_cost.call` log record."""

START = (semconv.OPERATION, semconv.PROVIDER, semconv.REQUEST_MODEL, "server.address", "server.port")
"""Set when the span starts, since samplers decide by them."""


class Trace(Policy):
    """One CLIENT span per SDK call, `{operation} {model}`, current while the call runs.

    An attempt that failed before the last leaves as a record; so does the last one where the span is not
    recorded (not sampled, suppressed, no SDK), or always when `record` is "always" because something later
    may drop spans. The status carries no message: a provider's may quote the prompt.
    """

    name = "trace"

    def __init__(
        self, tracer: Tracer, emit: Emit, record: Literal["unsampled", "always"] = "unsampled"
    ) -> None:
        self._tracer = tracer
        self._emit = emit
        self._always = record == "always"
        self._sampler: Any = None
        self._is_plain = False

    def enter(self, run: Run) -> Exit | None:
        if run.span is not None:  # an attempt after the first lives in the same span
            return self.leave
        call, context = run.call, get_current()
        if context.get(_SUPPRESS_INSTRUMENTATION_KEY):
            run.span, run.context = INVALID_SPAN, context
            return self.leave
        attributes: dict[str, Any] = {semconv.OPERATION: call.operation, semconv.PROVIDER: call.provider}
        if call.request_model:
            attributes[semconv.REQUEST_MODEL] = call.request_model
        if call.server_address:
            attributes["server.address"] = call.server_address
        if call.server_port is not None:
            attributes["server.port"] = call.server_port
        at_start = self._look_at_start()
        run.span = self._tracer.start_span(
            f"{call.operation} {call.request_model}" if call.request_model else call.operation,
            context,
            SpanKind.CLIENT,
            attributes if at_start else None,
            start_time=call.started_at,
        )
        if not at_start and run.span.is_recording():
            put_attributes(run.span, attributes)
        run.context = without_baggage(set_span_in_context(run.span, context))
        return self.leave

    def _look_at_start(self) -> bool:
        """Whether the attributes a span starts with decide anything: not for the SDK's own samplers.

        Handing them over at the start goes through the SDK's checks, which cost a fifth of the span.
        """
        if self._sampler is None:
            tracer = getattr(self._tracer, "_real_tracer", None) or self._tracer
            self._sampler = getattr(tracer, "sampler", None)
            self._is_plain = _ignores_attributes(self._sampler)
        return not self._is_plain

    def leave(self, run: Run) -> None:
        call = run.call
        if not run.is_last:
            self._emit(call, run.context)
            return
        span = run.span
        recording = span.is_recording()
        if recording:
            attributes = semconv.to_attributes(call)
            for name in START:
                attributes.pop(name, None)
            put_attributes(span, attributes)
            if call.error_type:
                span.set_status(Status(StatusCode.ERROR))
        if self._always or not recording:
            self._emit(call, run.context)
        span.end(call.ended_at)


def _ignores_attributes(sampler: Any) -> bool:
    if type(sampler) in (ParentBased, ParentBasedTraceIdRatio):
        return _ignores_attributes(sampler._root)
    return type(sampler) in (StaticSampler, TraceIdRatioBased)


def put_attributes(span: Any, attributes: dict[str, Any]) -> None:
    """`span.set_attributes` without its checks, which cost half as much as the span itself.

    What `semconv` makes passes them by construction: texts, numbers and tuples of texts under names. Only for
    the SDK's own span as it is known here, and only where no limit could cut anything; else the usual way.
    """
    held = getattr(span, "_attributes", None)
    if (
        type(held) is BoundedAttributes
        and type(held._dict) is dict
        and held.max_value_len is None
        and (held.maxlen is None or len(held._dict) + len(attributes) <= held.maxlen)
        and not held._immutable
    ):
        with span._lock:
            if span.end_time is None:
                held._dict.update(attributes)
    else:
        span.set_attributes(attributes)
