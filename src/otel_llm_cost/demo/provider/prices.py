"""What the provider sells, and for how much: a literal table, in integers.

Prices are picodollars (1e-12 USD) per token: the same digits as microdollars per million tokens, so that
"$0.15 per million" is 150_000 here. Published list prices, standard tier, as of November 2026:
https://developers.openai.com/api/docs/pricing and https://docs.claude.com/en/docs/about-claude/pricing
"""

from __future__ import annotations

from dataclasses import dataclass

Prices = dict[str, int]
WEB_SEARCH = 10_000_000_000
"""Picodollars a search: $10 per thousand."""


@dataclass(frozen=True)
class Model:
    """A model on offer: what a response calls it (`served_as`) and what each unit costs."""

    provider: str
    served_as: str
    prices: Prices


def _openai(served_as: str, input: int, cache_read: int, output: int, cache_write: int = 0) -> Model:  # noqa: A002
    prices = {"input": input, "output": output}
    if cache_read:
        prices["cache_read"] = cache_read
    if cache_write:
        prices["cache_write"] = cache_write
    return Model("openai", served_as, prices)


def _anthropic(
    served_as: str,
    input: int,  # noqa: A002
    write_5m: int,
    write_1h: int,
    cache_read: int,
    output: int,
) -> Model:
    return Model(
        "anthropic",
        served_as,
        {
            "input": input,
            "cache_write_5m": write_5m,
            "cache_write_1h": write_1h,
            "cache_read": cache_read,
            "output": output,
        },
    )


# Models whose price rises with a long prompt are offered below that length only (see LONGEST_PROMPT).
MODELS: dict[str, Model] = {
    "gpt-3.5-turbo": _openai("gpt-3.5-turbo-0125", 500_000, 0, 1_500_000),
    "gpt-3.5-turbo-instruct": _openai("gpt-3.5-turbo-instruct", 1_500_000, 0, 2_000_000),
    "gpt-4o": _openai("gpt-4o-2024-08-06", 2_500_000, 1_250_000, 10_000_000),
    "gpt-4o-mini": _openai("gpt-4o-mini-2024-07-18", 150_000, 75_000, 600_000),
    "gpt-4.1": _openai("gpt-4.1-2025-04-14", 2_000_000, 500_000, 8_000_000),
    "gpt-4.1-mini": _openai("gpt-4.1-mini-2025-04-14", 400_000, 100_000, 1_600_000),
    "gpt-4.1-nano": _openai("gpt-4.1-nano-2025-04-14", 100_000, 25_000, 400_000),
    "gpt-5": _openai("gpt-5-2025-08-07", 1_250_000, 125_000, 10_000_000),
    "gpt-5-mini": _openai("gpt-5-mini-2025-08-07", 250_000, 25_000, 2_000_000),
    "gpt-5-nano": _openai("gpt-5-nano-2025-08-07", 50_000, 5_000, 400_000),
    "o4-mini": _openai("o4-mini-2025-04-16", 1_100_000, 275_000, 4_400_000),
    "gpt-6-luna": _openai("gpt-6-luna", 100_000, 10_000, 500_000, cache_write=125_000),
    "gpt-6.1-terra": _openai("gpt-6.1-terra", 1_000_000, 50_000, 5_000_000, cache_write=1_250_000),
    "text-embedding-3-small": _openai("text-embedding-3-small", 20_000, 0, 0),
    "text-embedding-3-large": _openai("text-embedding-3-large", 130_000, 0, 0),
    # Sold before it stands in any price list: how a ledger meets a model that it cannot price.
    "gpt-next-preview": _openai("gpt-next-preview", 3_000_000, 0, 12_000_000),
    # From the price lists of groq.com, together.ai, fireworks.ai, cerebras.ai and writer.com.
    "llama-3.3-70b-versatile": Model(
        "groq", "llama-3.3-70b-versatile", {"input": 590_000, "output": 790_000}
    ),
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": Model(
        "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", {"input": 880_000, "output": 880_000}
    ),
    "accounts/fireworks/models/gpt-oss-20b": Model(
        "fireworks_ai",
        "accounts/fireworks/models/gpt-oss-20b",
        {"input": 70_000, "cache_read": 35_000, "output": 300_000},
    ),
    "llama-3.3-70b": Model("cerebras", "llama-3.3-70b", {"input": 850_000, "output": 1_200_000}),
    "palmyra-x5": Model("writer", "palmyra-x5", {"input": 600_000, "output": 6_000_000}),
    "claude-3-haiku-20240307": _anthropic(
        "claude-3-haiku-20240307", 250_000, 300_000, 500_000, 30_000, 1_250_000
    ),
    "claude-haiku-4-5": _anthropic(
        "claude-haiku-4-5-20251001", 1_000_000, 1_250_000, 2_000_000, 100_000, 5_000_000
    ),
    "claude-sonnet-4-6": _anthropic(
        "claude-sonnet-4-6", 3_000_000, 3_750_000, 6_000_000, 300_000, 15_000_000
    ),
    "claude-sonnet-5-5": _anthropic(
        "claude-sonnet-5-5", 2_000_000, 2_500_000, 4_000_000, 100_000, 10_000_000
    ),
    "claude-opus-5-5": _anthropic("claude-opus-5-5", 4_000_000, 5_000_000, 8_000_000, 200_000, 20_000_000),
    "claude-next-preview": _anthropic(
        "claude-next-preview", 6_000_000, 7_500_000, 12_000_000, 600_000, 30_000_000
    ),
}
LONGEST_PROMPT = 128_000
"""Tokens. Longer prompts are refused: below it every model here has one flat price."""

_SERVED_AS = {model.served_as: model for model in MODELS.values()}


def model_named(name: str, provider: str) -> Model | None:
    """The model of a short or a dated name; None when this provider has no such model."""
    model = MODELS.get(name) or _SERVED_AS.get(name)
    return model if model is not None and model.provider == provider else None
