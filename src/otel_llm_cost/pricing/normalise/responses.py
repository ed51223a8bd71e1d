"""OpenAI Responses, and the batch object's usage, which has the same counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otel_llm_cost.core.call import Part
from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.chat import SHAPES as CHAT_SHAPES
from otel_llm_cost.pricing.normalise.chat import _xai_tools, served_terms
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import (
    IMAGE_MODEL_ASSUMED,
    Reading,
    compact,
    get,
    sequence,
    text,
)
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

IMAGE_TOOL = Shape(
    source="openai 3.57 types/responses/response.py ToolUsageImageGen: not in `usage`",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("cached_tokens",),),
    input_modal=by_path(image=("input_tokens_details", "image_tokens")),
    cached_modal=by_path(image=("cached_tokens_details", "cached_image_tokens")),
)

DEFAULT_IMAGE_MODEL = "gpt-image-1"
"""What the image tool uses when the response does not name it (openai 3.57 types/responses/tool.py)."""


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
        _xai_tools(usage, quantities)
    if quantities:
        _count_tools(payload, quantities, flags)
    status = text(get(payload, "incomplete_details", "reason")) or text(get(payload, "status"))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        response_id=text(get(payload, "id")),
        terms=terms,
        parts=_image_part(payload, flags),
        reported_cost=reported_cost(usage, provider, flags),
        flags=tuple(flags),
        finish_reasons=(status,) if status else (),
        raw_usage=compact(usage),
    )


def _count_tools(payload: Any, quantities: dict[str, Quantity], flags: list[str]) -> None:
    """Billable tool uses: the provider's own count where it gives one, else the items of the output.

    A search is billed, opening a page is not; a container is billed once, however many calls ran in it.
    """
    items = sequence(get(payload, "output"))
    searches = quantity(get(payload, "tool_usage", "web_search", "num_requests"), "num_requests", flags)
    if searches is None and "web_searches" not in quantities:
        searches = sum(1 for item in items if _is_search(item))
    if searches:
        quantities["web_searches"] = searches
    if "file_searches" not in quantities:
        quantities["file_searches"] = sum(1 for item in items if get(item, "type") == "file_search_call")
    if "code_executions" not in quantities:
        quantities["code_sessions"] = len(containers(payload))


def _is_search(item: Any) -> bool:
    return get(item, "type") == "web_search_call" and get(item, "action", "type") in ("search", None)


def containers(payload: Any) -> frozenset[str]:
    """The distinct code-interpreter containers of a response; each is a billable session (20 minutes)."""
    return frozenset(
        str(get(item, "container_id") or get(item, "id"))
        for item in sequence(get(payload, "output"))
        if get(item, "type") == "code_interpreter_call"
    )


def _image_part(payload: Any, flags: list[str]) -> tuple[Part, ...]:
    """What the image tool used, at its own model's rates; it is not in `usage`."""
    usage = get(payload, "tool_usage", "image_gen")
    if usage is None or not get(usage, "total_tokens"):
        return ()
    quantities = read_tokens(usage, IMAGE_TOOL, flags)
    written = get(usage, "output_tokens_details", "text_tokens") or 0
    total = quantities.get("output", 0)
    quantities["output"] = min(written, total)
    quantities["output_image"] = total - quantities["output"]
    tools = [tool for tool in sequence(get(payload, "tools")) if get(tool, "type") == "image_generation"]
    model = next((name for tool in tools if (name := text(get(tool, "model")))), "")
    if not model:
        flags.append(IMAGE_MODEL_ASSUMED)
    return (Part(model or DEFAULT_IMAGE_MODEL, usage_of(quantities)),)
