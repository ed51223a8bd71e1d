"""SDKs that speak OpenAI's chat format: prices by hand, what the user sees, and whom a client talks to."""

from __future__ import annotations

import json
from typing import Any

import fireworks
import httpx
import openai
import pytest

from otel_llm_cost.core import semconv
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.instrument import SDKS
from otel_llm_cost.instrument.hosts import target_of

from .conftest import Telemetry
from .ways import ASK, CLIENTS, COMPATIBLE, WAYS, client, read_all

# Published prices per million tokens (in the price list that we ship), times 1,234 in and 567 out, by hand.
BY_HAND = (
    ("groq", "input=1234,output=567", "0.00117599"),  # 1234 x 0.59 + 567 x 0.79
    ("together", "input=1234,output=567", "0.00158488"),  # (1234 + 567) x 0.88
    (
        "fireworks",
        "input=1034,cache_read=200,output=567",
        "0.00024948",
    ),  # 1034 x 0.07 + 200 x 0.035 + 567 x 0.3
    ("cerebras", "input=1234,output=567", "0.0017293"),  # 1234 x 0.85 + 567 x 1.2
)


@pytest.mark.parametrize(("sdk", "script", "usd"), BY_HAND, ids=[row[0] for row in BY_HAND])
@pytest.mark.parametrize("name", ["plain", "stream"])
def test_a_call_costs_what_it_costs_by_hand(
    sdk: str, script: str, usd: str, name: str, provider: Provider, telemetry: Telemetry
) -> None:
    way = next(way for way in WAYS if (way.sdk, way.name) == (sdk, name))
    with client(sdk, provider) as made:
        read_all(way, way.make(made, extra_headers={"x-demo-script": script}))
    attributes = dict(telemetry.only.attributes or {})
    assert (attributes[semconv.INPUT_TOKENS], attributes[semconv.OUTPUT_TOKENS]) == (1234, 567)
    assert attributes[semconv.COST_EXACT] == usd


@pytest.mark.parametrize("sdk", COMPATIBLE)
def test_a_user_sees_no_chunk_that_the_provider_would_not_have_sent(
    sdk: str, provider: Provider, telemetry: Telemetry
) -> None:
    way = next(way for way in WAYS if (way.sdk, way.name) == (sdk, "stream"))
    with client(sdk, provider) as made:
        chunks: list[Any] = read_all(way, way.make(made))
    assert all(chunk.choices for chunk in chunks)
    asks = SDKS[sdk].route(provider.requests[0].path)
    assert asks is not None
    assert ("stream_options" in provider.requests[0].body) is asks.asks_usage
    assert telemetry.calls[0].usage_source == "stream"


MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "accounts/fireworks/models/gpt-oss-20b",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1000, "output_tokens": 100},
}


def test_fireworks_speaks_anthropics_format_too(telemetry: Telemetry) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=MESSAGE)

    sdk = fireworks.Fireworks(
        api_key="k", http_client=httpx.Client(transport=httpx.MockTransport(answer)), max_retries=0
    )
    sdk.messages.create(model="accounts/fireworks/models/gpt-oss-20b", max_tokens=100, messages=ASK)
    assert json.loads(asked[0].content)["max_tokens"] == 100
    attributes = dict(telemetry.only.attributes or {})
    assert attributes["llm_cost.api"] == "messages"
    assert attributes[semconv.PROVIDER] == "fireworks_ai"
    assert attributes[semconv.COST_EXACT] == "0.0001"  # 1000 x 0.07 + 100 x 0.3 per million


LEGACY = {
    "id": "t1",
    "object": "text_completion",
    "created": 1,
    "model": "llama-3.3-70b",
    "system_fingerprint": "f",
}


def test_a_legacy_stream_of_cerebras_is_asked_for_usage_and_the_user_does_not_see_it(
    telemetry: Telemetry,
) -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        text = {"choices": [{"index": 0, "text": "hello", "finish_reason": "stop"}]}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        events = [LEGACY | text, LEGACY | {"choices": [], "usage": usage}]
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, text="".join([*lines, "data: [DONE]\n\n"])
        )

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    sdk = CLIENTS["cerebras"][0](api_key="k", http_client=transport)
    chunks = list(sdk.completions.create(model="llama-3.3-70b", prompt="parcel", stream=True))
    assert asked[0]["stream_options"] == {"include_usage": True}
    assert [chunk.choices[0].text for chunk in chunks] == ["hello"]
    attributes = dict(telemetry.only.attributes or {})
    assert attributes[semconv.OPERATION] == "text_completion"
    assert attributes[semconv.COST_EXACT] == "0.00097"  # 1000 x 0.85 + 100 x 1.2 per million


# What a client of the openai SDK is pointed at, and who that is (sdks' and providers' documentation).
BASES = (
    ("https://api.openai.com/v1", "openai"),
    ("https://us.api.openai.com/v1", "openai"),
    ("https://me.openai.azure.com/openai/v1/", "azure.ai.openai"),
    ("https://me.cognitiveservices.azure.com/openai/v1/", "azure.ai.openai"),
    ("https://me.services.ai.azure.com/openai/v1/", "azure.ai.inference"),
    ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock"),
    ("https://bedrock-mantle.us-east-1.api.aws/v1", "aws.bedrock"),
    (
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",
        "gcp.vertex_ai",
    ),
    ("https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi", "gcp.vertex_ai"),
    (
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/endpoints/openapi",
        "gcp.vertex_ai",
    ),
    ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://api.deepseek.com/v1", "deepseek"),
    ("https://api.x.ai/v1", "x_ai"),
    ("https://us-east-1.api.x.ai/v1", "x_ai"),
    ("https://api.groq.com/openai/v1", "groq"),
    ("https://api.together.xyz/v1", "together_ai"),
    ("https://api.together.ai/v1", "together_ai"),
    ("https://us-api.together.xyz/v1", "together_ai"),
    ("https://api.fireworks.ai/inference/v1", "fireworks_ai"),
    ("https://api.mistral.ai/v1", "mistral_ai"),
    ("https://eu.api.mistral.ai/v1", "mistral_ai"),
    ("https://api.cohere.ai/compatibility/v1", "cohere"),
    ("https://api.cohere.com/compatibility/v1", "cohere"),
    ("https://api.cerebras.ai/v1", "cerebras"),
    ("https://api.perplexity.ai", "perplexity"),
    ("https://router.huggingface.co/v1", "hugging_face"),
    ("https://api.writer.com/v1", "writer"),
    ("https://integrate.api.nvidia.com/v1", "nvidia"),
    ("https://dashscope.aliyuncs.com/compatible-mode/v1", "alibaba_cloud"),
    ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "alibaba_cloud"),
    ("https://ai-gateway.vercel.sh/v1", "vercel"),
    # A gateway speaks for the provider whose SDK it serves.
    ("https://gateway.ai.cloudflare.com/v1/account/gateway/openai", "openai"),
    ("http://127.0.0.1:11434/v1", "openai"),
    ("http://gpu.internal:8000/v1", "openai"),
)


@pytest.mark.parametrize(("base", "provider"), BASES)
def test_the_host_of_a_client_says_who_answers_and_an_unknown_one_nothing(base: str, provider: str) -> None:
    with openai.OpenAI(api_key="k", base_url=base) as made:
        target = target_of(made, SDKS["openai"])
    assert target.provider == provider
    assert target.is_known is (provider != "openai" or "openai.com" in base)


@pytest.mark.parametrize("sdk", COMPATIBLE)
def test_each_sdk_is_its_own_provider_at_home(sdk: str) -> None:
    with CLIENTS[sdk][0](api_key="k") as made:
        target = target_of(made, SDKS[sdk])
    assert (target.provider, target.is_known) == (SDKS[sdk].provider, True)


def test_the_class_of_a_client_says_more_than_its_host() -> None:
    azure = openai.AzureOpenAI(api_key="k", base_url="http://127.0.0.1:1/", api_version="2024-10-21")
    assert target_of(azure, SDKS["openai"]).provider == "azure.ai.openai"
