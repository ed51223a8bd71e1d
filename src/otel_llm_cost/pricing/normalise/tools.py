"""Server-side tools of the Responses API: billable uses, and what other models did inside a call."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from otel_llm_cost.core.call import Part
from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.quantity import quantity, tokens
from otel_llm_cost.pricing.normalise.reading import IMAGE_MODEL_ASSUMED, get, sequence, text
from otel_llm_cost.pricing.normalise.tokens import Shape, by_path, read_tokens, usage_of

IMAGE_TOOL = Shape(
    source="openai 3.57 types/responses/response.py ToolUsageImageGen: not in `usage`",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("cached_tokens",),),
    input_modal=by_path(image=("input_tokens_details", "image_tokens")),
    cached_modal=by_path(image=("cached_tokens_details", "cached_image_tokens")),
)
SVG = Shape(
    source="openai 3.57 types/responses/response_output_item.py ImageGenerationCallSvgUsage",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    reasoning=(("reasoning_tokens",),),
)

DEFAULT_IMAGE_MODEL = "gpt-image-2.6-sunburst"
"""What the image tool uses when the response does not name it (openai 3.57 types/responses/tool.py)."""

XAI_TOOLS: Mapping[str, str] = {
    "web_search_calls": "web_searches",
    "x_search_calls": "social_searches",
    "code_interpreter_calls": "code_executions",
    "file_search_calls": "file_searches",
    "document_search_calls": "file_searches",
    "SERVER_SIDE_TOOL_WEB_SEARCH": "web_searches",
    "SERVER_SIDE_TOOL_X_SEARCH": "social_searches",
    "SERVER_SIDE_TOOL_CODE_EXECUTION": "code_executions",
    "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH": "file_searches",
    "SERVER_SIDE_TOOL_ATTACHMENT_SEARCH": "file_searches",
}
"""xAI's names of server-side tool calls → unit (docs.x.ai/developers/tools, checked 2026-11-24)."""


_XAI_COUNTS = frozenset({"server_side_tool_usage_details", "server_side_tools_used"})


def count_xai_tools(usage: Any, quantities: dict[str, Quantity]) -> None:
    """Adds xAI's server-side tool calls, which it counts inside the usage object."""
    if type(usage) is dict and _XAI_COUNTS.isdisjoint(usage):
        return
    details = get(usage, "server_side_tool_usage_details")
    if isinstance(details, Mapping):
        for name, count in details.items():
            if (unit := XAI_TOOLS.get(name)) and isinstance(count, (int, Decimal)) and count > 0:
                quantities[unit] = quantities.get(unit, 0) + count
    else:
        for name in sequence(get(usage, "server_side_tools_used")):
            if unit := XAI_TOOLS.get(str(name)):
                quantities[unit] = quantities.get(unit, 0) + 1


def count_tools(payload: Any, quantities: dict[str, Quantity], flags: list[str]) -> None:
    """Adds billable tool uses: the provider's own count where it gives one, else the items of the output.

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


def containers(payload: Any) -> tuple[str, ...]:
    """The distinct code-interpreter containers of a response; each is a billable session (20 minutes)."""
    return tuple(
        dict.fromkeys(
            str(get(item, "container_id") or get(item, "id"))
            for item in sequence(get(payload, "output"))
            if get(item, "type") == "code_interpreter_call"
        )
    )


def container_memory(payload: Any) -> str:
    """The memory of the response's containers where it was asked for, such as `4g`; it sets their fee."""
    for tool in sequence(get(payload, "tools")):
        if get(tool, "type") == "code_interpreter":
            return text(get(tool, "container", "memory_limit"))
    return ""


def parts(payload: Any, flags: list[str]) -> tuple[Part, ...]:
    """What image models did inside the call, at their own rates; none of it is in `usage`."""
    found = []
    used = get(payload, "tool_usage", "image_gen")
    if get(used, "total_tokens"):
        quantities = read_tokens(used, IMAGE_TOOL, flags)
        total = int(quantities.get("output", 0))
        written = tokens(get(used, "output_tokens_details", "text_tokens"), "text_tokens", flags) or 0
        quantities["output"] = min(written, total)
        quantities["output_image"] = total - min(written, total)
        found.append(Part(_image_model(payload, flags), usage_of(quantities)))
    for item in sequence(get(payload, "output")):
        svg = get(item, "svg_usage")
        if svg is not None and text(get(svg, "model")):
            found.append(Part(text(get(svg, "model")), usage_of(read_tokens(svg, SVG, flags))))
    return tuple(found)


def _image_model(payload: Any, flags: list[str]) -> str:
    for tool in sequence(get(payload, "tools")):
        if get(tool, "type") == "image_generation" and (model := text(get(tool, "model"))):
            return model
    flags.append(IMAGE_MODEL_ASSUMED)
    return DEFAULT_IMAGE_MODEL


ITEM_FACTS = ("type", "id", "container_id", "svg_usage")
TOOL_FACTS = ("type", "model")


def billing_items(items: Any) -> list[dict[str, Any]]:
    """Output items without their content: what the counts above look at."""
    return [
        {key: value for key in ITEM_FACTS if (value := get(item, key)) is not None}
        | ({"action": {"type": action}} if (action := get(item, "action", "type")) else {})
        for item in sequence(items)
        if str(get(item, "type")).endswith("_call")
    ]


def billing_tools(tools: Any) -> list[dict[str, Any]]:
    """The tools of a request without their descriptions."""
    return [
        {key: value for key in TOOL_FACTS if (value := get(tool, key)) is not None}
        | ({"container": {"memory_limit": size}} if (size := get(tool, "container", "memory_limit")) else {})
        for tool in sequence(tools)
    ]
