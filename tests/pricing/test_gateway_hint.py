"""A gateway's own cost figure: kept as a hint, used only from hosts that the operator trusts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.pricing.calls import call, cost

from otel_llm_cost import config, wiring
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.pricing.normalise.reported import hinted_cost

GATEWAY = "litellm.internal"
TRUSTING = PriceList.of_settings(config.load(environ={"OTEL_LLM_COST_TRUSTED_GATEWAYS": f"other, {GATEWAY}"}))


def test_a_hint_changes_nothing_unless_its_host_is_trusted() -> None:
    hinted = call(hinted_cost="0.5", server_address=GATEWAY)
    assert cost(hinted) == cost(call())
    trusted = cost(hinted, TRUSTING)
    assert (trusted.status, trusted.exact, trusted.computed_atto) == ("reported", "0.5", 2250000000000000)
    assert trusted.reason == "the trusted gateway told 0.5 USD, computed 0.00225 USD"
    assert cost(call(hinted_cost="0.5", server_address="elsewhere"), TRUSTING).status == "priced"


def test_what_the_provider_itself_reports_beats_a_hint() -> None:
    both = call("openrouter", "openai/gpt-5", hinted_cost="0.5", reported_cost="0.4", server_address=GATEWAY)
    assert cost(both, TRUSTING).exact == "0.4"


@pytest.mark.parametrize(
    ("header", "amount"),
    [
        ("0.00123", "0.00123"),
        ("1.2e-05", "0.000012"),
        ("0.0", "0"),
        ("None", ""),
        ("-1", ""),
        ("nan", ""),
        (None, ""),
    ],
)
def test_the_header_is_an_amount_or_nothing(header: str | None, amount: str) -> None:
    assert hinted_cost(header) == amount


ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764000000,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    wiring.instrument_sdk("openai", tracer_provider=provider)
    yield exporter
    wiring.uninstrument_sdk("openai")
    provider.shutdown()


@pytest.mark.parametrize(("host", "hint"), [(GATEWAY, "0.0047"), ("api.openai.com", None)])
def test_the_header_of_a_gateway_is_on_the_span_and_one_of_a_provider_is_not_looked_at(
    spans: InMemorySpanExporter, host: str, hint: str | None
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "application/json", "x-litellm-response-cost": "0.0047"}
        return httpx2.Response(200, headers=headers, content=json.dumps(ANSWER))

    with openai.OpenAI(
        api_key="k",
        base_url=f"https://{host}/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    ) as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    wiring.flush()
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes.get("llm_cost.cost.hinted") == hint
    assert span.attributes["llm_cost.cost.exact"] == "0.0035"
