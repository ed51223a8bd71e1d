"""Chat completions and embeddings, by OpenAI and by everyone who speaks its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_llm_cost.core.usage import Quantity, Usage
from otel_llm_cost.pricing.normalise import quick
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import Reading, compact, get, sequence, text
from otel_llm_cost.pricing.normalise.reported import REPORTED, reported_cost
from otel_llm_cost.pricing.normalise.tokens import Shape, by_path, plain_quantities, read_tokens, usage_of
from otel_llm_cost.pricing.normalise.tools import count_xai_tools

_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")

OPENAI = Shape(
    # prompt_tokens ⊇ cached_tokens, cache_write_tokens, audio and image; completion_tokens ⊇ reasoning,
    # audio, accepted and rejected predictions.
    source="openai 3.57 types/completion_usage.py; recorded bodies: 4012 written of 4020",
    input=(("prompt_tokens",), ("input_tokens",), ("total_tokens",)),
    output=(("completion_tokens",), ("output_tokens",)),
    total=(("total_tokens",),),
    cache_read=(
        *((details, "cached_tokens") for details in _DETAILS),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
        ("cached_prompt_text_tokens",),
        ("num_cached_tokens",),
    ),
    writes={
        "cache_write_30m": ((_DETAILS[0], "cache_write_tokens_details", "ttl_30m_tokens"),),
        "cache_write_12h": ((_DETAILS[0], "cache_write_tokens_details", "ttl_12h_tokens"),),
    },
    writes_total=tuple((details, "cache_write_tokens") for details in _DETAILS),
    write_unit="cache_write_30m",
    reasoning=(
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
    input_modal=by_path(
        audio=("prompt_tokens_details", "audio_tokens"),
        image=("prompt_tokens_details", "image_tokens"),
        video=("prompt_tokens_details", "video_tokens"),
    ),
    output_modal=by_path(
        audio=("completion_tokens_details", "audio_tokens"),
        image=("completion_tokens_details", "image_tokens"),
    ),
)

_FIVE_MINUTES = replace(
    OPENAI,
    source="OpenAI's format in front of models with 5-minute caches (OpenRouter, gateways)",
    write_unit="cache_write_5m",
)

SHAPES: Mapping[str, Shape] = {
    "openai": OPENAI,
    "azure.ai.openai": OPENAI,
    "openrouter": _FIVE_MINUTES,
    # "chat completions: reasoning is outside completion_tokens" (docs.x.ai/developers/cost-tracking);
    # its gRPC SamplingUsage too. The row says outside; the provider's own total is believed over it.
    "x_ai": replace(
        OPENAI,
        source="docs.x.ai chat completions; recorded: 38 + 2332 + 310 = 2680",
        reasoning_inside=False,
        input_modal=by_path(image=("prompt_image_tokens",), audio=("prompt_tokens_details", "audio_tokens")),
    ),
}
"""Rows that differ from `_FIVE_MINUTES`, by provider."""

FEES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "perplexity": (
        ("web_searches", ("num_search_queries",)),
        ("output_citation", ("citation_tokens",)),
        ("output_reasoning", ("reasoning_tokens",)),
    ),
    "mistral_ai": (("audio_seconds", ("prompt_audio_seconds",)),),
}
"""Further counts in the usage object, by provider. They are on top of the token totals."""


def read(payload: Any, provider: str, terms: dict[str, str]) -> Reading:
    """One chat completion or embedding body."""
    usage = get(payload, "usage") or get(payload, "x_groq", "usage")
    terms = {**terms, **served_terms(payload, usage)}
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    if usage is not None:
        shape = SHAPES.get(provider, _FIVE_MINUTES)
        if provider in FEES:
            for unit, path in FEES[provider]:
                if count := quantity(get(usage, *path), path[-1], flags):
                    quantities[unit] = count
            if "output_reasoning" in quantities:  # it has its own price here, so it is no part of output
                shape = replace(shape, reasoning=())
        quantities |= read_tokens(usage, shape, flags)
        count_xai_tools(usage, quantities)
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        response_id=text(get(payload, "id")),
        terms=terms,
        reported_cost=reported_cost(usage, provider, flags),
        flags=tuple(flags),
        finish_reasons=_reasons(sequence(get(payload, "choices"))),
        raw_usage=compact(usage),
    )


_WITH_EXTRAS = frozenset({*FEES, *REPORTED, "x_ai"})
"""Providers whose usage object says more than token counts."""


def read_plain(payload: Any, provider: str) -> Reading | None:
    """The common case of `read` in as few steps as can be, since every call pays for them; else None.

    payload: a dict, or the SDK's own object, which need not be copied first.
    """
    fields = payload if type(payload) is dict else getattr(payload, "__dict__", None)
    if not fields or provider in _WITH_EXTRAS or (usage := fields.get("usage")) is None:
        return None
    shape = SHAPES.get(provider, _FIVE_MINUTES)
    plain = quick.read(usage, shape.roles)
    if plain is None or not plain[1] or (quantities := plain_quantities(plain[0], shape)) is None:
        return None
    tier, choices = fields.get("service_tier"), fields.get("choices")
    return Reading(
        Usage.trusted(quantities),
        "provider",
        text(fields.get("model")),
        text(fields.get("id")),
        {"service_tier": tier.lower()} if type(tier) is str and tier else {},
        finish_reasons=_reasons(choices) if type(choices) is list else (),
        raw_usage=plain[1],
    )


def _reasons(choices: Sequence[Any]) -> tuple[str, ...]:
    if len(choices) == 1:  # the common case
        reason = text(get(choices[0], "finish_reason"))
        return (reason,) if reason else ()
    return tuple(reason for choice in choices if (reason := text(get(choice, "finish_reason"))))


def served_terms(payload: Any, usage: Any) -> dict[str, str]:
    """The terms that the provider says it served; they beat what was asked for."""
    terms = {}
    tier = get(payload, "service_tier") or get(usage, "service_tier")
    if isinstance(tier, str) and tier:
        terms["service_tier"] = tier.lower()
    size = get(usage, "search_context_size")
    if isinstance(size, str) and size:
        terms["search_context"] = size.lower()
    return terms
