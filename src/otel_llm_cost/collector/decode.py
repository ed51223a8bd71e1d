"""Spooled bytes → Emitted, by the lean messages of wire.py and a memory of attributes seen before.

Most attributes of a stream of spans are the same bytes over and over (names, models, tags), so each distinct
one is decoded once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from otel_llm_cost.collector import wire
from otel_llm_cost.collector.sift import Signal
from otel_llm_cost.core.semconv import SCOPE
from otel_llm_cost.normalise import Emitted

MAX_REMEMBERED = 50_000
MAX_REMEMBERED_BYTES = 120
"""Longer attributes (ids with long names, texts) seldom come twice."""
DAY = 24 * 3600 * 10**9
OLDEST, NEWEST = 400 * DAY, DAY
"""How far before and after its arrival a call may say that it was; a clock beyond that is wrong."""
TIME_ASSUMED = "time_assumed"

_KIND = "value"


class Decoder:
    """Decodes requests; keeps its memory between them. Use one per thread."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[str, Any]] = {}
        self._resources: dict[bytes, dict[str, Any]] = {}
        self._scopes: dict[bytes, tuple[str, str]] = {}

    def decode(self, signal: Signal, body: bytes, received_at: int) -> Iterator[Emitted]:
        """The spans or records of a request, in order."""
        read = self._span if signal is Signal.TRACES else self._record
        for block in wire.Envelope.FromString(body).blocks:
            resource = self._resource(block.resource)
            for scope in block.scopes:
                name, version = self._scope(scope.scope)
                for item in scope.items:
                    yield read(item, resource, name, version, received_at)

    def _span(
        self, item: bytes, resource: dict[str, Any], scope: str, version: str, received_at: int
    ) -> Emitted:
        span = wire.Span.FromString(item)
        start = span.start
        return Emitted(
            self._attributes(span.attributes),
            resource,
            scope,
            version,
            span.name,
            False,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            start if received_at - OLDEST < start < received_at + NEWEST else received_at,
            span.end,
            span.status.code == _STATUS_ERROR,
        )

    def _record(
        self, item: bytes, resource: dict[str, Any], scope: str, version: str, received_at: int
    ) -> Emitted:
        record = wire.Record.FromString(item)
        attributes = self._attributes(record.attributes)
        time = record.time or record.observed_time
        # Only ours say when a call ended: theirs are observed when they pass a collector.
        ended_at = record.observed_time if scope == SCOPE and record.observed_time >= time else 0
        return Emitted(
            attributes,
            resource,
            scope,
            version,
            record.event_name or str(attributes.get("event.name", "")),
            True,
            record.trace_id.hex(),
            record.span_id.hex(),
            "",
            time if received_at - OLDEST < time < received_at + NEWEST else received_at,
            ended_at,
            False,
        )

    def _attributes(self, raw: Any) -> dict[str, Any]:
        seen = self._seen
        attributes: dict[str, Any] = {}
        for item in raw:
            pair = seen.get(item)
            if pair is None:
                pair = self._pair(item)
            attributes[pair[0]] = pair[1]
        return attributes

    def _pair(self, item: bytes) -> tuple[str, Any]:
        message = KeyValue.FromString(item)
        pair = sys.intern(message.key), any_value(message.value)
        if len(item) <= MAX_REMEMBERED_BYTES:
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            self._seen[item] = pair
        return pair

    def _resource(self, raw: bytes) -> dict[str, Any]:
        found = self._resources.get(raw)
        if found is None:
            if len(self._resources) >= 1_000:
                self._resources.clear()
            found = self._attributes(wire.Attributes.FromString(raw).attributes)
            self._resources[raw] = found
        return found

    def _scope(self, raw: bytes) -> tuple[str, str]:
        found = self._scopes.get(raw)
        if found is None:
            if len(self._scopes) >= 1_000:
                self._scopes.clear()
            scope = wire.Named.FromString(raw)
            found = self._scopes[raw] = sys.intern(scope.name), scope.version
        return found


_STATUS_ERROR = 2
_PLAIN = frozenset({"string_value", "bool_value", "int_value", "double_value", "bytes_value"})


def any_value(value: Any) -> Any:
    """An AnyValue as Python: text, number, bool, bytes, list, dict or None."""
    kind = value.WhichOneof(_KIND)
    if kind is None:
        return None
    if kind in _PLAIN:
        return getattr(value, kind)
    if kind == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: any_value(item.value) for item in value.kvlist_value.values}
    return None
