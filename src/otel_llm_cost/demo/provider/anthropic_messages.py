"""POST /v1/messages, its stream, and the free POST /v1/messages/count_tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .anthropic_wire import event, messages_of, meter_prompt, prompt_text, prompt_tokens, the_model
from .cache import PromptCache
from .generation import Generated, Prompt, Tool, generate, share, used
from .quantities import Quantities
from .reply import Event, Refusal, Reply, letters
from .script import Step

_THINKING = 48
"""Thinking tokens of a request that allows thinking."""
_PLACEHOLDER = 1
"""`output_tokens` of message_start: not a count."""


def messages(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:
    """A message, or its stream. Raises Refusal."""
    model = the_model(body)
    conversation = messages_of(body)
    if not isinstance(body.get("max_tokens"), int):
        raise Refusal(400, "max_tokens: Field required")
    format_ = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    prompt = Prompt(
        text=prompt_text(body),
        tools=_callable(body, conversation),
        schema=format_.get("schema"),
        limit=body["max_tokens"],
        reasoning=_THINKING if thinks else 0,
    )
    said = generate(prompt, step)
    total = used(meter_prompt(body, model, cache), said, step)
    whole: dict[str, Any] = {
        "model": model.served_as,
        "id": f"msg_01{letters(22)}",
        "type": "message",
        "role": "assistant",
        "content": list(_content(said, total)),
        "stop_reason": "tool_use" if said.tool else "max_tokens" if said.cut else "end_turn",
        "stop_sequence": None,
        "usage": _usage(total),
    } | dict(step.body)
    if body.get("stream"):
        events = list(_events(whole, said, total))
        return Reply(events=events, response_id=whole["id"], model=model.served_as, used=total)
    return Reply(body=whole, response_id=whole["id"], model=model.served_as, used=total)


def _callable(body: dict[str, Any], conversation: list[dict[str, Any]]) -> tuple[Tool, ...]:
    """The tools a model may call now: none once a result has come back."""
    last = conversation[-1].get("content")
    has_result = isinstance(last, list) and any(part.get("type") == "tool_result" for part in last)
    if has_result or (body.get("tool_choice") or {}).get("type") == "none":
        return ()
    own = [tool for tool in body.get("tools") or [] if tool.get("type") in (None, "custom")]
    return tuple(Tool(each["name"], each["input_schema"]) for each in own)


def _content(said: Generated, total: Quantities) -> Iterator[dict[str, Any]]:
    if total.reasoning:
        yield {"type": "thinking", "thinking": "Let me see.", "signature": letters(64)}
    for number in range(total.web_searches):
        use = f"srvtoolu_01{letters(22)}"
        query = {"query": f"query {number + 1}"}
        yield {"type": "server_tool_use", "id": use, "name": "web_search", "input": query}
        yield {"type": "web_search_tool_result", "tool_use_id": use, "content": []}
    if said.tool:
        yield {
            "type": "tool_use",
            "id": f"toolu_01{letters(22)}",
            "name": said.tool.name,
            "input": json.loads("".join(said.arguments)),
        }
    else:
        yield {"type": "text", "text": said.words}


def _usage(total: Quantities) -> dict[str, Any]:
    """`input_tokens` leaves out what the cache read or stored."""
    usage: dict[str, Any] = {
        "input_tokens": total.input,
        "cache_creation_input_tokens": total.cache_write_5m + total.cache_write_1h,
        "cache_read_input_tokens": total.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": total.cache_write_5m,
            "ephemeral_1h_input_tokens": total.cache_write_1h,
        },
        "output_tokens": total.output,
        "service_tier": "standard",
        "inference_geo": "global",
    }
    if total.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": total.reasoning}
    if total.web_searches:
        usage["server_tool_use"] = {"web_search_requests": total.web_searches, "web_fetch_requests": 0}
    return usage


_ONLY_AT_START = ("cache_creation", "service_tier", "inference_geo")


def _events(whole: dict[str, Any], said: Generated, total: Quantities) -> Iterator[Event]:
    parts = len(said.text) + len(said.arguments)
    done = 0

    def out(value: dict[str, Any]) -> Event:
        return Event(event(value), share(total, done, parts) if done else 0)

    usage = whole["usage"]
    opening = {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": _PLACEHOLDER}}
    yield out({"type": "message_start", "message": whole | opening})
    for index, block in enumerate(whole["content"]):
        empty, deltas = _deltas(block, said)
        yield out({"type": "content_block_start", "index": index, "content_block": empty})
        if index == 0:
            yield out({"type": "ping"})
        for delta in deltas:
            done += block["type"] in ("text", "tool_use")
            yield out({"type": "content_block_delta", "index": index, "delta": delta})
        yield out({"type": "content_block_stop", "index": index})
    ended = {
        "type": "message_delta",
        "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
        "usage": {key: value for key, value in usage.items() if key not in _ONLY_AT_START},
    }
    yield Event(event(ended), total.output, final=True)
    yield Event(event({"type": "message_stop"}), total.output)


def _deltas(block: dict[str, Any], said: Generated) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and what then fills it."""
    if block["type"] == "text":
        return block | {"text": ""}, [{"type": "text_delta", "text": piece} for piece in said.text]
    if block["type"] == "tool_use":
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in said.arguments]
        return block | {"input": {}}, pieces
    if block["type"] == "thinking":
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return block | {"thinking": "", "signature": ""}, [thought, signature]
    return block, []


def count_tokens(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:  # noqa: ARG001 - an endpoint
    """POST /v1/messages/count_tokens: free."""
    the_model(body)
    messages_of(body)
    return Reply(body={"input_tokens": prompt_tokens(body)} | dict(step.body))
