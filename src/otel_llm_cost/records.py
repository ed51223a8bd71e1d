"""Records: how a call leaves that no span tells of, as the OpenTelemetry log event `llm_cost.call` (D13).

That is a call whose span is not sampled or not ours, and an attempt that failed before the last. It leaves
through the app's LoggerProvider; an app that has none gets our own exporter, made at the first record.
"""

from __future__ import annotations

import atexit
import importlib
import os
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger_provider
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.context import Context, get_current

from otel_llm_cost.core import faults, semconv
from otel_llm_cost.core.background import background
from otel_llm_cost.core.call import Call

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter

    from otel_llm_cost.record_sender import Delivery, RecordSender

EXIT_S: Final = 5.0
"""Longest time our own exporter may hold up the app's exit; what is left then is counted as lost."""

EXPORTERS: Final = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc._log_exporter",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http._log_exporter",
}
"""OTLP protocol → module of its exporter; the last is always installed."""

_given: LoggerProvider | None = None
_own: tuple[LoggerProvider, RecordSender] | None = None


def use(provider: LoggerProvider | None) -> None:
    """Send records through this provider; None: the global one, or our own exporter where there is none."""
    global _given
    _given = provider


def emit(call: Call, context: Context | None = None) -> None:
    """Send the finished `call` as a record of the trace in `context` (the current one). Raises nothing.

    Our own thread does the work, so no lock of the app or of OpenTelemetry is taken here: this is safe in
    `__del__`, at exit, and with any lock held. `flush` waits for it.
    """
    _drain_at_exit()
    job = partial(_emit, call, get_current() if context is None else context)
    try:
        background.run(job)
    except RuntimeError:  # the interpreter ends and starts no thread any more
        try:
            job()
        except Exception as error:  # noqa: BLE001 - see above
            faults.report("sending a record", error)


def flush(timeout_s: float = EXIT_S) -> bool:
    """Wait until every record so far is sent, or handed to the app's provider; whether it was in time."""
    until = time.monotonic() + timeout_s
    in_time = background.drain(timeout_s)
    if _own is not None:
        in_time = _own[1].force_flush(int(max(0.0, until - time.monotonic()) * 1000)) and in_time
    return in_time


def delivery() -> Delivery | None:
    """What became of the records that our own exporter had; None while it had none."""
    return None if _own is None else _own[1].delivery


def has_app_provider() -> bool:
    """Whether records leave through the app's LoggerProvider and not by our own exporter."""
    return _given is not None or not isinstance(get_logger_provider(), ProxyLoggerProvider)


def protocol() -> str:
    """OTLP protocol of our own exporter: what the app asks for, if it is installed."""
    names = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    wanted = next((text for name in names if (text := os.environ.get(name, "").strip())), "")
    return wanted if wanted in EXPORTERS and _is_installed(EXPORTERS[wanted]) else "http/protobuf"


def _is_installed(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _emit(call: Call, context: Context) -> None:
    provider = _given
    if provider is None:
        provider = get_logger_provider()
        if isinstance(provider, ProxyLoggerProvider):
            provider = _own_provider()
    provider.get_logger(semconv.SCOPE).emit(
        timestamp=call.started_at or None,
        observed_timestamp=call.ended_at,
        context=context,
        severity_number=SeverityNumber.INFO,
        event_name=semconv.RECORD_EVENT,
        attributes=semconv.to_attributes(call),
    )


def _own_provider() -> LoggerProvider:
    """Made on our own thread, at the first record: it imports the SDK's exporters."""
    global _own
    if _own is None:
        from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider

        from otel_llm_cost.record_sender import RecordSender

        sender = RecordSender(_exporter())
        resource = getattr(trace.get_tracer_provider(), "resource", None)
        provider = SdkLoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(sender)
        _own = provider, sender
    return _own[0]


def _exporter() -> LogRecordExporter:
    exporter: Any = importlib.import_module(EXPORTERS[protocol()]).OTLPLogExporter()
    return exporter  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _drain_at_exit() -> None:
    # Exit functions run last in, first out. At the first record the app's provider exists, so this runs
    # before that shuts down; `_at_exit`, there since our import, runs after all of ours that ends calls.
    atexit.register(background.drain)


def _at_exit() -> None:
    flush()
    if _own is not None:
        _own[1].shutdown()


atexit.register(_at_exit)
