"""OpenAI Responses, and the batch object's usage, which has the same counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise import tools
from otel_llm_cost.pricing.normalise.chat import SHAPES as CHAT_SHAPES
from otel_llm_cost.pricing.normalise.chat import served_terms
from otel_llm_cost.pricing.normalise.reading import Reading, compact, get, text
from otel_llm_cost.pricing.normalise.reported import reported_cost
from otel_llm_cost.pricing.normalise.tokens import Shape, by_path, read_tokens, usage_of

RESPONSES = Shape(
    source="openai 3.57 types/responses/response_usage.py",
    input=(("input_tokens",), ("prompt_tokens",)),
    output=(("output_tokens",), ("completion_tokens",)),
    total=(("total_tokens",),),
    cache_read=(("input_tokens_details", "cached_tokens"), ("prompt_tokens_details", "cached_tokens")),
    writes={
        "cache_write_30m": (("input_tokens_details", "cache_write_tokens_details", "ttl_30m_tokens"),),
        "cache_write_12h": (("input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"),),
    },
    writes_total=(("input_tokens_details", "cache_write_tokens"),),
    write_unit="cache_write_30m",
    reasoning=(("output_tokens_details", "reasoning_tokens"),),
    input_modal=by_path(
        audio=("input_tokens_details", "audio_tokens"), image=("input_tokens_details", "image_tokens")
    ),
    output_modal=by_path(
        audio=("output_tokens_details", "audio_tokens"), image=("output_tokens_details", "image_tokens")
    ),
)


def read(payload: Any, provider: str, terms: dict[str, str]) -> Reading:
    """One response body, whatever its status: incomplete and failed ones carry usage too."""
    usage = get(payload, "usage")
    terms = {**terms, **served_terms(payload, usage)}
    if get(payload, "object") == "batch":
        terms["processing"] = "batch"
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    shape = RESPONSES if provider in CHAT_SHAPES else replace(RESPONSES, write_unit="cache_write_5m")
    if usage is not None:
        quantities |= read_tokens(usage, shape, flags)
        tools.count_xai_tools(usage, quantities)
    if quantities:
        tools.count_tools(payload, quantities, flags)
        if memory := tools.container_memory(payload):
            terms["container_memory"] = memory
    status = text(get(payload, "incomplete_details", "reason")) or text(get(payload, "status"))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        response_id=text(get(payload, "id")),
        terms=terms,
        parts=tools.parts(payload, flags),
        reported_cost=reported_cost(usage, provider, flags),
        flags=tuple(flags),
        sessions=tools.containers(payload) if quantities.get("code_sessions") else (),
        finish_reasons=(status,) if status else (),
        raw_usage=compact(usage),
    )
