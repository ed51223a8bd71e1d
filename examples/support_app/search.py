"""Team search: finds the articles that answer a question, everything at once."""

from __future__ import annotations

import asyncio

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from otel_llm_cost import tags

QUESTION = "How do I merge two workspaces?"
ARTICLES = [
    f"Article {number}: how to set up, move, merge and close workspaces of kind {number}"
    for number in range(40)
]


async def find_articles() -> None:
    """Embed all articles, judge a dozen of them side by side, sum up and translate the best."""
    async with AsyncOpenAI() as openai, AsyncAnthropic() as anthropic:
        with tags(team="search", feature="index"):
            await openai.embeddings.create(model="text-embedding-3-small", input=ARTICLES)
        with tags(team="search", feature="rank"):
            await asyncio.gather(*(_judge(openai, article) for article in ARTICLES[:12]))
        with tags(team="search", feature="answers"):
            await asyncio.gather(_sum_up(openai), _translate(anthropic))


async def _judge(client: AsyncOpenAI, article: str) -> None:
    await client.responses.create(
        model="gpt-6-luna",
        instructions="Say how well the article answers the question, from 0 to 9.",
        input=f"{QUESTION}\n\n{article}",
    )


async def _sum_up(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": f"In one paragraph: {QUESTION}"}], stream=True
    )
    async for _ in stream:
        pass


async def _translate(client: AsyncAnthropic) -> None:
    await client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=200,
        messages=[{"role": "user", "content": f"In French: {QUESTION}"}],
        metadata={"user_id": "initech"},
    )
