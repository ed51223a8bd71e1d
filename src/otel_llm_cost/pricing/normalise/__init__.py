"""Raw provider payloads → what we price: one small file per wire format, and a table.

    read(provider, api, payload)      one body, or SDK object, as the provider sent it
    fold(api, state, event)           stream events into one body that `read` understands

Inclusion rules (what is inside which total) are rows of data beside each reader, with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_llm_cost.pricing.match import provider_name
from otel_llm_cost.pricing.normalise import families
from otel_llm_cost.pricing.normalise.context import terms_of_context, terms_of_host
from otel_llm_cost.pricing.normalise.reading import OUTPUT_MISSING, Reading, get, sequence
from otel_llm_cost.pricing.normalise.stream import State

__all__ = ["OUTPUT_MISSING", "Reading", "fold", "read", "terms_of_context", "terms_of_host"]

WRAPPED: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("response", "body"), True),  # a line of an OpenAI batch output file
    (("result", "message"), True),  # a line of Anthropic batch results
    (("inlineResponse", "response"), True),  # an inlined result of a Gemini batch
)
"""Where a body may be wrapped in a line of a result file, and whether such a line is a batch result."""

STREAMS = ("stream_events", "chunks", "events")
"""Keys under which a recorded stream lists its events."""


def read(provider: str, api: str, payload: Any, context: Mapping[str, Any] | None = None) -> Reading:
    """What a payload says. `payload` is a mapping or an SDK object; a list of stream events may be in it.

    provider: any known spelling. api: see `families.APIS`; when it is unknown the payload's shape decides.
    context: what only the request side knows (`context.CONTEXT_TERMS`). Nothing usable gives
    `usage_source = "missing"`; malformed counts are clamped and flagged, nothing raises.
    """
    terms = terms_of_context(context) if context else {}
    if families.is_batch(api):
        terms["processing"] = "batch"
    if isinstance(payload, Mapping):
        for key in STREAMS:
            if key in payload and isinstance(payload[key], (list, tuple)):
                return _read_stream(provider, api, payload, sequence(payload[key]), terms)
        for path, batch in WRAPPED:
            if (body := get(payload, *path)) is not None:
                payload = body
                if batch:
                    terms["processing"] = "batch"
                break
    return _read(provider, api, payload, terms)


def _read(provider: str, api: str, payload: Any, terms: dict[str, str]) -> Reading:
    named = families.by_name(api)
    shown = None
    if named is None:
        shown = families.by_shape(payload)
        if shown is None:
            return Reading(terms=terms)
    name = provider_name(provider)
    reading = (named or shown or families.CHAT).read(payload, name, terms)
    if reading.usage_source == "missing" and named is not None:
        shown = families.by_shape(payload)
        if shown is not None and shown is not named:
            reading = shown.read(payload, name, terms)
    return reading


def _read_stream(
    provider: str, api: str, payload: Mapping[str, Any], events: Any, terms: dict[str, str]
) -> Reading:
    state: State | None = None
    for event in events:
        state = fold(api, state, event)
    body = dict(state or {})
    for key in ("usage", "model", "id", "service_tier"):
        if payload.get(key) is not None:
            body.setdefault(key, payload[key])
    reading = _read(provider, api, body, terms)
    return reading._replace(usage_source="stream") if reading.usage_source == "provider" else reading


def fold(api: str, state: State | None, event: Any) -> State:
    """Add one stream event to the state (None at first), in place, and return it.

    The state is shaped like a whole body, holds no content, and can be given to `read` at any time.
    """
    if state is None:
        state = {}
    family = families.by_name(api) or families.by_event(event)
    if family is not None:
        family.fold(state, event)
    return state
