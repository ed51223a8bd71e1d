"""What of a request is worth keeping: the GenAI spans and records, found before anything is decoded.

A busy service sends fifty spans of HTTP and databases for one of a model. Those are passed over as bytes:
an attribute's name stands in them in clear, so searching for it costs a fraction of reading it.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm_cost.collector import wire
from otel_llm_cost.collector.otlp_json import Malformed
from otel_llm_cost.normalise import markers_of


class Signal(enum.IntEnum):
    """What a request carries. The numbers are stored in the spool and never change."""

    TRACES = 1
    LOGS = 2


_OFFICIAL: dict[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


class Sifted(NamedTuple):
    """A request reduced to what may be billable, still valid OTLP; `items` of `seen` were kept."""

    signal: Signal
    body: bytes
    items: int
    seen: int


@lru_cache(maxsize=4096)
def _scope_name(raw: bytes) -> str:
    try:
        return str(wire.Named.FromString(raw).name)
    except DecodeError:
        raise Malformed("not a valid OTLP protobuf request") from None


def sift(signal: Signal, body: bytes) -> Sifted:
    """Keep what may be billable. Raises Malformed when the request, or a kept part of it, is not OTLP.

    Kept parts are checked to the last byte, because they are acknowledged: what cannot be read later would
    be lost silently. The rest is not looked into.
    """
    try:
        envelope = wire.Envelope.FromString(body)
    except DecodeError:
        raise Malformed("not a valid OTLP protobuf request") from None
    seen = kept = 0
    for block in envelope.blocks:
        for scope in block.scopes:
            items = scope.items
            seen += len(items)
            markers = markers_of(_scope_name(scope.scope), signal is Signal.LOGS)
            if not markers:
                kept += len(items)
                continue
            first, *others = markers
            wanted = [item for item in items if first in item or any(other in item for other in others)]
            kept += len(wanted)
            if len(wanted) != len(items):
                del items[:]
                items.extend(wanted)
    if not kept:
        return Sifted(signal, b"", 0, seen)
    if kept != seen:
        for block in envelope.blocks:
            for index in range(len(block.scopes) - 1, -1, -1):
                if not block.scopes[index].items:
                    del block.scopes[index]
        body = envelope.SerializeToString()
    try:
        _OFFICIAL[signal].FromString(body)
    except DecodeError:
        raise Malformed("not a valid OTLP protobuf request") from None
    return Sifted(signal, body, kept, seen)
