"""An app that calls both SDKs in every way there is, many times over, from threads and tasks.

Run as `python workload.py SEED CALLS`. Each call is tagged with its way, so that a wrong cost names it.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from otel_llm_cost import tags

OPENAI = OpenAI()
ANTHROPIC = Anthropic()
ASK: Any = [{"role": "user", "content": "Where is my order?"}]
TOOL: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": TOOL}}
RESPONSE_TOOL: Any = {"type": "function", "name": "weather", "parameters": TOOL, "strict": False}
MESSAGE_TOOL: Any = {"name": "weather", "input_schema": TOOL}
CHAT_MODELS = ("gpt-4o", "gpt-4.1-mini", "gpt-5-nano", "gpt-6-luna", "gpt-6.1-terra", "o4-mini")
MESSAGE_MODELS = ("claude-haiku-4-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-sonnet-4-6")


class Label(BaseModel):
    """A structured answer."""

    queue: str


class Dice:
    """The random part of a call: its model, its quantities, and what goes wrong before it goes right."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def chat(self, cached: bool = True) -> dict[str, Any]:
        """For any OpenAI model that chats."""
        model = self.random.choice(CHAT_MODELS)
        extra = {"cache_read": self._up_to(60_000)} if cached else {}
        if cached and model.startswith("gpt-6"):
            extra["cache_write"] = self._up_to(20_000)
        return {"model": model, "messages": ASK, "extra_headers": self._script(extra)}

    def response(self, **fees: int) -> dict[str, Any]:
        """The same for the Responses API."""
        asked = self.chat()
        asked["input"] = asked.pop("messages")[0]["content"]
        asked["extra_headers"] = self._script(fees) if fees else asked["extra_headers"]
        return asked

    def message(self, **fees: int) -> dict[str, Any]:
        """For any Anthropic model."""
        extra = {name: self._up_to(30_000) for name in ("cache_read", "cache_write_5m", "cache_write_1h")}
        return {
            "model": self.random.choice(MESSAGE_MODELS),
            "max_tokens": 20_000,
            "messages": ASK,
            "extra_headers": self._script(extra | fees),
        }

    def embedding(self) -> dict[str, Any]:
        """For an embedding model, which has no output to pay."""
        script = f"input={self._up_to(100_000)}"
        model = self.random.choice(["text-embedding-3-small", "text-embedding-3-large"])
        return {"model": model, "input": "red apples", "extra_headers": {"x-demo-script": script}}

    def _up_to(self, most: int) -> int:
        return self.random.choice([0, 1, self.random.randrange(most)])

    def _script(self, extra: dict[str, int]) -> dict[str, str]:
        output = 1 + self._up_to(4_000)
        quantities = {"input": self._up_to(30_000), "output": output, "reasoning": output // 3} | extra
        serve = ",".join(f"{name}={quantity}" for name, quantity in quantities.items())
        if self.random.random() < 0.2:
            serve += ",gzip=yes"
        refusals = self.random.choice(["", "", "", "status=429 | ", "status=500 | status=529 | "])
        return {"x-demo-script": refusals + serve}


def _read(stream: Any) -> None:
    with stream as events:
        for _ in events:
            pass


def _raw(response: Any) -> None:
    with response as body:
        for _ in body.iter_lines():
            pass


Way = Callable[[Dice], Any]
WAYS: dict[str, Way] = {
    "chat": lambda dice: OPENAI.chat.completions.create(**dice.chat()),
    "chat n": lambda dice: OPENAI.chat.completions.create(**dice.chat(), n=3),
    "chat tools": lambda dice: OPENAI.chat.completions.create(**dice.chat(), tools=[CHAT_TOOL]),
    "chat parse": lambda dice: OPENAI.chat.completions.parse(**dice.chat(), response_format=Label),
    "chat raw": lambda dice: OPENAI.chat.completions.with_raw_response.create(**dice.chat()),
    "chat raw unread": lambda dice: _raw(
        OPENAI.chat.completions.with_streaming_response.create(**dice.chat())
    ),
    "chat stream": lambda dice: _read(OPENAI.chat.completions.create(**dice.chat(), stream=True)),
    "chat stream usage": lambda dice: _read(
        OPENAI.chat.completions.create(**dice.chat(), stream=True, stream_options={"include_usage": True})
    ),
    "chat stream tools": lambda dice: _read(
        OPENAI.chat.completions.create(**dice.chat(), stream=True, tools=[CHAT_TOOL])
    ),
    "chat stream raw": lambda dice: _raw(
        OPENAI.chat.completions.with_streaming_response.create(**dice.chat(), stream=True)
    ),
    "chat helper": lambda dice: _read(OPENAI.chat.completions.stream(**dice.chat())),
    "completion": lambda dice: OPENAI.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="Once", extra_headers=dice.chat(cached=False)["extra_headers"]
    ),
    "completion stream": lambda dice: _read(
        OPENAI.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", stream=True)
    ),
    "response": lambda dice: OPENAI.responses.create(**dice.response()),
    "response tools": lambda dice: OPENAI.responses.create(**dice.response(), tools=[RESPONSE_TOOL]),
    "response search": lambda dice: OPENAI.responses.create(
        **dice.response(web_searches=2) | {"model": "gpt-5"}, tools=[{"type": "web_search"}]
    ),
    "response parse": lambda dice: OPENAI.responses.parse(**dice.response(), text_format=Label),
    "response stream": lambda dice: _read(OPENAI.responses.create(**dice.response(), stream=True)),
    "response cut": lambda dice: _read(
        OPENAI.responses.create(**dice.response(), stream=True, max_output_tokens=5)
    ),
    "response helper": lambda dice: _read(OPENAI.responses.stream(**dice.response())),
    "embeddings": lambda dice: OPENAI.embeddings.create(**dice.embedding()),
    "message": lambda dice: ANTHROPIC.messages.create(**dice.message()),
    "message tools": lambda dice: ANTHROPIC.messages.create(**dice.message(), tools=[MESSAGE_TOOL]),
    "message search": lambda dice: ANTHROPIC.messages.create(**dice.message(web_searches=3)),
    "message parse": lambda dice: ANTHROPIC.messages.parse(**dice.message(), output_format=Label),
    "message raw": lambda dice: ANTHROPIC.messages.with_raw_response.create(**dice.message()),
    "message stream": lambda dice: _read(ANTHROPIC.messages.create(**dice.message(), stream=True)),
    "message stream raw": lambda dice: _raw(
        ANTHROPIC.messages.with_streaming_response.create(**dice.message(), stream=True)
    ),
    "message helper": lambda dice: _read(ANTHROPIC.messages.stream(**dice.message())),
    "message beta": lambda dice: ANTHROPIC.beta.messages.create(
        **dice.message(), betas=["a-beta-2026-01-01"]
    ),
}


async def _read_async(stream: Any) -> None:
    async with stream as events:
        async for _ in events:
            pass


AsyncWay = Callable[[Dice, AsyncOpenAI, AsyncAnthropic], Awaitable[Any]]


async def _chat_stream(dice: Dice, openai: AsyncOpenAI, _: AsyncAnthropic) -> None:
    await _read_async(await openai.chat.completions.create(**dice.chat(), stream=True))


async def _response_stream(dice: Dice, openai: AsyncOpenAI, _: AsyncAnthropic) -> None:
    await _read_async(await openai.responses.create(**dice.response(), stream=True))


ASYNC_WAYS: dict[str, AsyncWay] = {
    "async chat": lambda dice, openai, _: openai.chat.completions.create(**dice.chat()),
    "async chat stream": _chat_stream,
    "async chat helper": lambda dice, openai, _: _read_async(openai.chat.completions.stream(**dice.chat())),
    "async response": lambda dice, openai, _: openai.responses.create(**dice.response()),
    "async response stream": _response_stream,
    "async embeddings": lambda dice, openai, _: openai.embeddings.create(**dice.embedding()),
    "async message": lambda dice, _, anthropic: anthropic.messages.create(**dice.message()),
    "async message helper": lambda dice, _, anthropic: _read_async(
        anthropic.messages.stream(**dice.message())
    ),
}


def _in_threads(seed: str, calls: int) -> None:
    def one(number: int) -> None:
        way = list(WAYS)[number % len(WAYS)]
        with tags(team=f"team-{number % 3}", way=way):
            WAYS[way](Dice(f"{seed}/{number}"))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(one, range(calls)))


async def _in_tasks(seed: str, calls: int) -> None:
    async with AsyncOpenAI() as openai, AsyncAnthropic() as anthropic:

        async def one(number: int) -> None:
            way = list(ASYNC_WAYS)[number % len(ASYNC_WAYS)]
            with tags(team=f"team-{number % 3}", way=way):
                await ASYNC_WAYS[way](Dice(f"{seed}/async/{number}"), openai, anthropic)

        for start in range(0, calls, 16):
            await asyncio.gather(*map(one, range(start, min(start + 16, calls))))


if __name__ == "__main__":
    count = int(sys.argv[2])
    _in_threads(sys.argv[1], count * 3 // 4)
    asyncio.run(_in_tasks(sys.argv[1], count - count * 3 // 4))
