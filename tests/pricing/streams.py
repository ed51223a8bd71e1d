"""A whole body as the stream that would have carried it, in each provider's own events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Body = dict[str, Any]


def chat(body: Body) -> list[Body]:
    """Content chunks, then one with the usage and no choices."""
    head = {k: v for k, v in body.items() if k not in ("usage", "object")} | {
        "object": "chat.completion.chunk"
    }
    delta = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], "usage": None}
    return [head | delta, head | delta, head | {"choices": [], "usage": body["usage"]}]


def responses(body: Body) -> list[Body]:
    """created without usage, then completed with everything."""
    created = {k: v for k, v in body.items() if k not in ("usage", "output", "tool_usage")}
    return [
        {"type": "response.created", "response": created | {"usage": None, "output": []}},
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": "response.completed", "response": body},
    ]


def messages(body: Body) -> list[Body]:
    """message_start with the input side and a placeholder, message_delta with the cumulative counts."""
    usage = dict(body["usage"])
    closing = {
        k: usage.pop(k)
        for k in ("output_tokens", "server_tool_use", "iterations", "output_tokens_details")
        if k in usage
    }
    start = body | {"usage": usage | {"output_tokens": 1}}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": closing},
        {"type": "message_stop"},
    ]


def gemini(body: Body) -> list[Body]:
    """Cumulative usage on every chunk; grounding in the first one."""
    early = dict(body["usageMetadata"])
    early.pop("candidatesTokenCount", None)
    return [
        body | {"usageMetadata": early},
        {
            "modelVersion": body.get("modelVersion"),
            "candidates": [{}],
            "usageMetadata": body["usageMetadata"],
        },
    ]


def converse(body: Body) -> list[Body]:
    """The usage in the terminal metadata event."""
    metadata = {k: v for k, v in body.items() if k in ("usage", "serviceTier", "trace")}
    return [
        {"messageStart": {"role": "assistant"}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": metadata},
    ]


def events(body: Body) -> list[Body] | None:
    """The body as a stream; None for what providers do not stream."""
    for shows, as_stream in SHAPES:
        if shows(body):
            return as_stream(body)
    return None


SHAPES: tuple[tuple[Callable[[Body], bool], Callable[[Body], list[Body]]], ...] = (
    (lambda body: body.get("object") == "chat.completion" and bool(body.get("usage")), chat),
    (lambda body: body.get("object") == "response" and bool(body.get("usage")), responses),
    (lambda body: body.get("type") == "message", messages),
    (lambda body: "candidates" in body, gemini),
    (lambda body: "inputTokens" in (body.get("usage") or {}), converse),
)
