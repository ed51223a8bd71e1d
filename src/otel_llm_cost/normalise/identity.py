"""By what a copy of a call is known: the same keys wherever copies meet (design D2)."""

from __future__ import annotations

import hashlib

from otel_llm_cost.normalise.emitted import OWN, Billable
from otel_llm_cost.normalise.tables import Tables

SHORTEST_UNIQUE = 16
"""Response ids with fewer characters after their prefix are drawn from too small a range to be unique."""


def keys_of(billable: Billable, tables: Tables) -> list[str]:
    """Keys by which another copy of the same request is known, strongest first."""
    call, source = billable.call, billable.source
    keys: list[str] = []
    if call.provider in tables.unique_response_ids and is_unique(call.response_id):
        keys.append(f"response:{call.response_id}")
    else:
        # Span and record of one of our calls tell of the same response, so this is only for those without.
        if billable.emitter == OWN:
            keys.append(f"call:{call.call_id}")
        if call.response_id and source.trace_id:
            keys.append(f"weak:{source.trace_id}:{call.response_id}:{sorted(call.usage.items())}")
    if call.request_id:
        keys.append(f"request:{call.request_id}")
    if source.span_id and not source.is_record:
        keys.append(f"span:{source.trace_id}:{source.span_id}")
    return keys


def is_unique(response_id: str) -> bool:
    """Whether a response id names one request in the world, by its length without the prefix.

    Ollama's OpenAI endpoint draws `chatcmpl-<0…998>`, and other compatible servers are no better.
    """
    return len(response_id) - max(response_id.rfind("-"), response_id.rfind("_")) > SHORTEST_UNIQUE or (
        response_id.count("-") >= 4 and len(response_id) >= 32  # a UUID, with or without a prefix
    )


def hash_of(text: str) -> int:
    """64 bits of a hash, signed, as SQLite keeps integers; never 0.

    Among a hundred million keys, the chance that a new call meets a stranger's is below 1 in 10^11.
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


def call_id_of(billable: Billable, batch_id: str, number: int) -> str:
    """The call's id; for an emitter that gives none one that is the same for the same span, always."""
    if billable.call.call_id:
        return billable.call.call_id
    source = billable.source
    if source.span_id and not source.is_record:
        return f"{source.trace_id[:16]:0<16}{source.span_id:0<16}"
    return f"{hash_of(f'{batch_id}:{number}') & (2**64 - 1):032x}"
