"""POST /v1/responses, its stream of named events, and the free POST /v1/responses/input_tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from .cache import PromptCache
from .generation import EFFORT, Generated, Prompt, Tool, generate, share
from .openai_wire import PER_MESSAGE, meter, named_event, now, required, the_model
from .prices import Model
from .quantities import Quantities
from .reply import Event, Reply
from .script import Step
from .text import count, strings

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "previous_response_id",
    "metadata",
    "prompt_cache_key",
    "user",
)


def responses(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:
    """A response, or its stream. Raises Refusal."""
    model = the_model(body)
    asked = required(body, "input")
    format_ = (body.get("text") or {}).get("format") or {"type": "text"}
    effort = (body.get("reasoning") or {}).get("effort") or "none"
    prompt = Prompt(
        text="\n".join(strings([body.get("instructions") or "", asked])),
        tools=_callable(body, asked),
        schema=format_.get("schema") if format_["type"] == "json_schema" else None,
        limit=body.get("max_output_tokens") or 0,
        reasoning=EFFORT.get(effort, 0),
    )
    said = generate(prompt, step)
    messages = len(asked) if isinstance(asked, list) else 1
    offered = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    read = (offered, body.get("instructions") or "", asked, format_)
    total = meter(model, read, messages, said, step, cache)
    head: dict[str, Any] = {
        "id": _id("resp"),
        "object": "response",
        "created_at": now(),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model.served_as,
        "output": [],
        "parallel_tool_calls": True,
        "reasoning": {"effort": effort if effort != "none" else None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": format_, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    } | {name: body.get(name) for name in _ECHOED}
    if body.get("metadata") is None:
        head["metadata"] = {}
    output = list(_output(said, total))
    ended = head | {
        "status": "incomplete" if said.cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut else None,
        "output": output,
        "usage": _usage(total, model),
    }
    if total.web_searches:
        ended["tool_usage"] = {"web_search": {"num_requests": total.web_searches}}
    ended |= step.body
    if body.get("stream"):
        events = list(_events(head, ended, said, total))
        return Reply(events=events, response_id=ended["id"], model=model.served_as, used=total)
    return Reply(body=ended, response_id=ended["id"], model=model.served_as, used=total)


def _callable(body: dict[str, Any], asked: Any) -> tuple[Tool, ...]:
    """The functions a model may call now: none once a result has come back."""
    if body.get("tool_choice") == "none" or (
        isinstance(asked, list) and asked[-1].get("type") == "function_call_output"
    ):
        return ()
    functions = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return tuple(Tool(each["name"], each.get("parameters") or {}) for each in functions)


def _id(kind: str) -> str:
    return f"{kind}_{os.urandom(24).hex()}"


def _output(said: Generated, total: Quantities) -> Iterator[dict[str, Any]]:
    if total.reasoning:
        yield {"id": _id("rs"), "type": "reasoning", "summary": []}
    for number in range(total.web_searches):
        action = {"type": "search", "query": f"query {number + 1}"}
        yield {"id": _id("ws"), "type": "web_search_call", "status": "completed", "action": action}
    if said.tool:
        yield {
            "id": _id("fc"),
            "type": "function_call",
            "status": "completed",
            "call_id": _id("call"),
            "name": said.tool.name,
            "arguments": "".join(said.arguments),
        }
    else:
        yield {
            "id": _id("msg"),
            "type": "message",
            "status": "incomplete" if said.cut else "completed",
            "role": "assistant",
            "content": [_text_part(said.words)],
        }


def _text_part(words: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": words}


def _usage(total: Quantities, model: Model) -> dict[str, Any]:
    details = {"cached_tokens": total.cache_read}
    if "cache_write" in model.prices:
        details["cache_write_tokens"] = total.cache_write
    return {
        "input_tokens": total.prompt,
        "input_tokens_details": details,
        "output_tokens": total.output,
        "output_tokens_details": {"reasoning_tokens": total.reasoning},
        "total_tokens": total.prompt + total.output,
    }


def _events(
    head: dict[str, Any], ended: dict[str, Any], said: Generated, total: Quantities
) -> Iterator[Event]:
    """The events in the order api.openai.com sends them, numbered."""
    parts = len(said.text) + len(said.arguments)
    number = done = 0

    def event(kind: str, final: bool = False, **fields: Any) -> Event:
        nonlocal number
        data = named_event({"type": kind, "sequence_number": number, **fields})
        number += 1
        return Event(data, total.output if final else share(total, done, parts), final)

    yield event("response.created", response=head)
    yield event("response.in_progress", response=head)
    for index, item in enumerate(ended["output"]):
        at: dict[str, Any] = {"output_index": index}
        inside = at | {"item_id": item["id"]}
        if item["type"] == "message":
            opened = item | {"status": "in_progress", "content": []}
            part = inside | {"content_index": 0}
            yield event("response.output_item.added", **at, item=opened)
            yield event("response.content_part.added", **part, part=_text_part(""))
            for piece in said.text:
                done += 1
                yield event("response.output_text.delta", **part, delta=piece, logprobs=[])
            yield event("response.output_text.done", **part, text=said.words, logprobs=[])
            yield event("response.content_part.done", **part, part=item["content"][0])
        elif item["type"] == "function_call":
            yield event(
                "response.output_item.added", **at, item=item | {"status": "in_progress", "arguments": ""}
            )
            for piece in said.arguments:
                done += 1
                yield event("response.function_call_arguments.delta", **inside, delta=piece)
            yield event(
                "response.function_call_arguments.done",
                **inside,
                name=item["name"],
                arguments=item["arguments"],
            )
        else:
            yield event("response.output_item.added", **at, item=item)
        yield event("response.output_item.done", **at, item=item)
    yield event(f"response.{ended['status']}", final=True, response=ended)


def input_tokens(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:  # noqa: ARG001 - an endpoint
    """POST /v1/responses/input_tokens: free."""
    asked = body.get("input") or ""
    messages = len(asked) if isinstance(asked, list) else 1
    counted = count("\n".join(strings([body.get("instructions") or "", asked])))
    reply = {"object": "response.input_tokens", "input_tokens": counted + PER_MESSAGE * messages}
    return Reply(body=reply | step.body)
