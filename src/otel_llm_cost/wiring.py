"""Composition root: the ordered list of policies, and the only module that knows everyone."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Literal

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from otel_llm_cost.core import semconv
from otel_llm_cost.core.background import background
from otel_llm_cost.instrument import SDKS, streams
from otel_llm_cost.instrument.engine import Instrumented, Status, installed_version
from otel_llm_cost.pipeline import Pipeline
from otel_llm_cost.policies.measure import TAGS, Measure
from otel_llm_cost.policies.price import Price
from otel_llm_cost.policies.trace import Trace

IDLE_S = 30.0
"""A flush ends open streams that nobody has read from for so long: they were dropped, not paused."""

_lock = threading.Lock()
_instrumented: dict[str, Instrumented] = {}


def build_pipeline(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    environ: Mapping[str, str] | None = None,
) -> Pipeline:
    """The policies around every call. Read downwards for the way in, upwards for the way out."""
    environ = os.environ if environ is None else environ
    tracer = trace.get_tracer(semconv.SCOPE, _version(), tracer_provider)
    meter = metrics.get_meter(semconv.SCOPE, _version(), meter_provider)
    return Pipeline(
        (
            Trace(tracer, _emit, _record(environ)),  # the span; records of what no span tells
            Measure(meter, _metric_tags(environ)),  # tokens, seconds, dollars
            Price(),  # usage becomes cost
        )
    )


def instrument_sdk(
    name: str,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    pipeline: Pipeline | None = None,
) -> None:
    """Count the calls of one SDK (a key of `instrument.SDKS`), now if it is imported, else when it is.

    A second time does nothing until `uninstrument_sdk`. Raises KeyError for an unknown SDK, nothing else.
    """
    sdk = SDKS[name]
    with _lock:
        if name in _instrumented:
            return
        one = Instrumented(sdk, pipeline or build_pipeline(tracer_provider, meter_provider))
        _instrumented[name] = one
    one.apply()


def uninstrument_sdk(name: str) -> None:
    """Give back every original of one SDK; streams that are open are still counted."""
    with _lock:
        one = _instrumented.pop(name, None)
    if one is not None:
        one.undo()


def status() -> list[Status]:
    """What became of every SDK that we know, for `doctor`."""
    with _lock:
        return [
            _instrumented[name].status
            if name in _instrumented
            else Status(name, installed_version(sdk.package))
            for name, sdk in SDKS.items()
        ]


def flush(timeout_s: float = 5.0, *, idle_s: float = IDLE_S) -> bool:
    """Record what has ended but is not recorded yet (dropped and aborted streams); whether it was in time."""
    streams.settle_idle(idle_s)
    return background.drain(timeout_s)


def _emit(call: Any, context: Any = None) -> None:
    from otel_llm_cost import records

    records.emit(call, context)


def _record(environ: Mapping[str, str]) -> Literal["unsampled", "always"]:
    text = environ.get("OTEL_LLM_COST_RECORD", "").strip().lower()
    return "always" if text == "always" else "unsampled"


def _metric_tags(environ: Mapping[str, str]) -> tuple[str, ...]:
    """`OTEL_LLM_COST_METRIC_TAGS=team,customer_id`: the tags that are metric dimensions."""
    text = environ.get("OTEL_LLM_COST_METRIC_TAGS", "")
    return tuple(key.strip() for key in text.split(",") if key.strip()) or TAGS


def _version() -> str:
    return installed_version("otel-llm-cost")
