"""Copy: one telling of a call by one emitter, reduced to what decides whether it is the one that counts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from otel_llm_cost.normalise import OWN, Billable, Tables

SHORTEST_UNIQUE = 16
"""Response ids with fewer characters after their prefix come from too small a range to name one request."""

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


def hash_of(text: str) -> int:
    """64 bits of a hash, signed, as SQLite keeps integers; never 0.

    Among a hundred million keys, the chance that a new call meets a stranger's is below 1 in 10^11.
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


def copy_of(billable: Billable, number: int) -> Copy:
    """The copy that a billable span or record is. A record stands below the span it was written in."""
    call, source = billable.call, billable.source
    usage = call.usage
    own = billable.emitter == OWN
    trace = source.trace_id
    if source.is_record:
        span, parent = hash_of(f"record:{call.call_id}"), source.span_id
    else:
        span, parent = hash_of(f"{trace}:{source.span_id}") if source.span_id else 0, source.parent_span_id
    return Copy(
        number=number,
        group=number,
        call_id=call.call_id,
        trace=hash_of(trace) if trace else 0,
        span=span,
        parent=hash_of(f"{trace}:{parent}") if parent else 0,
        identity=hash_of(call.response_id) if is_unique(call.response_id) else 0,
        id_kind=hash_of(re.split(r"[-_]", call.response_id, maxsplit=1)[0]) if call.response_id else 0,
        host=hash_of(call.server_address) if call.server_address else 0,
        own=own,
        rank=_rank(billable, own),
        tokens=usage.input_tokens + usage.output_tokens,
        whole=usage.has_input and usage.has_output,
        failed=not usage,
    )


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


def is_unique(response_id: str) -> bool:
    """Whether a response id names one request in the world, by its length without the prefix.

    Ollama's OpenAI endpoint draws `chatcmpl-<0…998>`, and other compatible servers are no better.
    """
    return len(response_id) - max(response_id.rfind("-"), response_id.rfind("_")) > SHORTEST_UNIQUE or (
        response_id.count("-") >= 4 and len(response_id) >= 32  # a UUID, with or without a prefix
    )


def keys_of(billable: Billable, tables: Tables) -> list[str]:
    """The keys by which another copy of the same request is known, strongest first (design D2)."""
    call, source = billable.call, billable.source
    keys: list[str] = []
    if billable.emitter == OWN:
        keys.append(f"call:{call.call_id}")
    if call.response_id:
        if call.provider in tables.unique_response_ids and is_unique(call.response_id):
            keys.append(f"response:{call.response_id}")
        elif source.trace_id:
            usage = sorted(call.usage.items())
            keys.append(f"weak:{source.trace_id}:{call.response_id}:{usage}")
    if call.request_id:
        keys.append(f"request:{call.request_id}")
    if source.span_id and not source.is_record:
        keys.append(f"span:{source.trace_id}:{source.span_id}")
    return keys
