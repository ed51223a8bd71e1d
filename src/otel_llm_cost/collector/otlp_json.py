"""OTLP/JSON turned into the protobuf message it stands for, at a tenth of `json_format`'s cost.

JSON Protobuf encoding with OTLP's own rules: trace and span ids are hexadecimal, enums are integers (names
are taken too), 64-bit integers may be strings, unknown fields are ignored.
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (read 2026-11-24)
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})
MAX_DEPTH = 64
"""Deepest nesting of messages; protobuf's own parser stops at 100."""


class Malformed(ValueError):  # noqa: N818 - said of a request, it is what it is
    """The request is not what OTLP says it must be. The text is for the client's log."""


def to_protobuf(body: bytes, message_class: Callable[[], Any]) -> bytes:
    """The JSON request as serialised protobuf. Raises Malformed."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not valid JSON: {error}") from None
    message = message_class()
    try:
        _fill(message, document, "request", 0)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    serialised: bytes = message.SerializeToString()
    return serialised


_FIELDS: dict[str, dict[str, FieldDescriptor]] = {}


def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    fields = _FIELDS.get(descriptor.full_name)
    if fields is None:
        # Both spellings are to be accepted: lowerCamelCase and the proto's own.
        fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        _FIELDS[descriptor.full_name] = fields
    return fields


def _fill(message: Any, document: Any, place: str, depth: int) -> None:
    if not isinstance(document, dict):
        raise Malformed(f"{place}: expected an object")
    if depth > MAX_DEPTH:
        raise Malformed("nested too deeply")
    fields = _fields(message.DESCRIPTOR)
    for key, value in document.items():
        field = fields.get(key)
        if field is None or value is None:
            continue
        where = f"{place}.{key}"
        if field.is_repeated:
            if not isinstance(value, list):
                raise Malformed(f"{where}: expected a list")
            target = getattr(message, field.name)
            if field.message_type is None:
                target.extend(_scalar(field, item, where) for item in value)
            else:
                for item in value:
                    _fill(target.add(), item, where, depth + 1)
        elif field.message_type is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child, value, where, depth + 1)
        else:
            try:
                setattr(message, field.name, _scalar(field, value, where))
            except (TypeError, ValueError):
                raise Malformed(f"{where}: {_EXPECTED[field.cpp_type]}") from None


_EXPECTED = {
    FieldDescriptor.CPPTYPE_STRING: "expected text",
    FieldDescriptor.CPPTYPE_BOOL: "expected true or false",
    FieldDescriptor.CPPTYPE_DOUBLE: "expected a number",
    FieldDescriptor.CPPTYPE_FLOAT: "expected a number",
    FieldDescriptor.CPPTYPE_ENUM: "expected an integer of the enum",
    FieldDescriptor.CPPTYPE_INT32: "expected a 32-bit integer",
    FieldDescriptor.CPPTYPE_UINT32: "expected an unsigned 32-bit integer",
    FieldDescriptor.CPPTYPE_INT64: "expected a 64-bit integer",
    FieldDescriptor.CPPTYPE_UINT64: "expected an unsigned 64-bit integer",
}
_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)


def _scalar(field: FieldDescriptor, value: Any, where: str) -> Any:
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(field.name, value, where)
    if kind in _INTEGERS:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise Malformed(f"{where}: {_EXPECTED[kind]}")
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise Malformed(f"{where}: {_EXPECTED[kind]}") from None
    if kind == FieldDescriptor.CPPTYPE_ENUM and isinstance(value, str):
        named = field.enum_type.values_by_name.get(value)
        if named is None:
            raise Malformed(f"{where}: {_EXPECTED[kind]}")
        return named.number
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        try:
            return float(value)  # "NaN" and "Infinity" come as text
        except (TypeError, ValueError, OverflowError):
            raise Malformed(f"{where}: {_EXPECTED[kind]}") from None
    if kind == FieldDescriptor.CPPTYPE_BOOL and not isinstance(value, bool):
        raise Malformed(f"{where}: {_EXPECTED[kind]}")
    return value


def _bytes(name: str, value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise Malformed(f"{where}: expected text")
    try:
        return bytes.fromhex(value) if name in HEX_FIELDS else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        expected = "hexadecimal digits" if name in HEX_FIELDS else "base64"
        raise Malformed(f"{where}: expected {expected}") from None
