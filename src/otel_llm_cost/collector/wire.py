"""OTLP's protobuf read leanly: only the levels we need, everything below stays bytes.

The official classes build a Python object per attribute, which costs more than all the rest of the path.
Field numbers are OTLP's own and can never change:
https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["DecodeError", "Envelope", "Record", "Span", "Status"]

_TYPE = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "otel_llm_cost.lean"

# message → fields: (number, name, type, repeated); a type that is a name is a message of this table.
_MESSAGES: dict[str, list[tuple[int, str, str, bool]]] = {
    # ExportTraceServiceRequest and ExportLogsServiceRequest are the same at these levels.
    "Envelope": [(1, "blocks", "Block", True)],
    "Block": [
        (1, "resource", "bytes", False),
        (2, "scopes", "Scope", True),
        (3, "schema_url", "bytes", False),
    ],
    "Scope": [(1, "scope", "bytes", False), (2, "items", "bytes", True), (3, "schema_url", "bytes", False)],
    "Attributes": [(1, "attributes", "bytes", True)],  # Resource
    "Named": [(1, "name", "string", False), (2, "version", "string", False)],  # InstrumentationScope
    "Span": [
        (1, "trace_id", "bytes", False),
        (2, "span_id", "bytes", False),
        (4, "parent_span_id", "bytes", False),
        (5, "name", "string", False),
        (7, "start", "fixed64", False),
        (8, "end", "fixed64", False),
        (9, "attributes", "bytes", True),
        (15, "status", "Status", False),
    ],
    "Status": [(3, "code", "int32", False)],
    "Record": [
        (1, "time", "fixed64", False),
        (5, "body", "bytes", False),
        (6, "attributes", "bytes", True),
        (9, "trace_id", "bytes", False),
        (10, "span_id", "bytes", False),
        (11, "observed_time", "fixed64", False),
        (12, "event_name", "string", False),
    ],
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="otel_llm_cost_lean.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, name, kind, repeated in fields:
            field = message.field.add(
                number=number, name=name, label=_TYPE.LABEL_REPEATED if repeated else _TYPE.LABEL_OPTIONAL
            )
            if kind in _MESSAGES:
                field.type, field.type_name = _TYPE.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = getattr(_TYPE, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build()
Envelope: Any = _CLASSES["Envelope"]
Block: Any = _CLASSES["Block"]
Scope: Any = _CLASSES["Scope"]
Attributes: Any = _CLASSES["Attributes"]
Named: Any = _CLASSES["Named"]
Span: Any = _CLASSES["Span"]
Status: Any = _CLASSES["Status"]
Record: Any = _CLASSES["Record"]
