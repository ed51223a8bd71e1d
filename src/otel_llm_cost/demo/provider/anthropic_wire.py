"""How Anthropic talks: headers, errors, and a request taken apart into cacheable blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .cache import Block, PromptCache
from .prices import Model, model_named
from .quantities import Quantities
from .reply import Refusal, letters
from .text import count, json_of, strings

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_PER_MESSAGE = 4
"""Tokens around each message."""


class AnthropicWire:
    """Anthropic's headers and errors."""

    provider = "anthropic"

    def headers(self, request_id: str) -> dict[str, str]:
        """As api.anthropic.com sends them."""
        return {
            "request-id": request_id,
            "anthropic-organization-id": "demo",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """`{"type": "error", "error": {type, message}, "request_id"}`."""
        kind = _ERROR_TYPES.get(refusal.status, "api_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": refusal.message},
            "request_id": request_id,
        }

    def error_event(self, request_id: str) -> bytes:
        """`event: error`, which the SDK raises as APIStatusError."""
        return event(self.error(Refusal(529, "Overloaded"), request_id))

    def new_request_id(self) -> str:
        """`req_011C` and 20 letters."""
        return f"req_011C{letters(20)}"

    def key(self, headers: Mapping[str, str]) -> str:
        """The API key, or the token of an OAuth login."""
        return headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")


def event(value: Mapping[str, Any]) -> bytes:
    """An event named by its own type."""
    return f"event: {value['type']}\ndata: {json_of(value)}\n\n".encode()


def the_model(body: Mapping[str, Any]) -> Model:
    """The model a request names. Raises Refusal as Anthropic does."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "model: Field required")
    model = model_named(name, "anthropic")
    if model is None:
        raise Refusal(404, f"model: {name}")
    return model


def messages_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The conversation. Raises Refusal as Anthropic does."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "messages: at least one message is required")
    return messages


def meter_prompt(body: Mapping[str, Any], model: Model, cache: PromptCache) -> Quantities:
    """What the prompt of a request comes to: uncached, read from the cache, and stored in it."""
    blocks = list(_blocks(body))
    if ttl := _ttl(body):  # automatic caching: the whole prompt is the prefix
        blocks[-1] = Block(blocks[-1].text, blocks[-1].tokens, ttl)
    read, written = cache.marked(model.served_as, blocks)
    return Quantities(
        input=prompt_tokens(body) - read - sum(written.values()),
        cache_read=read,
        cache_write_5m=written.get("5m", 0),
        cache_write_1h=written.get("1h", 0),
    )


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Tokens of a request, whoever pays for which."""
    around = _PER_MESSAGE * len(body["messages"])
    return sum(block.tokens for block in _blocks(body)) + around


def prompt_text(body: Mapping[str, Any]) -> str:
    """Everything the model reads."""
    return "\n".join(block.text for block in _blocks(body))


def _blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    """Tools, then system, then messages: the order in which a prefix is cached."""
    system = body.get("system") or []
    contents = [system, *(message.get("content") or "" for message in body["messages"])]
    for tool in body.get("tools") or []:
        yield _block(json_of({key: tool[key] for key in tool if key != "cache_control"}), tool)
    for content in contents:
        for part in [content] if isinstance(content, str) else content:
            yield _block("\n".join(strings(part)), part)


def _block(text: str, part: Any) -> Block:
    return Block(text, count(text), _ttl(part) if isinstance(part, dict) else "")


def _ttl(part: Mapping[str, Any]) -> str:
    control = part.get("cache_control")
    return (control.get("ttl") or "5m") if isinstance(control, dict) else ""
