"""Rows as ClickHouse's Native format: the bytes of one insert, made by us and sent as they are.

The driver has an encoder of its own. Two reasons not to use it: its insert of Python values is sent again by
the driver itself when the connection breaks after the server has carried it out, so rows were doubled behind
our back (clickhouse-connect 1.12, seen in tests/sinks); bytes from an iterator are sent once. And a row has
many columns of which most hold one value over and over; knowing that makes this about three times as fast.

https://clickhouse.com/docs/interfaces/formats/Native, dictionary encoding as in the engine's
SerializationLowCardinality (read 2026-11-24).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from itertools import accumulate, chain
from typing import Any, Final

from otel_llm_cost.ledger.columns import COLUMNS, Column
from otel_llm_cost.ledger.row import Row

_WIDE: Final = Context(prec=76)
_MOST: Final = 10**38
_DICTIONARY: Final = 1 << 9 | 1 << 10
"""Flags: keys follow in this block, and they are the whole dictionary."""
_VERSION: Final = struct.pack("<Q", 1)
"""Says once per dictionary-encoded column, before any data, how dictionaries are written."""

Values = Sequence[Any]


def encode(rows: Sequence[Row]) -> tuple[list[str], bytes]:
    """The names of the columns that differ from their default somewhere, and one block of them.

    Raises TypeError, ValueError, AttributeError or OverflowError for a value that its column cannot hold.
    """
    names: list[str] = []
    parts: list[bytes] = []
    for column, values in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        if values[0] == column.default and values.count(column.default) == len(values):
            continue  # the table fills it in, for nothing
        names.append(column.name)
        prefix, write = _WRITERS[column.stored_type]
        parts += (_text(column.name), _text(column.stored_type), prefix, write(values))
    return names, b"".join((_size(len(names)), _size(len(rows)), *parts))


def _size(number: int) -> bytes:
    """A length: seven bits a byte, the highest bit says that more follow."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SIZES: Final = tuple(_size(number) for number in range(4_096))


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _size(len(raw)) + raw


def _texts(values: Values) -> bytes:
    parts: list[bytes] = []
    for value in values:
        raw = value.encode("utf-8", "replace")
        size = len(raw)
        parts.append(_SIZES[size] if size < 4_096 else _size(size))
        parts.append(raw)
    return b"".join(parts)


def _words(values: Values) -> bytes:
    """Dictionary encoding: each distinct text once, then the number of it for every value."""
    if not values:
        return b""
    places: dict[str, int] = {}
    if values[-1] == values[0] and values.count(values[0]) == len(values):
        places[values[0]] = 0
        codes = bytes(len(values))
        width = 0
    else:
        numbers = [places.setdefault(value, len(places)) for value in values]
        width = 0 if len(places) <= 1 << 8 else 1 if len(places) <= 1 << 16 else 2
        codes = _little("BHI"[width], numbers)
    head = struct.pack("<QQ", _DICTIONARY | width, len(places))
    return b"".join((head, _texts(list(places)), struct.pack("<Q", len(values)), codes))


def _little(code: str, numbers: Sequence[int]) -> bytes:
    data = array(code, numbers)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def _numbers(code: str) -> Callable[[Values], bytes]:
    return lambda values: _little(code, values)


def _decimals(scale: int) -> Callable[[Values], bytes]:
    """128-bit whole numbers of 10^-scale, rounded half-even where there are more places."""
    zero = bytes(16)

    def write(values: Values) -> bytes:
        known: dict[Any, bytes] = {None: zero, 0: zero}
        parts: list[bytes] = []
        for value in values:
            raw = known.get(value)
            if raw is None:
                scaled = int(_WIDE.to_integral_value(_WIDE.scaleb(Decimal(value), scale)))
                if not -_MOST < scaled < _MOST:
                    raise OverflowError(f"{value} has too many digits for Decimal(38, {scale})")
                raw = known[value] = scaled.to_bytes(16, "little", signed=True)
            parts.append(raw)
        return b"".join(parts)

    return write


def _nullable(write: Callable[[Values], bytes], nothing: Any) -> Callable[[Values], bytes]:
    def write_both(values: Values) -> bytes:
        nulls = bytes([value is None for value in values])
        return nulls + write([nothing if value is None else value for value in values])

    return write_both


def _lists(values: Values) -> bytes:
    """Where each list ends, then all items."""
    return _ends(values) + _words(list(chain.from_iterable(values)))


def _maps(write: Callable[[Values], bytes]) -> Callable[[Values], bytes]:
    def write_map(values: Sequence[Mapping[str, Any]]) -> bytes:
        keys = list(chain.from_iterable(values))
        items = list(chain.from_iterable(value.values() for value in values))
        return b"".join((_ends(values), _words(keys), write(items)))

    return write_map


def _ends(values: Values) -> bytes:
    return _little("Q", list(accumulate(map(len, values))))


_WRITERS: Final[Mapping[str, tuple[bytes, Callable[[Any], bytes]]]] = {
    "String": (b"", _texts),
    "LowCardinality(String)": (_VERSION, _words),
    "Array(LowCardinality(String))": (_VERSION, _lists),
    "Map(LowCardinality(String), String)": (_VERSION, _maps(_texts)),
    "Map(LowCardinality(String), Decimal(38, 9))": (_VERSION, _maps(_decimals(9))),
    "Nullable(Decimal(38, 18))": (b"", _nullable(_decimals(18), 0)),
    "Nullable(Float64)": (b"", _nullable(_numbers("d"), 0.0)),
    "Nullable(Int64)": (b"", _nullable(_numbers("q"), 0)),
    "DateTime64(6, 'UTC')": (b"", _numbers("q")),
    "Int64": (b"", _numbers("q")),
    "Int8": (b"", _numbers("b")),
    "UInt8": (b"", _numbers("B")),
    "UInt16": (b"", _numbers("H")),
    "UInt32": (b"", _numbers("I")),
}
"""Stored type → what comes before the data, and how the values are written."""


def unwritable(columns: Sequence[Column] = COLUMNS) -> list[str]:
    """Types of columns that have no writer; a test holds that there are none."""
    return sorted({column.stored_type for column in columns} - set(_WRITERS))
