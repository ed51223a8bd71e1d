"""Team growth: newsletters and experiments, in a hurry."""

from __future__ import annotations

from openai import OpenAI

from otel_llm_cost import tags


@tags(team="growth", feature="newsletter")
def write_newsletter() -> None:
    """A subject line that needs two tries, and a draft that nobody reads to its end."""
    client = OpenAI()
    client.chat.completions.create(
        model="gpt-5-nano",  # the demo's provider refuses the first try: too many requests
        messages=[{"role": "user", "content": "A subject line for the November newsletter."}],
        reasoning_effort="low",
    )
    draft = client.chat.completions.create(
        model="gpt-4.1",
        messages=[{"role": "user", "content": "A long newsletter about merging workspaces."}],
        stream=True,
    )
    for number, _ in enumerate(draft, start=1):
        if number == 12:
            break
    draft.close()


@tags(team="growth", feature="experiments")
def try_tomorrows_model() -> None:
    """A model that no price list knows yet."""
    OpenAI().chat.completions.create(
        model="gpt-next-preview", messages=[{"role": "user", "content": "Are you any good?"}]
    )


def ping() -> None:
    """A health check that nobody owns."""
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "ping"}], max_completion_tokens=5
    )
