"""Laws that hold for every usage, model and instant."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pricing.calls import AT, call, cost

from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing.normalise import read

MODELS = st.sampled_from(
    [
        ("openai", "gpt-5"),
        ("openai", "gpt-5.4"),
        ("openai", "gpt-6-sol"),
        ("anthropic", "claude-opus-5-5"),
        ("anthropic", "claude-haiku-5-5"),
        ("google", "gemini-2.5-pro"),
        ("google", "gemini-2.5-flash"),
        ("deepseek", "deepseek-v4-pro"),
        ("mistral", "mistral-large-2512"),
        ("x-ai", "grok-4.6"),
        ("groq", "openai/gpt-oss-120b"),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ]
)
COUNT = st.integers(0, 400_000)
UNITS = ("input_uncached", "cache_read", "output")
USAGES = st.fixed_dictionaries(dict.fromkeys(UNITS, COUNT))
INSTANTS = st.integers(-400 * 24, 60 * 24).map(lambda hours: AT + timedelta(hours=hours))


@given(MODELS, USAGES, INSTANTS)
def test_components_sum_to_the_total_and_nothing_is_negative(
    model: tuple[str, str], usage: dict[str, int], at: datetime
) -> None:
    found = cost(call(*model, at, usage=Usage(usage)))
    assert found.effective_atto is not None
    assert sum(line.atto for line in found.components) == found.effective_atto
    assert all(line.atto >= 0 for line in found.components)
    assert (found.effective_atto == 0) == (not any(usage.values()))


@given(MODELS, USAGES, st.sampled_from(UNITS), st.integers(1, 300_000), INSTANTS)
def test_more_of_any_unit_never_costs_less(
    model: tuple[str, str], usage: dict[str, int], unit: str, more: int, at: datetime
) -> None:
    less = cost(call(*model, at, usage=Usage(usage))).effective_atto
    grown = cost(call(*model, at, usage=Usage({**usage, unit: usage[unit] + more}))).effective_atto
    assert less is not None
    assert grown is not None
    assert grown >= less


@given(MODELS.filter(lambda model: model[0] not in ("deepseek", "x-ai")), USAGES, INSTANTS)
def test_batch_never_costs_more_than_standard(
    model: tuple[str, str], usage: dict[str, int], at: datetime
) -> None:
    standard = cost(call(*model, at, usage=Usage(usage))).effective_atto
    batch = cost(call(*model, at, usage=Usage(usage), terms={"processing": "batch"})).effective_atto
    assert standard is not None
    assert batch is not None
    assert batch <= standard


@given(
    st.sampled_from(
        [("openai", "gpt-5"), ("anthropic", "claude-opus-5-5"), ("mistral", "mistral-large-2512")]
    ),
    USAGES,
    st.integers(0, 100),
)
def test_splitting_usage_never_changes_the_sum_where_there_is_no_tier(
    model: tuple[str, str], usage: dict[str, int], share: int
) -> None:
    part = {unit: count * share // 100 for unit, count in usage.items()}
    rest = {unit: count - part[unit] for unit, count in usage.items()}
    whole, one, other = (cost(call(*model, usage=Usage(each))).effective_atto for each in (usage, part, rest))
    assert whole is not None
    assert one is not None
    assert other is not None
    assert abs(whole - one - other) <= 3  # half-even once per component; these rates divide evenly
    assert whole == one + other


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_rounding_is_half_even_at_1e_18_per_line(seconds: int, more: int) -> None:
    found = cost(call("groq", "whisper-large-v3-turbo", usage=Usage(audio_seconds=seconds + more)))
    billed = max(seconds + more, 10)
    assert found.effective_atto == round(Fraction(billed) * Fraction("0.04") / 3600 * ATTO)


@given(MODELS, USAGES, st.sampled_from(["0.01", "0.15", "0.5"]))
@settings(max_examples=25)
def test_a_discount_scales_every_token_line(
    model: tuple[str, str], usage: dict[str, int], discount: str
) -> None:
    from otel_llm_cost.pricing import PriceList

    prices = PriceList.of({"contract": [{"provider": model[0], "scope": "tokens", "discount": discount}]})
    found = cost(call(*model, usage=Usage(usage)), prices)
    assert found.list_atto == cost(call(*model, usage=Usage(usage))).effective_atto
    assert found.effective_atto == found.contracted_atto
    assert sum(line.atto for line in found.components) == found.effective_atto
    for line in found.components:
        listed = Fraction(line.unit_price) / (1 - Fraction(discount))
        assert line.atto == round(
            Fraction(line.quantity) * listed * (1 - Fraction(discount)) / line.per * ATTO
        )


NUMBERS = st.one_of(st.integers(-5, 10**6), st.floats(), st.text(max_size=4), st.none(), st.booleans())
NESTED = st.recursive(
    NUMBERS,
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens", "ttl", "x"]),
            inner,
            max_size=3,
        )
        | st.lists(inner, max_size=2)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "cache_creation",
        "cache_read_input_tokens",
        "iterations",
        "server_tool_use",
        "inputTokens",
        "cacheDetails",
        "billed_units",
        "seconds",
        "cost",
    ]
)


@given(
    st.sampled_from(["openai", "anthropic", "google", "aws", "cohere", "x-ai", "openrouter", "nobody"]),
    st.sampled_from(
        [
            "chat.completions",
            "responses",
            "messages",
            "generateContent",
            "converse",
            "v2/chat",
            "images",
            "realtime",
            "?",
        ]
    ),
    st.dictionaries(
        st.sampled_from(["usage", "usageMetadata", "meta", "model", "output", "candidates"]),
        st.dictionaries(KEYS, NESTED, max_size=5) | NESTED,
        max_size=3,
    ),
)
@settings(max_examples=300, deadline=None)
def test_no_payload_raises_or_gives_a_negative_quantity(
    provider: str, api: str, payload: dict[str, Any]
) -> None:
    reading = read(provider, api, payload)
    assert all(quantity >= 0 for _, quantity in reading.usage.items())
    found = cost(
        call(
            provider,
            "gpt-5",
            AT,
            usage=reading.usage,
            usage_source=reading.usage_source,
            parts=reading.parts,
            reported_cost=reading.reported_cost,
            usage_flags=reading.flags,
        )
    )
    assert found.effective_atto is None or found.effective_atto >= 0


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
