"""Team search: finds the articles that answer a question."""

from __future__ import annotations

import asyncio

from openai import AsyncOpenAI

from otel_llm_cost import tags

ARTICLES = [
    f"Article {number}: how to set up, move, merge and close workspaces of kind {number}"
    for number in range(40)
]


async def find_articles() -> None:
    """Embed all articles, then judge a dozen of them at once."""
    async with AsyncOpenAI() as client:
        with tags(team="search", feature="index"):
            await client.embeddings.create(model="text-embedding-3-small", input=ARTICLES)
        with tags(team="search", feature="rank"):
            await asyncio.gather(*(_judge(client, article) for article in ARTICLES[:12]))
            await _summarise(client)


async def _judge(client: AsyncOpenAI, article: str) -> None:
    await client.responses.create(
        model="gpt-5-mini",
        instructions="Say how well the article answers the question, from 0 to 9.",
        input=f"How do I merge two workspaces?\n\n{article}",
    )


async def _summarise(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Say in one paragraph how to merge two workspaces."}],
        stream=True,
    )
    async for _ in stream:
        pass
