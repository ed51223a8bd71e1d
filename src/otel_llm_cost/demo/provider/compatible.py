"""Providers that speak OpenAI's chat format, under a path of their own: `/groq/openai/v1/chat/completions`.

What differs between them is where a stream tells its usage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import openai_chat
from .cache import PromptCache
from .openai_wire import OpenAIWire, data_line
from .reply import Endpoint, Event, Reply, Wire
from .script import Step

_ASK = {"stream_options": {"include_usage": True}}


@dataclass
class Compatible(OpenAIWire):
    """One such provider. base: the first step of its paths. chat: the path of chat after it.

    place: puts the usage where the last chunk of its streams has it; None where streams tell it when asked.
    """

    provider: str
    base: str = ""
    chat: str = "/v1/chat/completions"
    place: Callable[[Any], dict[str, Any]] | None = None

    def complete(self, body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:
        """A chat completion, or its stream. Raises Refusal."""
        if self.place is None or not body.get("stream"):
            return openai_chat.chat(body, step, cache, provider=self.provider)
        reply = openai_chat.chat(body | _ASK, step, cache, provider=self.provider)
        *text, finish, usage, done = map(_without_null_usage, reply.events or ())
        last = _data(finish) | self.place(_data(usage)["usage"])
        events = [*text, Event(data_line(last), finish.generated, final=True), done]
        return Reply(events=events, response_id=reply.response_id, model=reply.model, used=reply.used)


COMPATIBLE: tuple[Compatible, ...] = (
    Compatible(
        "groq",
        "/groq",
        "/openai/v1/chat/completions",
        lambda usage: {"x_groq": {"id": "req_demo", "usage": usage}},
    ),
    Compatible("together_ai", "/together", place=lambda usage: {"usage": usage}),
    Compatible("fireworks_ai", "/fireworks", place=lambda usage: {"usage": usage}),
    Compatible("cerebras", "/cerebras"),
    Compatible("writer", "/writer", "/v1/chat"),
)
ENDPOINTS: Mapping[tuple[str, str], tuple[Wire, Endpoint]] = {
    ("POST", each.base + each.chat): (each, each.complete) for each in COMPATIBLE
}


def _data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.data.removeprefix(b"data: "))
    return found


def _without_null_usage(event: Event) -> Event:
    return Event(event.data.replace(b',"usage":null', b""), event.generated)
