"""Records: how a call leaves that no span tells of, as the OpenTelemetry log event `llm_cost.call` (D13).

That is a call whose span is not sampled or not ours, and an attempt that failed before the last. It leaves
through the app's LoggerProvider; an app that has none gets our own exporter, made at the first record.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - must know of the exit after we do, see the end
import importlib
import os
import threading
import time
from functools import partial
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
    from opentelemetry.sdk.resources import Resource

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
_resource: Resource | None = None


def use(provider: LoggerProvider | None) -> None:
    """Send records through this provider; None: the global one, or our own exporter where there is none."""
    global _given
    _given = provider


def prepare(_: object = None) -> None:
    """Load what our own exporter needs, where it will be needed: called when an SDK is imported.

    Later would be on our own thread, and a process that forks meanwhile has a child with half a module. And
    the SDK makes a thread pool to find out its resource, which fails once the interpreter has begun to exit.
    """
    global _resource
    try:
        if not has_app_provider():
            importlib.import_module("otel_llm_cost.record_sender")
            _exporter()  # for what it imports when it is made
            _resource = importlib.import_module("opentelemetry.sdk.resources").Resource.create()
    except Exception as error:  # noqa: BLE001 - the import of an SDK must not fail because of us
        faults.report("preparing the exporter of records", error)


def emit(call: Call, context: Context | None = None) -> None:
    """Send the finished `call` as a record of the trace in `context` (the current one). Raises nothing.

    Our own thread does the work, so no lock of the app or of OpenTelemetry is taken here: this is safe in
    `__del__`, at exit, and with any lock held. `flush` waits for it.
    """
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
    global _own
    if _own is None:
        from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider

        from otel_llm_cost.record_sender import RecordSender

        sender = RecordSender(_exporter())
        resource = getattr(trace.get_tracer_provider(), "resource", None) or _resource
        provider = SdkLoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(sender)
        _own = provider, sender
    return _own[0]


def _forget_parent() -> None:
    """A forked child sends its own records, over a connection of its own."""
    global _own
    _own = None


def _exporter() -> LogRecordExporter:
    exporter: Any = importlib.import_module(EXPORTERS[protocol()]).OTLPLogExporter()
    return exporter  # type: ignore[no-any-return]


def _at_exit() -> None:
    flush()
    if _own is not None:
        _own[1].shutdown()


# What is queued is handed over before any exit function runs, such as the shutdown of the app's provider. The
# pools of concurrent.futures end by the same hook of threading, where the last one registered runs first.
getattr(threading, "_register_atexit", atexit.register)(background.drain)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
# Exit functions run last in, first out: this one runs after those of ours that end open streams.
atexit.register(_at_exit)
