"""Stream events → one payload that the readers understand. Usage counts are cumulative: the last one wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from otel_llm_cost.pricing.normalise.messages import INCOMPLETE
from otel_llm_cost.pricing.normalise.reading import first, get, sequence
from otel_llm_cost.pricing.normalise.tools import billing_items, billing_tools

State = dict[str, Any]
Fold = Callable[[State, Any], None]


def fold_chat(state: State, event: Any) -> None:
    """Chat completion chunks: usage arrives once, in the last chunk or in every one."""
    _keep(state, event, "id", "model", "service_tier", "usage", "x_groq", "provider")
    reasons = [
        {"finish_reason": reason}
        for choice in sequence(get(event, "choices"))
        if (reason := get(choice, "finish_reason"))
    ]
    if reasons:
        state["choices"] = [*state.get("choices", ()), *reasons]


def fold_responses(state: State, event: Any) -> None:
    """Responses events: the response object grows; the closing one of any outcome has the usage."""
    response = get(event, "response")
    if response is not None:
        _keep(
            state,
            response,
            *("object", "id", "model", "status", "service_tier", "usage", "tool_usage", "incomplete_details"),
        )
        if (items := get(response, "output")) is not None:
            state["output"] = billing_items(items) or state.get("output", [])
        if (tools := get(response, "tools")) is not None:
            state["tools"] = billing_tools(tools)
    elif get(event, "type") == "response.output_item.done" and get(event, "item") is not None:
        state["output"] = [*sequence(state.get("output")), *billing_items([get(event, "item")])]
    elif get(event, "object") == "response":
        fold_responses(state, {"response": event})


def fold_messages(state: State, event: Any) -> None:
    """Messages events: message_start has the input side, message_delta overwrites, count by count."""
    kind = get(event, "type")
    if kind == "message_start":
        message = get(event, "message")
        _keep(state, message, "type", "id", "model", "usage")
        state["usage"] = _as_dict(state.get("usage"))
        state[INCOMPLETE] = True
    elif kind == "message_delta":
        usage = state.setdefault("usage", {})
        later = get(event, "usage")
        for name, value in _as_dict(later).items():
            if value is not None:
                usage[name] = value
        if get(later, "output_tokens") is not None:
            state.pop(INCOMPLETE, None)
        reason = get(event, "delta", "stop_reason")
        if reason:
            state["stop_reason"] = reason
    metrics = get(event, "amazon-bedrock-invocationMetrics")
    if metrics is not None:
        if "usage" not in state:
            state["amazon-bedrock-invocationMetrics"] = metrics
        state.pop(INCOMPLETE, None)


def fold_gemini(state: State, event: Any) -> None:
    """generateContent chunks: each carries the usage so far; grounding may come in any of them."""
    usage = first(event, ("usageMetadata",), ("usage_metadata",))
    if usage is not None:
        state["usageMetadata"] = {**state.get("usageMetadata", {}), **_non_null(usage)}
    for camel, snake in (("modelVersion", "model_version"), ("responseId", "response_id")):
        value = first(event, (camel,), (snake,))
        if value is not None:
            state[camel] = value
    for candidate in sequence(get(event, "candidates")):
        kept = {
            name: value
            for name, paths in (
                ("groundingMetadata", (("groundingMetadata",), ("grounding_metadata",))),
                ("finishReason", (("finishReason",), ("finish_reason",))),
            )
            if (value := first(candidate, *paths)) is not None
        }
        if kept:
            state["candidates"] = [*state.get("candidates", ()), kept]


def fold_interactions(state: State, event: Any) -> None:
    """Interactions events: the interaction object repeats with more in it."""
    interaction = get(event, "interaction")
    if interaction is not None:
        state["interaction"] = {**_as_dict(state.get("interaction")), **_non_null(interaction)}


def fold_converse(state: State, event: Any) -> None:
    """Converse stream: usage is in the terminal metadata event."""
    metadata = get(event, "metadata")
    if metadata is not None:
        _keep(state, metadata, "usage", "serviceTier", "performanceConfig", "trace")
    _keep(state, event, "messageStop", "model")


def fold_realtime(state: State, event: Any) -> None:
    """Realtime: each `response.done` is one call; the last one given is read."""
    if get(event, "type") == "response.done":
        state["response"] = get(event, "response")
    _keep(state, event, "model")


def fold_last(state: State, event: Any) -> None:
    """Streams whose closing event looks like a whole body (images, audio, Cohere, Ollama)."""
    for name, value in _as_dict(event).items():
        if value is not None and name not in _CONTENT:
            state[name] = value


_CONTENT = frozenset(
    ("text", "message", "b64_json", "partial_image_b64", "response_text", "data", "logprobs")
)
"""Keys that may hold content; they are never kept."""


def _keep(state: State, node: Any, *names: str) -> None:
    for name in names:
        value = get(node, name)
        if value is not None:
            state[name] = value


def _non_null(node: Any) -> dict[str, Any]:
    return {name: value for name, value in _as_dict(node).items() if value is not None}


def _as_dict(node: Any) -> dict[str, Any]:
    if node is None:
        return {}
    if isinstance(node, Mapping):
        return dict(node)
    dump = getattr(node, "to_dict", None) or getattr(node, "model_dump", None)
    return dict(dump()) if callable(dump) else dict(getattr(node, "__dict__", {}))
