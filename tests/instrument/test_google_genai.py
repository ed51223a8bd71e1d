"""google-genai against a local Gemini: every way to call is counted once per request, at the right price."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from otel_llm_cost import wiring
from otel_llm_cost.core import semconv
from otel_llm_cost.core.errors import CallDenied
from otel_llm_cost.instrument.genai_exchange import model_of
from otel_llm_cost.pipeline import Pipeline, Policy, Run

from .conftest import Telemetry
from .gemini import MODEL, USAGE, USD, Gemini, body, call_of, serving

# The SDK subclasses aiohttp's session, and its older versions name a parameter of tenacity as it was.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning"),
]

RETRY = types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.02)


@pytest.fixture
def gemini() -> Iterator[Gemini]:
    """A fresh local Gemini."""
    with serving() as running:
        yield running


@pytest.fixture
def make(gemini: Gemini) -> Iterator[Callable[..., genai.Client]]:
    """Clients of it, closed after the test."""
    made: list[genai.Client] = []

    def client(*, retry: bool = False, **more: Any) -> genai.Client:
        options = types.HttpOptions(base_url=gemini.url, retry_options=RETRY if retry else None)
        made.append(genai.Client(api_key="k", http_options=options, **more))
        return made[-1]

    yield client
    for each in made:
        each.close()


ASK = "Where is my parcel?"
WAYS = ("plain", "stream", "chat", "chat-stream")


def sync(client: genai.Client, way: str) -> list[Any]:
    """Call and read everything."""
    models = client.models
    if way == "plain":
        return [models.generate_content(model=MODEL, contents=ASK)]
    if way == "stream":
        return list(models.generate_content_stream(model=MODEL, contents=ASK))
    chat = client.chats.create(model=MODEL)
    return [chat.send_message(ASK)] if way == "chat" else list(chat.send_message_stream(ASK))


async def not_sync(client: genai.Client, way: str) -> list[Any]:
    """The same on an event loop."""
    async with client.aio as aio:
        if way == "plain":
            return [await aio.models.generate_content(model=MODEL, contents=ASK)]
        if way == "stream":
            stream = await aio.models.generate_content_stream(model=MODEL, contents=ASK)
            return [chunk async for chunk in stream]
        chat = aio.chats.create(model=MODEL)
        if way == "chat":
            return [await chat.send_message(ASK)]
        return [chunk async for chunk in await chat.send_message_stream(ASK)]


def run(mode: str, client: genai.Client, way: str) -> list[Any]:
    return sync(client, way) if mode == "sync" else asyncio.run(not_sync(client, way))


both = pytest.mark.parametrize("mode", ["sync", "async"])
every_way = pytest.mark.parametrize("way", WAYS)


@both
@every_way
@pytest.mark.parametrize("vertex", [False, True])
def test_a_call_is_one_span_at_the_price_by_hand(
    mode: str, way: str, vertex: bool, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    pieces = run(mode, make(vertexai=vertex), way)
    assert len(pieces) == (gemini.chunks if "stream" in way else 1)
    span = telemetry.only
    attributes = dict(span.attributes or {})
    assert span.name == f"generate_content {MODEL}"
    assert attributes[semconv.PROVIDER] == ("gcp.vertex_ai" if vertex else "gcp.gemini")
    assert attributes["llm_cost.usage.source"] == ("stream" if "stream" in way else "provider")
    assert (attributes[semconv.INPUT_TOKENS], attributes[semconv.OUTPUT_TOKENS]) == (1000, 100)
    assert attributes[semconv.RESPONSE_ID] == "g1"
    assert attributes["gen_ai.response.finish_reasons"] == ("STOP",)
    assert attributes["server.port"] == gemini.port
    assert (attributes[semconv.COST_STATUS], attributes[semconv.COST_EXACT]) == ("priced", USD)
    assert len(gemini.requests) == 1


@both
@every_way
def test_an_error_of_the_provider_reaches_the_caller_and_is_a_failed_call(
    mode: str, way: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.answers.append(400)
    with pytest.raises(errors.ClientError) as caught:
        run(mode, make(), way)
    assert caught.value.code == 400
    attributes = dict(telemetry.only.attributes or {})
    assert attributes["error.type"] == "INVALID_ARGUMENT"
    assert attributes["http.response.status_code"] == 400
    assert semconv.COST_STATUS not in attributes


@both
@every_way
def test_an_attempt_that_failed_before_the_last_leaves_as_a_record(
    mode: str, way: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.answers.extend([429, 500])
    run(mode, make(retry=True), way)
    assert len(gemini.requests) == 3
    (span,) = telemetry.spans
    assert span.attributes is not None
    assert (span.attributes["llm_cost.attempt"], span.attributes[semconv.COST_EXACT]) == (3, USD)
    first, second = telemetry.records
    assert (first["llm_cost.attempt"], first["http.response.status_code"]) == (1, 429)
    assert first["error.type"] == "RESOURCE_EXHAUSTED"
    assert (second["llm_cost.attempt"], second["http.response.status_code"]) == (2, 500)


@both
def test_retries_that_run_out_are_counted_each(
    mode: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.answers.extend([429, 429, 429])
    with pytest.raises(errors.ClientError):
        run(mode, make(retry=True), "plain")
    (span,) = telemetry.spans
    assert span.status.status_code.name == "ERROR"
    assert [record["llm_cost.attempt"] for record in telemetry.records] == [1, 2]


def assert_aborted(telemetry: Telemetry) -> None:
    telemetry.until(1)
    attributes = dict(telemetry.only.attributes or {})
    assert attributes["llm_cost.usage.source"] == "estimated"
    assert "aborted" in attributes[semconv.USAGE_FLAGS]
    assert attributes[semconv.COST_STATUS] == "estimated"
    assert attributes[semconv.INPUT_TOKENS] == 1000
    assert attributes[semconv.OUTPUT_TOKENS] < 100


def test_a_stream_left_early_is_recorded_once_with_what_was_received(
    gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.delay = 0.01
    stream = make().models.generate_content_stream(model=MODEL, contents=ASK)
    next(stream)
    next(stream)
    del stream
    gc.collect()
    assert_aborted(telemetry)


async def test_an_async_stream_left_early_is_recorded_once(
    gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.delay = 0.01
    async with make().aio as aio:
        stream = await aio.models.generate_content_stream(model=MODEL, contents=ASK)
        async for _ in stream:
            break
        await stream.aclose()
    gc.collect()
    await asyncio.sleep(0.05)
    assert_aborted(telemetry)


async def test_an_async_stream_that_nobody_reads_is_recorded_once(
    gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    async with make().aio as aio:
        stream = await aio.models.generate_content_stream(model=MODEL, contents=ASK)
        sent = len(gemini.requests)
        del stream
        gc.collect()
    assert len(telemetry.until(sent, 2)) == sent


async def test_a_cancelled_stream_is_recorded_once(gemini: Gemini, make: Any, telemetry: Telemetry) -> None:
    gemini.delay = 0.1
    task = asyncio.ensure_future(not_sync(make(), "stream"))
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    telemetry.until(1)
    assert dict(telemetry.only.attributes or {})["llm_cost.usage.source"] == "estimated"


@both
def test_a_stream_cut_off_by_the_network_is_an_error_and_recorded_once(
    mode: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.cut = 2
    with pytest.raises(Exception, match=r"."):
        run(mode, make(), "stream")
    attributes = dict(telemetry.only.attributes or {})
    assert attributes["error.type"]
    assert attributes["llm_cost.usage.source"] == "estimated"


def test_a_stream_that_nobody_asks_for_sends_nothing_and_costs_nothing(
    gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    make().models.generate_content_stream(model=MODEL, contents=ASK)
    assert gemini.requests == []
    assert telemetry.calls == []


@both
def test_automatic_function_calling_is_a_call_per_request(
    mode: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    gemini.answers.extend([call_of("weather"), body()])
    config = types.GenerateContentConfig(tools=[weather])
    if mode == "sync":
        answer = make().models.generate_content(model=MODEL, contents=ASK, config=config)
    else:

        async def main() -> Any:
            async with make().aio as aio:
                return await aio.models.generate_content(model=MODEL, contents=ASK, config=config)

        answer = asyncio.run(main())
    assert answer.text == "hello"
    assert len(gemini.requests) == 2
    assert [span.attributes[semconv.COST_EXACT] for span in telemetry.spans if span.attributes] == [USD, USD]


def test_an_embedding_whose_usage_is_not_told_is_estimated(
    gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.answers.append({"embeddings": [{"values": [0.1, 0.2]}]})
    make().models.embed_content(model="gemini-embedding-001", contents="one two three")
    attributes = dict(telemetry.only.attributes or {})
    assert attributes[semconv.OPERATION] == "embeddings"
    assert attributes["llm_cost.usage.source"] == "estimated"
    assert attributes[semconv.INPUT_TOKENS] >= 3


def test_counting_tokens_is_free(gemini: Gemini, make: Any, telemetry: Telemetry) -> None:
    gemini.answers.append({"totalTokens": 5})
    make().models.count_tokens(model=MODEL, contents=ASK)
    assert telemetry.calls == []


@both
@pytest.mark.parametrize("way", ["plain", "stream"])
@pytest.mark.parametrize("usage", [None, 7, [], "no", {}])
def test_an_answer_without_sense_in_its_usage_is_an_estimate_and_the_user_gets_it(
    usage: Any, way: str, mode: str, gemini: Gemini, make: Any, telemetry: Telemetry
) -> None:
    gemini.answers.append(body(usageMetadata=usage))
    gemini.chunks = 1
    with suppress(ValueError):  # the SDK's own model refuses some of these, with us and without
        run(mode, make(), way)
    attributes = dict(telemetry.only.attributes or {})
    assert attributes["llm_cost.usage.source"] == "estimated"
    assert attributes[semconv.COST_STATUS] == "estimated"
    assert attributes[semconv.INPUT_TOKENS] > 0


def test_limits_and_keys_are_kept(gemini: Gemini, make: Any, telemetry: Telemetry) -> None:
    config = types.GenerateContentConfig(max_output_tokens=64)
    make().models.generate_content(model=MODEL, contents=ASK, config=config)
    (call,) = telemetry.calls
    assert call.max_tokens == 64
    assert len(call.api_key_hash) == 16


def test_what_is_returned_is_the_same_as_without_us(gemini: Gemini, make: Any, telemetry: Telemetry) -> None:
    answer = make().models.generate_content(model=MODEL, contents=ASK)
    assert answer.text == "hello"
    assert answer.usage_metadata.prompt_token_count == USAGE["promptTokenCount"]
    assert gemini.requests[0][1]["contents"][0]["parts"] == [{"text": ASK}]
    assert telemetry.only


class Deny(Policy):
    """Refuses every call."""

    def enter(self, run: Run) -> Any:
        raise CallDenied("no")


class Change(Policy):
    """Another model, and less of an answer."""

    def enter(self, run: Run) -> Any:
        assert run.request is not None
        run.request.change(model="gemini-2.5-flash-lite", max_output_tokens=7)


@contextmanager
def under(policy: Policy) -> Iterator[None]:
    wiring.instrument_sdk("google_genai", pipeline=Pipeline((policy,)))
    try:
        yield
    finally:
        wiring.uninstrument_sdk("google_genai")


@both
@every_way
def test_a_refused_call_is_not_sent_and_the_caller_is_told(
    mode: str, way: str, gemini: Gemini, make: Any
) -> None:
    with under(Deny()), pytest.raises(CallDenied):
        run(mode, make(), way)
    assert gemini.requests == []


@both
@every_way
def test_what_a_policy_changes_of_a_request_is_sent(mode: str, way: str, gemini: Gemini, make: Any) -> None:
    with under(Change()):
        run(mode, make(), way)
    ((path, sent),) = gemini.requests
    assert "/models/gemini-2.5-flash-lite:" in path
    assert ("alt=sse" in path) is ("stream" in way)
    assert sent["generationConfig"]["maxOutputTokens"] == 7


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
        ("publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "gemini-2.5-pro"),
        ("projects/p/locations/l/endpoints/123:generateContent", "123"),
    ],
)
def test_the_model_is_in_the_path(path: str, model: str) -> None:
    assert model_of(path) == model
