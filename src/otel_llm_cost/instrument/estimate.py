"""Usage of a call whose provider sent none, or not all: counted from what was asked and what was received.

Runs on our own thread. Texts are counted here and dropped; what leaves is a number, marked `estimated`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from otel_llm_cost import tokens
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.instrument import sse

if TYPE_CHECKING:
    from otel_llm_cost.instrument.sdk import Route
    from otel_llm_cost.instrument.streams import Tap

PROMPT = ("instructions", "system", "messages", "input", "prompt")
"""Request parameters that hold text the model reads."""
SCHEMAS = ("tools", "functions", "response_format", "text")
"""Request parameters whose JSON the model reads."""
PER_MESSAGE = 4
"""Tokens around each message (https://cookbook.openai.com, "How to count tokens with tiktoken", 3 + 1)."""


def complete(usage: Usage, route: Route, body: Mapping[str, Any], tap: Tap | None) -> Usage:
    """`usage` with what is missing of it estimated; what the provider said stands.

    An aborted stream's output is what was received: at least what the provider said so far.
    """
    if not usage.has_input:
        usage = usage | Usage(input_uncached=prompt_tokens(body))
    if route.operation != "embeddings" and tap is not None:
        received = output_tokens(tap, route.deltas)
        if received > usage.output_tokens or not usage.has_output:
            usage = usage | Usage(output=received)
    return usage


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Tokens of everything in a request that the model reads; images and files count nothing."""
    text = "\n".join(_strings([body[name] for name in PROMPT if name in body]))
    schemas = [body[name] for name in SCHEMAS if isinstance(body.get(name), list | dict)]
    if schemas:
        text += json.dumps(schemas, default=str)
    messages = body.get("messages", body.get("input"))
    around = (
        PER_MESSAGE * len(messages)
        if isinstance(messages, list) and messages[:1] and _is_message(messages[0])
        else 0
    )
    return tokens.count(text) + around


def output_tokens(tap: Tap, keys: Iterable[str]) -> int:
    """Tokens of the text in the events that were received, scaled up where not all of them were kept."""
    sampled = sse.count(tap.sample)
    if not sampled:
        return 0
    found = tokens.count("".join(_received(tap.sample, frozenset(keys))))
    return round(found * max(tap.events, sampled) / sampled)


def _received(block: bytes, keys: frozenset[str]) -> Iterator[str]:
    for event in block.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = sse.event_data(event)
        if data is not None:
            yield from _strings_under(data, keys)


def _strings_under(value: Any, keys: frozenset[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in keys and isinstance(item, str):
                yield item
            else:
                yield from _strings_under(item, keys)
    elif isinstance(value, list):
        for item in value:
            yield from _strings_under(item, keys)


_SKIPPED = frozenset(
    {"type", "role", "id", "url", "image_url", "data", "media_type", "cache_control", "file_id"}
)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _SKIPPED:
                yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _is_message(item: Any) -> bool:
    return isinstance(item, Mapping)
