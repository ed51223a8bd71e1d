"""Team growth: newsletters and experiments, in a hurry."""

from __future__ import annotations

from openai import OpenAI

from otel_llm_cost import tags


def write_newsletter() -> None:
    """A subject line that needs two tries, and a draft that nobody reads to its end."""
    client = OpenAI()
    with tags(team="growth", feature="newsletter"):
        client.chat.completions.create(
            model="gpt-5-nano",  # the demo's provider refuses the first try: too many requests
            messages=[{"role": "user", "content": "A subject line for the November newsletter."}],
        )
        draft = client.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": "A long newsletter about merging workspaces."}],
            stream=True,
        )
        for count, _ in enumerate(draft):
            if count == 5:
                break
        draft.close()


def try_tomorrows_model() -> None:
    """A model that no price list knows yet."""
    with tags(team="growth", feature="experiments"):
        OpenAI().chat.completions.create(
            model="gpt-next-preview", messages=[{"role": "user", "content": "Are you any good?"}]
        )


def ping() -> None:
    """A health check that nobody owns."""
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "ping"}], max_completion_tokens=5
    )
