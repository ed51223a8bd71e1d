"""Anthropic Messages, also as served by Vertex AI, Bedrock InvokeModel and Azure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from otel_llm_cost.core.call import Part
from otel_llm_cost.core.usage import Quantity, Usage
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import (
    OUTPUT_MISSING,
    Reading,
    compact,
    first,
    get,
    sequence,
    text,
)
from otel_llm_cost.pricing.normalise.tokens import Shape, read_tokens, usage_of

MESSAGES = Shape(
    # input_tokens excludes cache reads and writes; output_tokens includes thinking.
    source="anthropic 2.13 types/usage.py; platform.claude.com/docs/en/build-with-claude/prompt-caching",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("cache_read_input_tokens",),),
    cache_read_inside=False,
    writes={
        "cache_write_5m": (("cache_creation", "ephemeral_5m_input_tokens"),),
        "cache_write_1h": (("cache_creation", "ephemeral_1h_input_tokens"),),
    },
    writes_total=(("cache_creation_input_tokens",),),
    write_unit="cache_write_5m",
    writes_inside=False,
    reasoning=(("output_tokens_details", "thinking_tokens"),),
)

SERVER_TOOLS: Mapping[str, str] = {
    "web_search_requests": "web_searches",
    "web_fetch_requests": "web_fetches",
}
"""Counts in `server_tool_use` → unit."""

INCOMPLETE = "llm_cost_stream_incomplete"
"""Key that `stream.fold` leaves in the state until the closing `message_delta` has come."""


def read(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """One message body. `usage.iterations`, where present, are priced one by one."""
    usage = first(payload, ("usage",), ("message", "usage"))
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    parts: tuple[Part, ...] = ()
    model = text(first(payload, ("model",), ("message", "model")))
    if usage is not None:
        terms = {**terms, **_served_terms(usage)}
        quantities = read_tokens(usage, MESSAGES, flags)
        main, parts = _iterations(usage, model, flags)
        if main is not None:
            quantities = main
        for name, unit in SERVER_TOOLS.items():
            if count := quantity(get(usage, "server_tool_use", name), name, flags):
                quantities[unit] = count
    else:
        quantities, usage = _invocation_metrics(payload, flags)
    if get(payload, INCOMPLETE) and "output" in quantities:
        # message_start's output_tokens is a placeholder, not a count.
        quantities = {unit: n for unit, n in quantities.items() if unit not in ("output", "reasoning")}
        flags.append(OUTPUT_MISSING)
    reason = text(get(payload, "stop_reason"))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=model,
        response_id=text(get(payload, "id")),
        terms=terms,
        parts=parts,
        flags=tuple(flags),
        finish_reasons=(reason,) if reason else (),
        raw_usage=compact(usage),
    )


def _served_terms(usage: Any) -> dict[str, str]:
    terms = {}
    for key in ("service_tier", "speed", "inference_geo"):
        value = get(usage, key)
        if isinstance(value, str) and value:
            terms[key] = value.lower()
    if terms.get("service_tier") == "batch":
        terms["processing"] = "batch"
    return terms


def _iterations(
    usage: Any, model: str, flags: list[str]
) -> tuple[dict[str, Quantity] | None, tuple[Part, ...]]:
    """The model's own sampling, summed, and every iteration that the top-level totals do not cover.

    Compaction and advisor iterations are billed and are not in the totals; an iteration that names another
    model is billed at that model's rates; each compaction is a request, and a part, of its own.
    """
    entries = sequence(get(usage, "iterations"))
    if not entries:
        return None, ()
    main: Usage | None = None
    parts: list[Part] = []
    for entry in entries:
        entry_model = text(get(entry, "model")) or model
        used = usage_of(read_tokens(entry, MESSAGES, flags))
        if get(entry, "type") in ("message", "fallback_message") and _same(entry_model, model):
            main = used if main is None else _sum(main, used)
        else:
            parts.append(Part(entry_model, used))
    return (dict((main or Usage(input_uncached=0, output=0)).items())), tuple(parts)


def _same(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "-") or other.startswith(one + "-")


def _sum(one: Usage, other: Usage) -> Usage:
    total = dict(one.items())
    for unit, count in other.items():
        total[unit] = total.get(unit, 0) + count
    return Usage(total)


METRICS = replace(
    MESSAGES,
    source="Bedrock InvokeModelWithResponseStream: amazon-bedrock-invocationMetrics (recorded)",
    input=(("inputTokenCount",),),
    output=(("outputTokenCount",),),
    cache_read=(("cacheReadInputTokenCount",),),
    writes={},
    writes_total=(("cacheWriteInputTokenCount",),),
    reasoning=(),
)


def _invocation_metrics(payload: Any, flags: list[str]) -> tuple[dict[str, Quantity], Any]:
    metrics = get(payload, "amazon-bedrock-invocationMetrics")
    return (read_tokens(metrics, METRICS, flags), metrics) if metrics is not None else ({}, None)
