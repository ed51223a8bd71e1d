"""The quick reading of a plain usage object and the thorough one give the same answer, flags included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing.normalise import chat, messages, quick, responses, tokens

SHAPES = (chat.OPENAI, *chat.SHAPES.values(), messages.MESSAGES, responses.RESPONSES)
TOP = (
    *("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens", "cached_tokens"),
    *(
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "reasoning_tokens",
        "made_up",
        "service_tier",
    ),
)
NESTED = (
    *("prompt_tokens_details", "input_tokens_details", "completion_tokens_details"),
    *("output_tokens_details", "cache_creation"),
)
INNER = (
    *("cached_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "cache_write_tokens"),
    *("thinking_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "made_up"),
)
usual = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 5))
odd = st.one_of(usual, st.none(), st.integers(-3, 0), st.booleans(), st.sampled_from(["7", 2.5, 10**16]))


@st.composite
def usage(draw: st.DrawFn) -> dict[str, Any]:
    """A usage object: mostly a pair of totals with details, sometimes nonsense."""
    value = draw(st.sampled_from([usual, usual, odd]))
    pair = draw(
        st.sampled_from([("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"), ()])
    )
    found: dict[str, Any] = {name: draw(st.integers(0, 200)) for name in pair}
    found.update(draw(st.dictionaries(st.sampled_from(TOP), value, max_size=2)))
    inner = st.dictionaries(st.sampled_from(INNER), value, max_size=3)
    found.update(draw(st.dictionaries(st.sampled_from(NESTED), inner, max_size=2)))
    return found


def thorough(usage: dict[str, Any], shape: tokens.Shape, flags: list[str]) -> dict[str, Any]:
    """`read_tokens` without its quick way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "read", lambda *_: None)
        return tokens.read_tokens(usage, shape, flags)


@settings(max_examples=600)
@given(usage(), st.sampled_from(SHAPES))
def test_quick_and_thorough_agree(usage: dict[str, Any], shape: tokens.Shape) -> None:
    plain = quick.read(usage, shape.roles)
    quantities = None if plain is None else tokens.plain_quantities(plain[0], shape)
    if quantities is None:
        return
    flags: list[str] = []
    assert Usage.trusted(quantities) == Usage(thorough(usage, shape, flags))
    assert flags == []


def test_the_usual_answers_are_read_quickly() -> None:
    openai = {
        "prompt_tokens": 1200,
        "completion_tokens": 180,
        "total_tokens": 1380,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
    }
    anthropic = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "service_tier": "standard",
    }
    assert quick.read(openai, chat.OPENAI.roles) is not None
    assert quick.read(anthropic, messages.MESSAGES.roles) is not None
    assert chat.read_plain({"usage": openai}, "openai") is not None


answers = st.fixed_dictionaries(
    {"usage": usage()},
    optional={
        "model": st.sampled_from(["gpt-4o", "", None, 7]),
        "id": st.sampled_from(["c1", None]),
        "service_tier": st.sampled_from(["default", "Priority", "", None, 5]),
        "choices": st.lists(
            st.fixed_dictionaries({"finish_reason": st.sampled_from(["stop", "length", "", None])}),
            max_size=3,
        ),
        "x_groq": st.just({"usage": {"prompt_tokens": 1}}),
    },
)


@settings(max_examples=600)
@given(answers, st.sampled_from(["openai", "azure.ai.openai", "groq", "x_ai", "perplexity", "openrouter"]))
def test_a_plain_answer_reads_as_any_other(answer: dict[str, Any], provider: str) -> None:
    plain = chat.read_plain(answer, provider)
    if plain is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "read", lambda *_: None)
        as_any_other = chat.read(answer, provider, {})
    assert plain._replace(raw_usage="") == as_any_other._replace(raw_usage="")
    assert without_zeros(json.loads(plain.raw_usage)) == without_zeros(json.loads(as_any_other.raw_usage))


def without_zeros(usage: Any) -> Any:
    """Counts that are not 0; details that have none are left out."""
    if not isinstance(usage, dict):
        return usage
    return {name: without_zeros(value) for name, value in usage.items() if without_zeros(value)}
