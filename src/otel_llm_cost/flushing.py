"""Makes the app's `TracerProvider.force_flush` and `shutdown` bring what our own thread still holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider


class Flushing(SpanProcessor):
    """Runs `flush` before the processors behind it are flushed."""

    def __init__(self, flush: Callable[..., bool]) -> None:
        self._flush = flush

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Record what has ended, in at most this time."""
        return self._flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Record everything, streams that are open included: nothing can be recorded afterwards."""
        self._flush(idle_s=0)


def install(provider: Any, flush: Callable[..., bool]) -> None:
    """Put `flush` before the processors of an SDK provider, once."""
    if not isinstance(provider, TracerProvider):
        return
    behind = provider._active_span_processor
    processors = getattr(behind, "_span_processors", None)
    if processors is None or any(isinstance(one, Flushing) for one in processors):
        return
    provider.add_span_processor(Flushing(flush))
    # It was appended; but what is flushed after the exporter's processor waits for that one's next turn.
    processors = behind._span_processors
    behind._span_processors = (processors[-1], *processors[:-1])
