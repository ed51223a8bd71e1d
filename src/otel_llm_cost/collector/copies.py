"""Copy: one telling of a call by one emitter, reduced to what decides whether it is the one that counts."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from otel_llm_cost.core.units import INPUT_UNITS, OUTPUT_UNITS
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.normalise import OWN, Billable, Tables
from otel_llm_cost.normalise.identity import hash_of, is_unique, keys_of

RECORD = 1 << 56
"""Sets the number of a record apart from that of a span."""

_TOKENS = INPUT_UNITS | OUTPUT_UNITS
OWN_RANK = 100
ESTIMATED_RANK = 1


@dataclass(slots=True)
class Copy:
    """Ids are 64 bits of a hash, 0 where there is none.

    number: order of arrival. group: number of the first copy of the same request. identity: hash of a
    response id that is unique; id_kind, host: of its prefix, and of where the request went. own: it has our
    call id, which is beyond doubt. rank: how much it tells. tokens: input and output together; whole: both
    were told. failed: an attempt without usage. counts: it is the one that is booked as a call (or as a
    failed attempt); every other copy of its request is booked as a duplicate of it.
    """

    number: int
    group: int
    call_id: str
    trace: int = 0
    span: int = 0
    parent: int = 0
    identity: int = 0
    id_kind: int = 0
    host: int = 0
    own: bool = False
    rank: int = 0
    tokens: int = 0
    whole: bool = False
    failed: bool = False
    counts: bool = False


def _number(hexadecimal: str) -> int:
    """64 bits of an id that is random already: its last 16 digits; a hash where they are no number."""
    try:
        number = int(hexadecimal[-16:], 16)
    except ValueError:
        return hash_of(hexadecimal)
    return (number - 2**64 if number >= 2**63 else number) or hash_of(hexadecimal)


def trace_number(trace_id: str) -> int:
    """The trace as a number, 0 for none."""
    return _number(trace_id) if trace_id else 0


def span_number(trace: int, span_id: str) -> int:
    """The span of a trace (`trace_number`) as a number, 0 for none. Span ids alone are not unique."""
    return (_number(span_id) ^ trace or 1) if span_id else 0


def copy_of(billable: Billable, number: int) -> Copy:
    """The copy that a billable span or record is. A record stands below the span it was written in."""
    call, source = billable.call, billable.source
    usage = call.usage
    own = billable.emitter == OWN
    trace = trace_number(source.trace_id)
    if source.is_record:
        span, parent = _number(call.call_id) ^ RECORD, span_number(trace, source.span_id)
    else:
        span = span_number(trace, source.span_id)
        parent = span_number(trace, source.parent_span_id)
    response_id = call.response_id
    return Copy(
        number=number,
        group=number,
        call_id=call.call_id,
        trace=trace,
        span=span,
        parent=parent,
        identity=hash_of(response_id) if is_unique(response_id) else 0,
        id_kind=_kind(response_id),
        host=_host(call.server_address) if call.server_address else 0,
        own=own,
        rank=_rank(billable, own),
        tokens=_tokens(usage),
        whole=usage.has_input and usage.has_output,
        failed=not usage,
    )


@lru_cache(maxsize=1024)
def _host(address: str) -> int:
    return hash_of(address)


@lru_cache(maxsize=1024)
def _kind_number(prefix: str) -> int:
    return hash_of(prefix)


def _kind(response_id: str) -> int:
    """Of `chatcmpl-…`, `msg_…`: which kind of id it is."""
    ends = [at for at in (response_id.find("-"), response_id.find("_")) if at > 0]
    return _kind_number(response_id[: min(ends)]) if ends and min(ends) <= 12 else 0


_FIELDS = struct.Struct("<qqqqqqiqB")
_FLAGS = ("own", "whole", "failed", "counts")


def pack(copy: Copy) -> bytes:
    """The copy as it is stored, number and group aside."""
    flags = copy.own | copy.whole << 1 | copy.failed << 2 | copy.counts << 3
    facts = (
        copy.trace,
        copy.span,
        copy.parent,
        copy.identity,
        copy.id_kind,
        copy.host,
        copy.rank,
        copy.tokens,
    )
    return _FIELDS.pack(*facts, flags) + copy.call_id.encode()


def unpack(number: int, group: int, blob: bytes) -> Copy:
    """The copy that `pack` stored."""
    *facts, flags = _FIELDS.unpack_from(blob)
    told = {name: bool(flags & 1 << bit) for bit, name in enumerate(_FLAGS)}
    names = ("trace", "span", "parent", "identity", "id_kind", "host", "rank", "tokens")
    call_id = blob[_FIELDS.size :].decode()
    return Copy(number, group, call_id, **dict(zip(names, facts, strict=True)), **told)


def _tokens(usage: Usage) -> int:
    """Input and output together, in one pass; hot."""
    return int(sum([amount for unit, amount in usage.items() if unit in _TOKENS]))


def _rank(billable: Billable, own: bool) -> int:
    call = billable.call
    usage = call.usage
    if not usage:
        return OWN_RANK if own else 0
    if call.usage_source == "estimated":
        return ESTIMATED_RANK
    if own:
        return OWN_RANK
    rank = 2 + len(usage.items())
    if usage.cache_write_tokens and "cache_ttl_assumed" not in call.usage_flags:
        rank += 20
    if usage.cache_read_tokens or usage.cache_write_tokens:
        rank += 10
    return rank


def numbered_keys(billable: Billable, tables: Tables) -> list[tuple[str, int]]:
    """The keys of a copy (`normalise.identity`) with their numbers, strongest first.

    The span itself has none: the trace that it stands in knows it.
    """
    return [(key, 0 if key.startswith("span:") else hash_of(key)) for key in keys_of(billable, tables)]
