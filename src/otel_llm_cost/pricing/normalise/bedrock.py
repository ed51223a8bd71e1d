"""Amazon Bedrock: Converse, and the native bodies of InvokeModel that no other file reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.quantity import tokens
from otel_llm_cost.pricing.normalise.reading import Reading, compact, first, get, sequence, text
from otel_llm_cost.pricing.normalise.tokens import Shape, read_tokens, usage_of

CONVERSE = Shape(
    # inputTokens excludes cache reads and writes: recorded 2 + 1322 + 5 = 1329.
    source="docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html",
    input=(("inputTokens",), ("input_tokens",)),
    output=(("outputTokens",), ("output_tokens",)),
    cache_read=(("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
    cache_read_inside=False,
    writes_total=(("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
    writes_inside=False,
)
NATIVE = Shape(
    source="docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html: Titan, Llama",
    input=(("inputTextTokenCount",), ("prompt_token_count",)),
    output=(("generation_token_count",),),
)
TTL_UNITS: Mapping[str, str] = {"5m": "cache_write_5m", "30m": "cache_write_30m", "1h": "cache_write_1h"}
"""`cacheDetails[].ttl` → unit."""


def read(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """One Converse answer, or the metadata event of its stream."""
    usage = first(payload, ("usage",), ("metadata", "usage"))
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    if usage is not None:
        quantities = read_tokens(usage, CONVERSE, flags)
        _split_writes(usage, quantities, flags)
    tier = first(payload, ("serviceTier", "type"), ("metadata", "serviceTier", "type"))
    if isinstance(tier, str):
        terms = {**terms, "service_tier": tier.lower()}
    if get(payload, "performanceConfig", "latency") == "optimized":
        terms = {**terms, "latency": "optimized"}
    router = get(payload, "trace", "promptRouter", "invokedModelId")
    reason = text(first(payload, ("stopReason",), ("messageStop", "stopReason")))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(router) or text(get(payload, "model")),
        response_id=text(get(payload, "ResponseMetadata", "RequestId")),
        terms=terms,
        flags=tuple(flags),
        finish_reasons=(reason,) if reason else (),
        raw_usage=compact(usage),
    )


def _split_writes(usage: Any, quantities: dict[str, Quantity], flags: list[str]) -> None:
    """Cache writes by TTL, from `cacheDetails`; what it does not mention stays at five minutes."""
    for detail in sequence(get(usage, "cacheDetails")):
        unit = TTL_UNITS.get(text(get(detail, "ttl")))
        count = tokens(get(detail, "inputTokens"), "cacheDetails.inputTokens", flags) or 0
        if unit is None or unit == "cache_write_5m" or not count:
            continue
        short = quantities.get("cache_write_5m", 0)
        moved = min(count, short) if short else count
        if moved < count:
            flags.append("cacheDetails exceed cacheWriteInputTokens")
        quantities["cache_write_5m"] = max(0, short - moved)
        quantities[unit] = quantities.get(unit, 0) + moved


def read_native(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """An InvokeModel body with counts at its top level (Titan, Llama)."""
    flags: list[str] = []
    quantities = read_tokens(payload, NATIVE, flags)
    results = sequence(get(payload, "results"))
    if results:
        counts = [tokens(get(result, "tokenCount"), "tokenCount", flags) or 0 for result in results]
        quantities["output"] = sum(counts)
    reason = text(get(payload, "stop_reason"))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        terms=terms,
        flags=tuple(flags),
        finish_reasons=(reason,) if reason else (),
        raw_usage=compact(
            {name: get(payload, name) for name in _NATIVE_COUNTS if get(payload, name) is not None}
        ),
    )


_NATIVE_COUNTS = ("inputTextTokenCount", "prompt_token_count", "generation_token_count")
