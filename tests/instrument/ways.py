"""Every way to make a call, per SDK: what the parametrised suite runs through. A new SDK is new rows here."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import cerebras.cloud.sdk
import fireworks
import groq
import openai
import together
import writerai
from pydantic import BaseModel

from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.instrument import SDKS

ASK: list[Any] = [{"role": "user", "content": "Where is my parcel? It was sent on Monday."}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": ASK}
RESPONSE: dict[str, Any] = {"model": "gpt-4o-mini", "input": "Where is my parcel?"}
MESSAGE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 300, "messages": ASK}


class Label(BaseModel):
    """A structured answer."""

    queue: str
    urgent: bool


@dataclass(frozen=True)
class Way:
    """One way to call. make: from a client and keyword arguments to what the SDK returns.

    is_stream: whether that is iterated. operation, model, api: what the call must be recorded as.
    """

    sdk: str
    name: str
    make: Callable[..., Any]
    is_stream: bool = False
    operation: str = "chat"
    model: str = "gpt-4o-mini"
    api: str = "chat.completions"

    @property
    def is_priced(self) -> bool:
        """Whether the price list has the model: Writer's own prices are in none."""
        return self.sdk != "writer"

    @property
    def provider(self) -> str:
        """Who answers, as `gen_ai.provider.name`."""
        return SDKS[self.sdk].provider

    @property
    def package(self) -> str:
        """Where the SDK's exceptions are from."""
        return SDKS[self.sdk].package

    @property
    def id(self) -> str:
        return f"{self.sdk}-{self.name}"


def _openai(name: str, make: Callable[..., Any], **more: Any) -> Way:
    return Way("openai", name, make, **more)


def _anthropic(name: str, make: Callable[..., Any], **more: Any) -> Way:
    return Way("anthropic", name, make, model="claude-haiku-4-5", api="messages", **more)


COMPATIBLE = {
    "groq": "llama-3.3-70b-versatile",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "fireworks": "accounts/fireworks/models/gpt-oss-20b",
    "cerebras": "llama-3.3-70b",
    "writer": "palmyra-x5",
}
"""SDKs that speak OpenAI's chat format, and a model that each provider sells."""


def _compatible(sdk: str, model: str) -> Iterator[Way]:
    def make(client: Any, **kw: Any) -> Any:
        chat = client.chat
        create = chat.chat if sdk == "writer" else chat.completions.create
        return create(model=model, messages=ASK, **kw)

    def make_raw(client: Any, **kw: Any) -> Any:
        chat = client.chat
        raw = chat.with_raw_response if sdk == "writer" else chat.completions.with_raw_response
        return (raw.chat if sdk == "writer" else raw.create)(model=model, messages=ASK, **kw)

    yield Way(sdk, "plain", make, model=model)
    yield Way(sdk, "raw", make_raw, model=model)
    yield Way(
        sdk, "stream", lambda client, **kw: make(client, stream=True, **kw), is_stream=True, model=model
    )


WAYS = (
    _openai("plain", lambda c, **kw: c.chat.completions.create(**CHAT, **kw)),
    _openai("stream", lambda c, **kw: c.chat.completions.create(**CHAT, stream=True, **kw), is_stream=True),
    _openai("helper", lambda c, **kw: c.chat.completions.stream(**CHAT, **kw), is_stream=True),
    _openai("raw", lambda c, **kw: c.chat.completions.with_raw_response.create(**CHAT, **kw)),
    _openai("parse", lambda c, **kw: c.chat.completions.parse(**CHAT, response_format=Label, **kw)),
    _openai("responses", lambda c, **kw: c.responses.create(**RESPONSE, **kw), api="responses"),
    _openai(
        "responses-stream",
        lambda c, **kw: c.responses.create(**RESPONSE, stream=True, **kw),
        is_stream=True,
        api="responses",
    ),
    _openai(
        "responses-helper",
        lambda c, **kw: c.responses.stream(**RESPONSE, **kw),
        is_stream=True,
        api="responses",
    ),
    _openai(
        "responses-parse",
        lambda c, **kw: c.responses.parse(**RESPONSE, text_format=Label, **kw),
        api="responses",
    ),
    _openai(
        "embeddings",
        lambda c, **kw: c.embeddings.create(model="text-embedding-3-small", input="parcel", **kw),
        operation="embeddings",
        model="text-embedding-3-small",
        api="embeddings",
    ),
    _openai(
        "legacy",
        lambda c, **kw: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="parcel", **kw),
        operation="text_completion",
        model="gpt-3.5-turbo-instruct",
        api="completions",
    ),
    _openai(
        "legacy-stream",
        lambda c, **kw: c.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="parcel", stream=True, **kw
        ),
        is_stream=True,
        operation="text_completion",
        model="gpt-3.5-turbo-instruct",
        api="completions",
    ),
    _anthropic("plain", lambda c, **kw: c.messages.create(**MESSAGE, **kw)),
    _anthropic("stream", lambda c, **kw: c.messages.create(**MESSAGE, stream=True, **kw), is_stream=True),
    _anthropic("helper", lambda c, **kw: c.messages.stream(**MESSAGE, **kw), is_stream=True),
    _anthropic("raw", lambda c, **kw: c.messages.with_raw_response.create(**MESSAGE, **kw)),
    _anthropic("parse", lambda c, **kw: c.messages.parse(**MESSAGE, output_format=Label, **kw)),
    _anthropic("beta", lambda c, **kw: c.beta.messages.create(**MESSAGE, **kw)),
    _anthropic(
        "beta-stream", lambda c, **kw: c.beta.messages.create(**MESSAGE, stream=True, **kw), is_stream=True
    ),
    *(way for sdk, model in COMPATIBLE.items() for way in _compatible(sdk, model)),
)

STREAMS = tuple(way for way in WAYS if way.is_stream)
PLAIN = tuple(way for way in WAYS if not way.is_stream)


CLIENTS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "openai": (openai.OpenAI, openai.AsyncOpenAI),
    "anthropic": (anthropic.Anthropic, anthropic.AsyncAnthropic),
    "groq": (groq.Groq, groq.AsyncGroq),
    "together": (together.Together, together.AsyncTogether),
    "fireworks": (fireworks.Fireworks, fireworks.AsyncFireworks),
    "cerebras": (
        partial(cerebras.cloud.sdk.Cerebras, warm_tcp_connection=False),
        partial(cerebras.cloud.sdk.AsyncCerebras, warm_tcp_connection=False),
    ),
    "writer": (partial(writerai.Writer, max_retries=2), partial(writerai.AsyncWriter, max_retries=2)),
}
"""Sync and async client of each SDK."""


def client(sdk: str, provider: Provider, **more: Any) -> Any:
    """A sync client of the local provider."""
    return CLIENTS[sdk][0](base_url=_url(sdk, provider), api_key="any", **more)


def async_client(sdk: str, provider: Provider, **more: Any) -> Any:
    """An async one."""
    return CLIENTS[sdk][1](base_url=_url(sdk, provider), api_key="any", **more)


def _url(sdk: str, provider: Provider) -> str:
    urls = {"openai": provider.openai_url, "anthropic": provider.anthropic_url}
    return urls.get(sdk) or f"{provider.anthropic_url}/{sdk}"


def read_all(way: Way, made: Any) -> list[Any]:
    """Whatever the way gives, read to the end."""
    if not way.is_stream:
        return [made.parse() if hasattr(made, "parse") else made]
    if isinstance(made, AbstractContextManager) and not isinstance(made, Iterator):
        with made as stream:
            return list(stream)
    return list(made)


async def read_all_async(way: Way, made: Any) -> list[Any]:
    """`read_all` on an event loop."""
    if inspect.isawaitable(made):
        made = await made
    if not way.is_stream:
        if not hasattr(made, "parse"):
            return [made]
        parsed = made.parse()
        return [await parsed if inspect.isawaitable(parsed) else parsed]
    if isinstance(made, AbstractAsyncContextManager) and not isinstance(made, AsyncIterator):
        async with made as stream:
            return [item async for item in stream]
    return [item async for item in made]
