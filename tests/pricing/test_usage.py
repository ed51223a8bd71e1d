"""Payloads → disjoint usage: inclusion rules, odd numbers, contradictions, SDK objects, no content kept."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing.normalise import OUTPUT_MISSING, fold, read


def chat(**usage: Any) -> dict[str, Any]:
    return {"object": "chat.completion", "model": "m", "usage": usage}


@pytest.mark.parametrize(
    ("provider", "api", "payload", "usage"),
    [
        (
            "openai",
            "chat.completions",
            chat(
                prompt_tokens=10,
                completion_tokens=5,
                prompt_tokens_details={"cached_tokens": 4},
                completion_tokens_details={"reasoning_tokens": 2},
            ),
            Usage(input_uncached=6, cache_read=4, output=5, reasoning=2),
        ),
        (
            "x_ai",
            "chat.completions",
            chat(
                prompt_tokens=10,
                completion_tokens=5,
                total_tokens=17,
                completion_tokens_details={"reasoning_tokens": 2},
            ),
            Usage(input_uncached=10, output=7, reasoning=2),
        ),
        (
            "x_ai",
            "chat.completions",
            chat(
                prompt_tokens=10,
                completion_tokens=5,
                total_tokens=15,
                completion_tokens_details={"reasoning_tokens": 2},
            ),
            Usage(input_uncached=10, output=5, reasoning=2),
        ),
        (
            "x_ai",
            "chat",
            chat(
                prompt_tokens=2332,
                completion_tokens=38,
                total_tokens=2680,
                reasoning_tokens=310,
                cached_prompt_text_tokens=1540,
            ),
            Usage(input_uncached=792, cache_read=1540, output=348, reasoning=310),
        ),
        (
            "deepseek",
            "chat.completions",
            chat(
                prompt_tokens=10, completion_tokens=5, prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=6
            ),
            Usage(input_uncached=6, cache_read=4, output=5),
        ),
        (
            "huggingface",
            "chat.completions",
            chat(prompt_tokens=10, completion_tokens=5, cached_tokens=4),
            Usage(input_uncached=6, cache_read=4, output=5),
        ),
        (
            "openai",
            "chat.completions",
            chat(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"cache_write_tokens": 4}),
            Usage(input_uncached=6, cache_write_30m=4, output=5),
        ),
        (
            "openrouter",
            "chat.completions",
            chat(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"cache_write_tokens": 4}),
            Usage(input_uncached=6, cache_write_5m=4, output=5),
        ),
        (
            "groq",
            "chat.completions",
            {"x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}},
            Usage(input_uncached=1, output=2),
        ),
        (
            "perplexity",
            "chat.completions",
            chat(
                prompt_tokens=10,
                completion_tokens=5,
                citation_tokens=7,
                reasoning_tokens=9,
                num_search_queries=3,
            ),
            Usage(input_uncached=10, output=5, output_citation=7, output_reasoning=9, web_searches=3),
        ),
        (
            "anthropic",
            "messages",
            {
                "type": "message",
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 4,
                    "cache_read_input_tokens": 5,
                    "cache_creation_input_tokens": 9,
                    "cache_creation": {"ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 2},
                },
            },
            Usage(input_uncached=3, cache_read=5, cache_write_5m=2, cache_write_1h=7, output=4),
        ),
        (
            "google",
            "generateContent",
            {
                "usageMetadata": {
                    "promptTokenCount": 5,
                    "candidatesTokenCount": 1,
                    "thoughtsTokenCount": 51,
                    "totalTokenCount": 57,
                }
            },
            Usage(input_uncached=5, output=52, reasoning=51),
        ),
        (
            "google",
            "generateContent",
            {
                "usage_metadata": {
                    "prompt_token_count": 5,
                    "candidates_token_count": 1,
                    "cached_content_token_count": 2,
                }
            },
            Usage(input_uncached=3, cache_read=2, output=1),
        ),
        (
            "google",
            "generateContent",
            {"usageMetadata": {"promptTokenCount": 11}},
            Usage(input_uncached=11, output=0),
        ),
        (
            "aws",
            "converse",
            {"usage": {"inputTokens": 2, "outputTokens": 5, "cacheWriteInputTokens": 1322}},
            Usage(input_uncached=2, cache_write_5m=1322, output=5),
        ),
        (
            "aws",
            "invoke_model",
            {"inputTextTokenCount": 4, "results": [{"tokenCount": 6}]},
            Usage(input_uncached=4, output=6),
        ),
        (
            "aws",
            "invoke_model",
            {"prompt_token_count": 4, "generation_token_count": 6},
            Usage(input_uncached=4, output=6),
        ),
        (
            "cohere",
            "v2/chat",
            {
                "usage": {
                    "billed_units": {"input_tokens": 7, "output_tokens": 9},
                    "tokens": {"input_tokens": 69, "output_tokens": 10},
                }
            },
            Usage(input_uncached=7, output=9),
        ),
        ("mistral", "ocr", {"usage_info": {"pages_processed": 3}}, Usage(pages=3)),
        (
            "ollama",
            "api/chat",
            {"prompt_eval_count": 17, "eval_count": 66},
            Usage(input_uncached=17, output=66),
        ),
        (
            "openai",
            "responses",
            {
                "object": "response",
                "usage": {
                    "input_tokens": 10,
                    "output_tokens": 5,
                    "input_tokens_details": {
                        "cached_tokens": 2,
                        "cache_write_tokens": 6,
                        "cache_write_tokens_details": {"ttl_12h_tokens": 4},
                    },
                },
            },
            Usage(input_uncached=2, cache_read=2, cache_write_30m=2, cache_write_12h=4, output=5),
        ),
        (
            "openai",
            "images",
            {
                "usage": {
                    "input_tokens": 5,
                    "output_tokens": 9,
                    "input_tokens_details": {"text_tokens": 2, "image_tokens": 3},
                }
            },
            Usage(input_uncached=2, input_uncached_image=3, output_image=9, output=0),
        ),
    ],
)
def test_what_is_inside_which_total_is_a_row_of_data(
    provider: str, api: str, payload: dict[str, Any], usage: Usage
) -> None:
    assert read(provider, api, payload).usage == usage


@pytest.mark.parametrize("api", ["", "batch", "vertex rawPredict", "something new"])
def test_an_unknown_api_is_read_by_the_shape_of_its_payload(api: str) -> None:
    assert read("openai", api, chat(prompt_tokens=1, completion_tokens=2)).usage == Usage(
        input_uncached=1, output=2
    )
    assert read(
        "google", api, {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}
    ).usage == Usage(input_uncached=1, output=2)
    assert read(
        "anthropic", api, {"type": "message", "usage": {"input_tokens": 1, "output_tokens": 2}}
    ).usage == Usage(input_uncached=1, output=2)


def test_numeric_text_and_whole_floats_parse() -> None:
    reading = read(
        "openai",
        "chat.completions",
        chat(
            prompt_tokens="10", completion_tokens=5.0, prompt_tokens_details={"cached_tokens": Decimal("4")}
        ),
    )
    assert reading.usage == Usage(input_uncached=6, cache_read=4, output=5)
    assert reading.flags == ()


@pytest.mark.parametrize("value", [-5, "-5", float("nan"), float("inf"), "lots", True, [], 10**30])
def test_nonsense_is_clamped_or_dropped_and_flagged(value: object) -> None:
    reading = read("openai", "chat.completions", chat(prompt_tokens=value, completion_tokens=5))
    assert reading.usage["input_uncached"] == 0
    assert reading.usage["output"] == 5
    assert len(reading.flags) == 1
    assert "prompt_tokens" in reading.flags[0]


@pytest.mark.parametrize(
    ("payload", "usage"),
    [
        (
            chat(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"cached_tokens": 12}),
            Usage(input_uncached=0, cache_read=10, output=5),
        ),
        (
            chat(
                prompt_tokens=10,
                completion_tokens=5,
                prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 9},
            ),
            Usage(cache_read=6, cache_write_30m=4, output=5),
        ),
        (
            chat(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"audio_tokens": 11}),
            Usage(input_uncached_audio=10, output=5),
        ),
    ],
)
def test_a_part_never_exceeds_its_whole(payload: dict[str, Any], usage: Usage) -> None:
    reading = read("openai", "chat.completions", payload)
    assert reading.usage == usage
    assert any(" exceeds " in flag for flag in reading.flags)


def test_reasoning_never_exceeds_output_and_does_not_put_the_cost_in_doubt() -> None:
    reading = read(
        "openai",
        "chat.completions",
        chat(prompt_tokens=1, completion_tokens=5, completion_tokens_details={"reasoning_tokens": 8}),
    )
    assert reading.usage == Usage(input_uncached=1, output=5, reasoning=5)
    assert reading.flags == ("reasoning_clamped",)


def test_cached_tokens_may_exceed_input_where_they_are_outside_it() -> None:
    reading = read(
        "anthropic",
        "messages",
        {
            "type": "message",
            "usage": {"input_tokens": 1, "output_tokens": 82, "cache_read_input_tokens": 965602},
        },
    )
    assert reading.usage == Usage(input_uncached=1, cache_read=965602, output=82)
    assert reading.flags == ()


def test_no_usage_is_missing_and_explicit_zeros_are_data() -> None:
    assert (
        read("openai", "chat.completions", {"object": "chat.completion", "usage": None}).usage_source
        == "missing"
    )
    zero = read("openai", "chat.completions", chat(prompt_tokens=0, completion_tokens=0))
    assert zero.usage_source == "provider"
    assert zero.usage == Usage(input_uncached=0, output=0)


@pytest.mark.parametrize(
    "payload",
    [{}, {"usage": []}, {"usage": 3}, {"error": {"code": 400}}, {"usage": {"x": 1}}, None, [], "text", 3],
)
def test_a_payload_without_usage_never_raises(payload: Any) -> None:
    for api in (
        "chat.completions",
        "responses",
        "messages",
        "generateContent",
        "converse",
        "images",
        "realtime",
        "v2/chat",
        "audio.transcriptions",
        "ocr",
        "embeddings",
        "what",
    ):
        reading = read("openai", api, payload)
        assert reading.usage == Usage()
        assert reading.usage_source == "missing"


def test_sdk_objects_read_like_the_json_they_came_from() -> None:
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        ],
        "service_tier": "flex",
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
    reading, plain = (
        read("openai", "chat.completions", ChatCompletion.model_validate(body)),
        read("openai", "chat.completions", body),
    )
    assert (reading.usage, reading.terms, reading.response_id, reading.finish_reasons) == (
        plain.usage,
        plain.terms,
        plain.response_id,
        plain.finish_reasons,
    )
    message = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 9,
            "service_tier": "standard",
        },
    }
    reading, plain = (
        read("anthropic", "messages", Message.model_validate(message)),
        read("anthropic", "messages", message),
    )
    assert (reading.usage, reading.terms, reading.finish_reasons) == (
        plain.usage,
        plain.terms,
        plain.finish_reasons,
    )


def test_raw_usage_keeps_numbers_and_billing_facts_and_no_other_text() -> None:
    payload = chat(
        prompt_tokens="10",
        completion_tokens=5,
        note="a secret answer",
        service_tier="flex",
        details=[{"ttl": "1h", "inputTokens": 3, "text": "secret"}],
    )
    raw = json.loads(read("openai", "chat.completions", payload).raw_usage)
    assert raw == {
        "prompt_tokens": "10",
        "completion_tokens": 5,
        "service_tier": "flex",
        "details": [{"ttl": "1h", "inputTokens": 3}],
    }


def test_an_anthropic_stream_without_its_end_has_input_but_no_output() -> None:
    state = fold(
        "messages",
        None,
        {
            "type": "message_start",
            "message": {
                "model": "claude-sonnet-5",
                "usage": {"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1},
            },
        },
    )
    assert read("anthropic", "messages", state).usage == Usage(input_uncached=25, cache_read=7)
    assert OUTPUT_MISSING in read("anthropic", "messages", state).flags
    state = fold(
        "messages",
        state,
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 40, "input_tokens": 30},
        },
    )
    reading = read("anthropic", "messages", state)
    assert reading.usage == Usage(input_uncached=30, cache_read=7, output=40)  # cumulative: the last one wins
    assert reading.flags == ()


def test_a_folded_stream_holds_no_content() -> None:
    events = {
        "chat.completions": {"choices": [{"delta": {"content": "secret"}}], "model": "m"},
        "responses": {"type": "response.output_text.delta", "delta": "secret"},
        "messages": {"type": "content_block_delta", "delta": {"text": "secret"}},
        "generateContent": {"candidates": [{"content": {"parts": [{"text": "secret"}]}}]},
        "converse": {"contentBlockDelta": {"delta": {"text": "secret"}}},
        "images": {"type": "image_generation.partial_image", "b64_json": "secret"},
    }
    for api, event in events.items():
        assert "secret" not in json.dumps(fold(api, None, event))
    response = {
        "output": [
            {"type": "message", "content": "secret"},
            {"type": "web_search_call", "action": {"query": "secret"}},
        ],
        "tools": [{"type": "image_generation", "model": "gpt-image-2", "description": "secret"}],
    }
    assert "secret" not in json.dumps(
        fold("responses", None, {"type": "response.completed", "response": response})
    )


def test_bedrock_invoke_stream_ends_with_metrics() -> None:
    state = fold(
        "messages",
        None,
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {"inputTokenCount": 14, "outputTokenCount": 10},
        },
    )
    assert read("aws", "messages", state).usage == Usage(input_uncached=14, output=10)


@pytest.mark.parametrize(
    ("host", "terms"),
    [
        ("eu.api.openai.com", {"residency": "eu"}),
        ("api.openai.com", {}),
        ("us-east5-aiplatform.googleapis.com", {"region": "us-east5"}),
        ("aiplatform.googleapis.com", {"region": "global"}),
        ("bedrock-runtime.eu-west-1.amazonaws.com", {"region": "eu-west-1"}),
        ("us-api.together.xyz", {"region": "us"}),
        ("evil-eu.api.openai.com.example.org", {}),
    ],
)
def test_the_host_reveals_region_and_residency(host: str, terms: dict[str, str]) -> None:
    assert (
        read("openai", "chat.completions", chat(prompt_tokens=1), {"base_url": f"https://{host}/v1"}).terms
        == terms
    )
