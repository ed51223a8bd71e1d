"""Composition root: the ordered list of policies, and the only module that knows everyone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from otel_llm_cost.core import faults
from otel_llm_cost.core.background import background
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.instrument import SDKS
from otel_llm_cost.instrument.engine import Instrumented, Status, installed_version

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otel_llm_cost.budgets.book import Book
    from otel_llm_cost.pipeline import Pipeline, Policy

IDLE_S = 30.0
"""A flush ends open streams that nobody has read from for so long: they were dropped, not paused."""

_lock = threading.Lock()
_book: Book | None = None
_breaker: Policy | None = None
_instrumented: dict[str, Instrumented] = {}


def build_pipeline(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    environ: Mapping[str, str] | None = None,
) -> Pipeline:
    """The policies around every call. Read downwards for the way in, upwards for the way out.

    Imports are inside since this runs when an SDK is imported: a process without one pays nothing.
    """
    from opentelemetry import metrics, trace

    from otel_llm_cost import flushing
    from otel_llm_cost.core import semconv
    from otel_llm_cost.pipeline import Pipeline
    from otel_llm_cost.policies.measure import TAGS, Measure
    from otel_llm_cost.policies.price import Price
    from otel_llm_cost.policies.trace import Trace

    environ = os.environ if environ is None else environ
    flushing.install(tracer_provider or trace.get_tracer_provider(), flush)
    tracer = trace.get_tracer(semconv.SCOPE, _version(), tracer_provider)
    meter = metrics.get_meter(semconv.SCOPE, _version(), meter_provider)
    measure = () if isinstance(meter, metrics.NoOpMeter) else (Measure(meter, _metric_tags(environ) or TAGS),)
    return Pipeline(
        (
            Trace(tracer, _emit, _record(environ)),  # the span; records of what no span tells
            *measure,  # tokens, seconds, dollars
            *_guards(environ),  # storms are stopped; the upper bound is reserved, then settled to the cost
            Price(),  # usage becomes cost
        )
    )


def _guards(environ: Mapping[str, str]) -> tuple[Policy, ...]:
    """What may refuse a call, where configured; one breaker and one book serve all SDKs of the process."""
    global _book, _breaker
    if not any(environ.get(name) for name in ("OTEL_LLM_COST_CONFIG", "OTEL_LLM_COST_BUDGET_STORE")):
        return ()
    from otel_llm_cost import config
    from otel_llm_cost.budgets.opening import open_book, service_name
    from otel_llm_cost.policies.breaker import BreakCircuits
    from otel_llm_cost.policies.budget import EnforceBudgets

    guards: list[Policy] = []
    try:
        settings = config.load(environ=environ)
        with _lock:
            if _breaker is None and settings.breakers is not None:
                _breaker = BreakCircuits(settings.breakers)
            if _book is None:
                _book = open_book(settings.budget_store, settings.budgets)
        if _breaker is not None:
            guards.append(_breaker)
        if _book is not None:
            guards.append(EnforceBudgets(_book, service=service_name(environ)))
    except LLMCostError as error:
        faults.report("reading budgets and breakers, so they are not enforced", error)
    return tuple(guards)


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
        one = Instrumented(sdk, lambda: pipeline or build_pipeline(tracer_provider, meter_provider))
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
            else Status(name, installed_version(sdk.installs))
            for name, sdk in SDKS.items()
        ]


def flush(timeout_s: float = 5.0, *, idle_s: float = IDLE_S) -> bool:
    """Record what has ended but is not recorded yet (dropped and aborted streams); whether it was in time."""
    if streams := sys.modules.get("otel_llm_cost.instrument.streams"):
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
    return tuple(key.strip() for key in text.split(",") if key.strip())


def _version() -> str:
    return installed_version("otel-llm-cost")
