"""What a call says besides its cost: provider, tags, limits, parenting, metrics, native spans, sampling."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

import otel_llm_cost
from otel_llm_cost.core import semconv
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.instrument import SDKS
from otel_llm_cost.instrument.hosts import provider_of_host
from otel_llm_cost.policies.trace import put_attributes

from .conftest import Telemetry, instrumented
from .ways import ASK, CHAT, MESSAGE, async_client, client

ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


def in_memory(kind: type[Any] = openai.OpenAI, answer: Any = None, **more: Any) -> Any:
    """A client whose every answer is the same."""
    transport = httpx2.MockTransport(lambda _: answer or httpx2.Response(200, json=ANSWER))
    return kind(api_key="k", http_client=httpx2.Client(transport=transport), **more)


def attributes(telemetry: Telemetry) -> dict[str, Any]:
    return dict(telemetry.only.attributes or {})


HOSTS = (
    ("https://api.openai.com/v1", "openai"),
    ("https://eu.api.openai.com/v1", "openai"),
    ("https://my.openai.azure.com/openai/v1", "azure.ai.openai"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://api.deepseek.com", "deepseek"),
    ("https://api.x.ai/v1", "x_ai"),
    ("https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini"),
    ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
    ("http://localhost:11434/v1", "openai"),
    ("http://127.0.0.1:8000/v1", "openai"),
    ("https://gateway.example.com/v1", "openai"),
    ("https://notopenrouter.ai/v1", "openai"),
    ("https://evil-api.openai.com.example/v1", "openai"),
)


@pytest.mark.parametrize(("url", "provider"), HOSTS)
def test_the_host_says_who_the_provider_is_and_an_unknown_one_keeps_the_clients(
    url: str, provider: str, telemetry: Telemetry
) -> None:
    in_memory(base_url=url).chat.completions.create(**CHAT)
    assert attributes(telemetry)[semconv.PROVIDER] == provider


def test_a_host_of_your_own_is_booked_as_you_say(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_SELF_HOSTED", "gpu.internal:8000=vllm, other=ollama")
    assert provider_of_host("gpu.internal", 8000) == "vllm"
    in_memory(base_url="http://gpu.internal:8000/v1").chat.completions.create(**CHAT)
    assert attributes(telemetry)[semconv.PROVIDER] == "vllm"


def test_an_azure_client_is_azure_whatever_its_host(telemetry: Telemetry) -> None:
    azure = in_memory(openai.AzureOpenAI, base_url="http://127.0.0.1:1/", api_version="2024-10-21")
    azure.chat.completions.create(model="my-deployment", messages=ASK)
    assert attributes(telemetry)[semconv.PROVIDER] == "azure.ai.openai"
    assert attributes(telemetry)[semconv.RESPONSE_MODEL] == "gpt-4o-mini-2024-07-18"


def test_an_old_azure_api_is_not_asked_for_usage(telemetry: Telemetry) -> None:
    seen: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, content=b"data: [DONE]\n\n"
        )

    azure = openai.AzureOpenAI(
        api_key="k",
        azure_endpoint="https://my.openai.azure.com",
        api_version="2024-02-01",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    list(azure.chat.completions.create(model="mine", messages=ASK, stream=True))
    assert b"stream_options" not in seen[0]
    assert attributes(telemetry)["llm_cost.usage.source"] == "estimated"


FREE = (
    lambda c: c.moderations.create(input="x"),
    lambda c: c.models.list(),
    lambda c: c.chat.completions.list(),
    lambda c: c.responses.input_tokens.count(model="gpt-4o-mini", input="x"),
    lambda c: c.responses.cancel("resp_1"),
)


@pytest.mark.parametrize("call", FREE)
def test_what_costs_nothing_is_not_counted(call: Any, telemetry: Telemetry) -> None:
    call(in_memory(answer=httpx2.Response(200, json={"id": "x", "object": "x", "data": [], "results": []})))
    assert telemetry.calls == []


def test_counting_tokens_is_free(telemetry: Telemetry) -> None:
    sdk = in_memory(anthropic.Anthropic, httpx2.Response(200, json={"input_tokens": 5}))
    sdk.messages.count_tokens(model="claude-haiku-4-5", messages=ASK)
    sdk.beta.messages.count_tokens(model="claude-haiku-4-5", messages=ASK)
    assert telemetry.calls == []


@pytest.mark.parametrize("url", ["/chat/completions", "https://x.example/v1/chat/completions?a=b"])
def test_requests_made_by_hand_are_counted(url: str, telemetry: Telemetry) -> None:
    in_memory().post(url, body={"model": "gpt-4o-mini", "messages": ASK}, cast_to=object)
    assert attributes(telemetry)[semconv.COST_EXACT] == "0.00021"
    assert attributes(telemetry)["server.address"] == (
        "x.example" if "x.example" in url else "api.openai.com"
    )


def test_tags_of_the_call_win_over_those_around_it(telemetry: Telemetry) -> None:
    with otel_llm_cost.tags(team="support", feature="chat", customer_id="acme", plan="gold"):
        in_memory().chat.completions.create(
            **CHAT,
            user="u-1",
            metadata={"feature": "rank", "note": "private"},
            extra_headers={"X-LiteLLM-Tags": "team:search, nonsense,region:eu"},
        )
    assert telemetry.calls[0].tags == {
        "team": "search",
        "feature": "rank",
        "customer_id": "u-1",
        "plan": "gold",
        "region": "eu",
    }


def test_tags_of_a_client_hold_for_its_calls(telemetry: Telemetry) -> None:
    in_memory(default_headers={"x-litellm-tags": "team:search"}).chat.completions.create(**CHAT)
    assert telemetry.calls[0].tags == {"team": "search"}


def test_anthropics_user_is_a_customer(provider: Provider, telemetry: Telemetry) -> None:
    client("anthropic", provider).messages.create(**MESSAGE, metadata={"user_id": "u-7"})
    assert telemetry.calls[0].tags == {"customer_id": "u-7"}


def test_keys_are_told_apart_without_being_told(telemetry: Telemetry) -> None:
    in_memory(organization="org-1", project="proj-1").chat.completions.create(**CHAT)
    call = telemetry.calls[0]
    assert len(call.api_key_hash) == 16
    assert (call.billing_account, call.project) == ("org-1", "proj-1")


def test_limits_are_kept(telemetry: Telemetry) -> None:
    sdk = in_memory()
    sdk.chat.completions.create(**CHAT, max_tokens=7, max_completion_tokens=5)
    assert telemetry.calls[0].max_tokens == 5


def test_work_inside_a_call_is_its_child_and_work_after_is_not(telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("http")

    def answer(_: httpx2.Request) -> httpx2.Response:
        tracer.start_span("POST").end()
        return httpx2.Response(200, json=ANSWER)

    with tracer.start_as_current_span("request"):
        outer = trace.get_current_span()
        openai.OpenAI(
            api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
        ).chat.completions.create(**CHAT)
        assert trace.get_current_span() is outer
    post = next(span for span in telemetry.foreign_spans if span.name == "POST")
    (ours,) = telemetry.spans
    assert post.parent is not None
    assert post.parent.span_id == ours.context.span_id
    assert ours.parent is not None
    assert ours.parent.span_id == outer.get_span_context().span_id


async def test_concurrent_calls_do_not_mix(provider: Provider, telemetry: Telemetry) -> None:
    async with async_client("openai", provider) as sdk:

        async def one(team: int) -> str:
            with otel_llm_cost.tags(team=f"t{team}"):
                answer = await sdk.chat.completions.create(
                    **CHAT, extra_headers={"x-demo-script": f"delay=0.01,input={team + 100}"}
                )
            return str(answer.id)

        ids = await asyncio.gather(*(one(team) for team in range(20)))
    calls = telemetry.calls
    assert {call.response_id: call.tags["team"] for call in calls} == {
        name: f"t{team}" for team, name in enumerate(ids)
    }
    assert all(call.usage.input_tokens == int(call.tags["team"][1:]) + 100 for call in calls)


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_own_span_is_kept_and_says_who_counts_it(
    stream: bool, provider: Provider, telemetry: Telemetry
) -> None:
    sdk = anthropic.Anthropic(
        base_url=provider.anthropic_url,
        api_key="k",
        open_telemetry={"tracer_provider": telemetry.tracer_provider},
    )
    made = sdk.messages.create(**MESSAGE, stream=stream)
    if stream:
        list(made)
    (ours,) = telemetry.spans
    (native,) = telemetry.foreign_spans
    assert native.instrumentation_scope is not None
    assert native.instrumentation_scope.name == SDKS["anthropic"].native_scope
    assert native.attributes is not None
    assert native.attributes[semconv.COUNTED_BY] == f"{ours.context.span_id:016x}"
    assert native.parent is not None
    assert native.parent.span_id == ours.context.span_id
    assert native.attributes[semconv.INPUT_TOKENS]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0.0))])
def test_a_call_whose_span_is_not_sampled_leaves_as_a_record(sampler: Any, provider: Provider) -> None:
    counting = instrumented(sampler)
    telemetry = next(counting)
    with otel_llm_cost.tags(team="search"):
        client("openai", provider).chat.completions.create(**CHAT)
        list(client("anthropic", provider).messages.create(**MESSAGE, stream=True))
    assert telemetry.spans == []
    assert [record[semconv.COST_EXACT] for record in telemetry.records] == [
        line.usd for line in provider.bill.lines
    ]
    assert all(record["llm_cost.team"] == "search" for record in telemetry.records)
    counting.close()


class ByModel(Sampler):
    """A sampler of the app's own, which decides by what is asked."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **more: Any) -> Any:
        attributes = more.get("attributes", args[1] if len(args) > 1 else None) or {}
        wanted = attributes.get(semconv.REQUEST_MODEL) == "gpt-4o-mini" and attributes["server.address"]
        return SamplingResult(Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP)

    def get_description(self) -> str:
        return "ByModel"


def test_a_sampler_of_your_own_sees_what_is_asked(provider: Provider) -> None:
    counting = instrumented(ByModel())
    telemetry = next(counting)
    for model in ("gpt-4o-mini", "gpt-4o"):
        client("openai", provider).chat.completions.create(model=model, messages=ASK)
    assert [span.name for span in telemetry.spans] == ["chat gpt-4o-mini"]
    assert [record[semconv.REQUEST_MODEL] for record in telemetry.records] == ["gpt-4o"]
    counting.close()


def test_a_span_has_its_first_attributes_while_the_call_runs(telemetry: Telemetry) -> None:
    seen: list[Any] = []

    def answer(_: httpx2.Request) -> httpx2.Response:
        seen.append(dict(trace.get_current_span().attributes or {}))  # type: ignore[attr-defined]
        return httpx2.Response(200, json=ANSWER)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    openai.OpenAI(api_key="k", http_client=http).chat.completions.create(**CHAT)
    assert seen[0][semconv.REQUEST_MODEL] == "gpt-4o-mini"
    assert telemetry.only.name == "chat gpt-4o-mini"


def test_a_record_goes_beside_the_span_when_asked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_RECORD", "always")
    counting = instrumented()
    telemetry = next(counting)
    client("openai", provider).chat.completions.create(**CHAT)
    (span,), (record,) = telemetry.spans, telemetry.records
    assert span.attributes is not None
    assert record[semconv.CALL_ID] == span.attributes[semconv.CALL_ID]
    (log,) = telemetry.logs_out.get_finished_logs()
    assert log.log_record.span_id == span.context.span_id
    counting.close()


def test_suppressed_instrumentation_makes_no_span_and_loses_no_cost(
    provider: Provider, telemetry: Telemetry
) -> None:
    token = attach(set_value(SUPPRESS, True))
    client("openai", provider).chat.completions.create(**CHAT)
    detach(token)
    assert telemetry.spans == []
    assert [record[semconv.COST_EXACT] for record in telemetry.records] == [provider.bill.usd]


def test_metrics_tell_tokens_seconds_and_dollars(provider: Provider, telemetry: Telemetry) -> None:
    with otel_llm_cost.tags(team="search", feature="rank", customer_id="acme"):
        for _ in range(3):
            client("openai", provider).chat.completions.create(**CHAT)
        with pytest.raises(openai.BadRequestError):
            client("openai", provider).chat.completions.create(
                **CHAT, extra_headers={"x-demo-script": "status=400"}
            )
    points = telemetry.metrics()
    (cost,) = points["llm_cost.cost"]
    assert f"{cost.value:.12f}" == f"{float(provider.bill.usd):.12f}"
    assert dict(cost.attributes) == {
        semconv.OPERATION: "chat",
        semconv.PROVIDER: "openai",
        semconv.REQUEST_MODEL: "gpt-4o-mini",
        semconv.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
        "server.address": "127.0.0.1",
        "llm_cost.team": "search",
        "llm_cost.feature": "rank",
    }
    tokens = {point.attributes["gen_ai.token.type"]: point for point in points["gen_ai.client.token.usage"]}
    lines = provider.bill.lines
    assert tokens["input"].sum == sum(line.quantities.input + line.quantities.cache_read for line in lines)
    assert tokens["output"].sum == sum(line.quantities.output for line in lines)
    assert tokens["input"].count == 3
    durations = points["gen_ai.client.operation.duration"]
    assert sorted((point.count, point.attributes.get("error.type", "")) for point in durations)[-1] == (3, "")
    assert len(durations) == 2
    assert telemetry.metrics()["llm_cost.cost"][0].value == cost.value


def test_customers_are_a_metric_dimension_only_when_asked(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_METRIC_TAGS", "team,customer_id")
    counting = instrumented()
    telemetry = next(counting)
    with otel_llm_cost.tags(team="search", feature="rank", customer_id="acme"):
        client("openai", provider).chat.completions.create(**CHAT)
    (cost,) = telemetry.metrics()["llm_cost.cost"]
    assert cost.attributes["llm_cost.customer_id"] == "acme"
    assert "llm_cost.feature" not in cost.attributes
    counting.close()


@pytest.mark.parametrize(
    "limits", [SpanLimits(), SpanLimits(max_span_attributes=9), SpanLimits(max_attribute_length=4)]
)
def test_attributes_are_put_as_the_sdk_would_put_them(limits: SpanLimits) -> None:
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("t")
    call = Call("openai", "chat", "gpt-4o", usage=Usage(input_uncached=7, output=5), finish_reasons=("stop",))
    ours, theirs = (tracer.start_span("s", attributes={"first": "1"}) for _ in range(2))
    put_attributes(ours, semconv.to_attributes(call))
    theirs.set_attributes(semconv.to_attributes(call))
    ours.end()
    theirs.end()
    assert isinstance(ours, ReadableSpan)
    assert isinstance(theirs, ReadableSpan)
    assert dict(ours.attributes or {}) == dict(theirs.attributes or {})
    put_attributes(ours, {"late": True})
    assert "late" not in (ours.attributes or {})
