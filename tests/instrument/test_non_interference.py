"""What the user sees is what they would see without us; and after `uninstrument` nothing of us is left."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

import otel_llm_cost
from otel_llm_cost.core import semconv
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.instrument import SDKS

from .conftest import Telemetry, instrumented
from .ways import ASK, CHAT, MESSAGE, WAYS, Way, async_client, client, read_all, read_all_async

SECRETS = ("id", "created", "created_at", "request_id", "_request_id", "item_id", "completed_at")


def plain(value: Any) -> Any:
    """What a piece says, without what differs from call to call."""
    if hasattr(value, "model_dump"):
        value = {"type": type(value).__name__, **value.model_dump(exclude_unset=True, warnings=False)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in SECRETS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_everything_that_is_returned_is_the_same(way: Way, mode: str, provider: Provider) -> None:
    def run() -> list[Any]:
        provider.reset()
        if mode == "sync":
            with client(way.sdk, provider) as sdk:
                return read_all(way, way.make(sdk))

        async def main() -> list[Any]:
            async with async_client(way.sdk, provider) as sdk:
                return await read_all_async(way, way.make(sdk))

        return asyncio.run(main())

    without = run()
    counting = instrumented()
    next(counting)
    with_us = run()
    counting.close()
    assert [type(piece) for piece in without] == [type(piece) for piece in with_us]
    assert plain(without) == plain(with_us)


def test_uninstrument_restores_every_original() -> None:
    points = [
        point for sdk in SDKS.values() for point in importlib.import_module(sdk.family).points(sdk.package)
    ]
    owners = {(point.module, point.attribute.partition(".")[0]) for point in points}

    def functions() -> dict[str, Any]:
        return {
            f"{module}.{kind}.{name}": function
            for module, kind in owners
            for name, function in vars(getattr(importlib.import_module(module), kind)).items()
        }

    before = functions()
    for _ in range(2):
        counting = instrumented()
        next(counting)
        assert {name for name, function in functions().items() if function is not before[name]} == {
            point for status in otel_llm_cost.wiring.status() for point in status.wrapped
        }
        counting.close()
        assert functions() == before


def test_a_client_made_before_is_counted_and_one_made_during_works_after(
    provider: Provider,
) -> None:
    early = client("openai", provider)
    early.chat.completions.create(**CHAT)
    counting = instrumented()
    telemetry = next(counting)
    early.chat.completions.create(**CHAT)
    late = client("openai", provider)
    late.chat.completions.create(**CHAT)
    assert len(telemetry.spans) == 2
    counting.close()
    early.chat.completions.create(**CHAT)
    late.chat.completions.create(**CHAT)
    assert len(telemetry.spans_out.get_finished_spans()) == 2
    assert len(provider.requests) == 5


def test_someone_who_wraps_over_us_can_stay_when_we_leave(provider: Provider) -> None:
    counting = instrumented()
    telemetry = next(counting)
    ours = openai._base_client.SyncAPIClient.request
    seen = []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return ours(self, *args, **kwargs)

    openai._base_client.SyncAPIClient.request = theirs  # type: ignore[method-assign,assignment]
    try:
        counting.close()
        client("openai", provider).chat.completions.create(**CHAT)
        assert len(seen) == 1
        assert telemetry.spans_out.get_finished_spans() == ()
    finally:
        openai._base_client.SyncAPIClient.request = ours.__wrapped__  # type: ignore[method-assign,attr-defined]


def test_a_stream_stays_lazy(provider: Provider, telemetry: Telemetry) -> None:
    stream = client("openai", provider).chat.completions.create(
        **CHAT, stream=True, extra_headers={"x-demo-script": "chunks=20,delay=0.02"}
    )
    first = next(stream)
    assert first.choices
    assert not provider.requests[0].finished
    list(stream)
    assert telemetry.only.attributes is not None


def test_a_response_keeps_its_class_and_can_be_pickled(provider: Provider, telemetry: Telemetry) -> None:
    sdk = client("openai", provider)
    stream = sdk.chat.completions.create(**CHAT, stream=True)
    assert isinstance(stream.response, httpx2.Response)
    assert type(stream.response).__name__ == "Response"
    list(stream)
    copy = pickle.loads(pickle.dumps(stream.response))
    assert type(copy) is httpx2.Response
    assert copy.status_code == 200
    assert telemetry.only


def test_the_callers_own_arguments_are_not_changed(provider: Provider, telemetry: Telemetry) -> None:
    options = {"include_obfuscation": False}
    messages = list(ASK)
    for _ in client("openai", provider).chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, extra_body={"stream_options": options}
    ):
        pass
    assert options == {"include_obfuscation": False}
    assert messages == ASK
    assert telemetry.spans


def test_the_user_who_asked_for_usage_gets_it(provider: Provider, telemetry: Telemetry) -> None:
    chunks = list(
        client("openai", provider).chat.completions.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert telemetry.only.attributes is not None
    assert telemetry.only.attributes[semconv.OUTPUT_TOKENS] == chunks[-1].usage.completion_tokens


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


EVENT = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_the_chunk_we_asked_for_is_hidden_wherever_the_network_cuts(
    size: int, separators: tuple[str, str], newline: str, telemetry: Telemetry
) -> None:
    tricky = '"usage": {"x": 1}, ,"usage":null \n\n data: [DONE]'
    events = [
        {
            **EVENT,
            "choices": [{"index": 0, "delta": {"content": tricky}, "finish_reason": None}],
            "usage": None,
        },
        {**EVENT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
        {**EVENT, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}},
    ]
    lines = [f"data: {json.dumps(event, separators=separators)}{newline * 2}" for event in events]
    body = "".join([*lines, f"data: [DONE]{newline * 2}"]).encode()
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(json.loads(request.content))
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=pieces(body, size))

    sdk = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    chunks = list(sdk.chat.completions.create(**CHAT, stream=True))
    assert asked[0]["stream_options"] == {"include_usage": True}
    assert [chunk.choices[0].delta.content for chunk in chunks] == [tricky, None]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    attributes = dict(telemetry.only.attributes or {})
    assert (attributes[semconv.INPUT_TOKENS], attributes[semconv.OUTPUT_TOKENS]) == (7, 5)
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_a_host_that_refuses_to_tell_usage_is_asked_once_and_the_user_never_knows(
    telemetry: Telemetry,
) -> None:
    bodies = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        bodies.append(body)
        if "stream_options" in body:
            error = {"message": "Unrecognized request argument supplied: stream_options", "code": None}
            return httpx2.Response(400, json={"error": error})
        event = {**EVENT, "choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}
        return httpx2.Response(
            200,
            headers={"content-type": "text/event-stream"},
            content=f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode(),
        )

    sdk = openai.OpenAI(
        api_key="k",
        base_url="http://strict.internal/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    for _ in range(2):
        (chunk,) = sdk.chat.completions.create(**CHAT, stream=True)
        assert chunk.choices[0].delta.content == "hello"
    assert ["stream_options" in body for body in bodies] == [True, False, False]
    first, second = telemetry.spans
    assert first.attributes is not None
    assert first.attributes["llm_cost.usage.source"] == "estimated"
    assert first.attributes["llm_cost.attempt"] == 2
    assert second.attributes is not None
    assert second.attributes["llm_cost.attempt"] == 1
    assert [record["http.response.status_code"] for record in telemetry.records] == [400]


def test_streaming_responses_are_counted_whichever_way_they_are_read(
    provider: Provider, telemetry: Telemetry
) -> None:
    sdk, other = client("openai", provider), client("anthropic", provider)
    with sdk.chat.completions.with_streaming_response.create(**CHAT) as response:
        assert json.loads(response.read())["usage"]
    with sdk.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
        assert any("[DONE]" in line for line in response.iter_lines())
    with other.messages.with_streaming_response.create(**MESSAGE) as response:
        assert response.parse().usage
    with other.messages.with_streaming_response.create(**MESSAGE, stream=True) as response:
        assert any("message_stop" in text for text in response.iter_text())
    exact = [span.attributes[semconv.COST_EXACT] for span in telemetry.spans if span.attributes]
    assert exact == [line.usd for line in provider.bill.lines]
    assert len(exact) == 4


def test_compressed_answers_are_read(provider: Provider, telemetry: Telemetry) -> None:
    script = {"extra_headers": {"x-demo-script": "gzip=yes"}}
    sdk = client("openai", provider)
    sdk.chat.completions.create(**CHAT, **script)
    list(sdk.chat.completions.create(**CHAT, stream=True, **script))
    exact = [span.attributes[semconv.COST_EXACT] for span in telemetry.spans if span.attributes]
    assert exact == [line.usd for line in provider.bill.lines]
