"""POST /v1/chat/completions and the legacy POST /v1/completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cache import PromptCache
from .generation import EFFORT, Generated, Prompt, Tool, generate, share
from .openai_wire import completion_usage, data_line, meter, now, required, the_model
from .prices import Model
from .quantities import Quantities
from .reply import Event, Reply, letters
from .script import Step
from .text import strings

_DONE = b"data: [DONE]\n\n"


def chat(body: dict[str, Any], step: Step, cache: PromptCache, provider: str = "openai") -> Reply:
    """A chat completion, or its stream. Raises Refusal."""
    model = the_model(body, provider)
    messages = required(body, "messages")
    offered = body.get("tools") or []
    format_ = body.get("response_format") or {}
    prompt = Prompt(
        text="\n".join(strings(messages)),
        tools=_callable(body, messages),
        schema=format_.get("json_schema", {}).get("schema") if format_.get("type") == "json_schema" else None,
        limit=body.get("max_completion_tokens") or body.get("max_tokens") or 0,
        choices=body.get("n") or 1,
        reasoning=EFFORT.get(body.get("reasoning_effort") or "none", 0),
    )
    said = generate(prompt, step)
    total = meter(model, (offered, messages, format_), len(messages), said, step, cache)
    head = {"id": f"chatcmpl-{letters(29)}", "created": now(), "model": model.served_as}
    head |= {"service_tier": "default", "system_fingerprint": "fp_demo000001"}
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = list(_chat_events(head, said, total, model, wants_usage))
        return Reply(events=events, response_id=str(head["id"]), model=model.served_as, used=total)
    choices = [
        {"index": index, "message": _message(said), "logprobs": None, "finish_reason": _finish(said)}
        for index in range(said.choices)
    ]
    reply = head | {"object": "chat.completion", "choices": choices, "usage": completion_usage(total, model)}
    reply |= step.body
    return Reply(body=reply, response_id=str(reply["id"]), model=model.served_as, used=total)


def _callable(body: dict[str, Any], messages: list[dict[str, Any]]) -> tuple[Tool, ...]:
    """The functions a model may call now: none once a result has come back."""
    if body.get("tool_choice") == "none" or messages[-1].get("role") == "tool":
        return ()
    functions = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return tuple(Tool(each["name"], each.get("parameters") or {}) for each in functions)


def _finish(said: Generated) -> str:
    return "tool_calls" if said.tool else "length" if said.cut else "stop"


def _message(said: Generated) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.words, "refusal": None, "annotations": []}
    if said.tool:
        function = {"name": said.tool.name, "arguments": "".join(said.arguments)}
        message["content"] = None
        message["tool_calls"] = [{"id": f"call_{letters(24)}", "type": "function", "function": function}]
    return message


def _chat_events(
    head: dict[str, Any], said: Generated, total: Quantities, model: Model, wants_usage: bool
) -> Iterator[Event]:
    tail: dict[str, Any] = {"usage": None} if wants_usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data_line(head | {"object": "chat.completion.chunk", "choices": [choice]} | tail)

    parts = (len(said.text) + len(said.arguments)) * said.choices
    done = 0
    for index in range(said.choices):
        opening: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if said.tool:
            call = {"index": 0, "id": f"call_{letters(24)}", "type": "function"}
            opening["content"] = None
            opening["tool_calls"] = [call | {"function": {"name": said.tool.name, "arguments": ""}}]
        yield Event(chunk(opening, index=index), share(total, done, parts))
    for piece in said.text:
        for index in range(said.choices):
            done += 1
            yield Event(chunk({"content": piece}, index=index), share(total, done, parts))
    for piece in said.arguments:
        done += 1
        delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        yield Event(chunk(delta), share(total, done, parts))
    for index in range(said.choices):
        last = index == said.choices - 1
        yield Event(chunk({}, _finish(said), index), total.output, final=last and not wants_usage)
    if wants_usage:
        usage = {"usage": completion_usage(total, model)}
        yield Event(
            data_line(head | {"object": "chat.completion.chunk", "choices": []} | usage),
            total.output,
            final=True,
        )
    yield Event(_DONE, total.output)


def completions(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:
    """A legacy text completion, or its stream. Raises Refusal."""
    model = the_model(body)
    text = required(body, "prompt")
    prompt = Prompt(text="\n".join(strings(text)), limit=body.get("max_tokens") or 16)
    said = generate(prompt, step)
    total = meter(model, (text,), 0, said, step, cache)
    head = {"id": f"cmpl-{letters(29)}", "object": "text_completion", "created": now()}
    head |= {"model": model.served_as}

    def choice(words: str, finish: str | None) -> dict[str, Any]:
        return {"choices": [{"text": words, "index": 0, "logprobs": None, "finish_reason": finish}]}

    if not body.get("stream"):
        reply = head | choice(said.words, _finish(said)) | {"usage": completion_usage(total, model)}
        return Reply(reply | step.body, response_id=str(head["id"]), model=model.served_as, used=total)
    parts = len(said.text)
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    events = [
        Event(data_line(head | choice(piece, None)), share(total, done + 1, parts))
        for done, piece in enumerate(said.text)
    ]
    events.append(Event(data_line(head | choice("", _finish(said))), total.output, final=not wants_usage))
    if wants_usage:
        usage = data_line(head | {"choices": [], "usage": completion_usage(total, model)})
        events.append(Event(usage, total.output, final=True))
    events.append(Event(_DONE, total.output))
    return Reply(events=events, response_id=str(head["id"]), model=model.served_as, used=total)
