"""Every way to call, sync and async, counted exactly once and priced to the last digit of the bill."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from otel_llm_cost.core import semconv
from otel_llm_cost.demo.provider import Provider

from .conftest import Telemetry
from .ways import PLAIN, STREAMS, WAYS, Way, async_client, client, read_all, read_all_async

MODES = ("sync", "async")


def run(mode: str, way: Way, provider: Provider, **kw: Any) -> list[Any]:
    """Call and read everything."""
    if mode == "sync":
        with client(way.sdk, provider) as sdk:
            return read_all(way, way.make(sdk, **kw))

    async def main() -> list[Any]:
        async with async_client(way.sdk, provider) as sdk:
            return await read_all_async(way, way.make(sdk, **kw))

    return asyncio.run(main())


def scripted(text: str) -> dict[str, Any]:
    """Keyword arguments that script the provider's answer."""
    return {"extra_headers": {"x-demo-script": text}}


every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
every_stream = pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.id)
both = pytest.mark.parametrize("mode", MODES)


@both
@every_way
def test_a_call_is_one_span_with_the_cost_on_the_bill(
    way: Way, mode: str, provider: Provider, telemetry: Telemetry
) -> None:
    run(mode, way, provider)
    span = telemetry.only
    attributes = dict(span.attributes or {})
    assert span.name == f"{way.operation} {way.model}"
    assert span.kind.name == "CLIENT"
    assert span.status.status_code.name == "UNSET"
    assert attributes[semconv.OPERATION] == way.operation
    assert attributes[semconv.PROVIDER] == way.provider
    assert attributes[semconv.REQUEST_MODEL] == way.model
    assert attributes["llm_cost.api"] == way.api
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["server.port"] == provider.port
    assert attributes["llm_cost.usage.source"] == ("stream" if way.is_stream else "provider")
    assert attributes.get("gen_ai.request.stream", False) is way.is_stream
    (line,) = provider.bill.lines
    assert attributes.get(semconv.RESPONSE_ID, "") == line.response_id
    assert attributes[semconv.COST_STATUS] == ("priced" if way.is_priced else "unpriced")
    assert attributes.get(semconv.COST_EXACT) == (line.usd if way.is_priced else None)
    used = line.quantities
    assert attributes[semconv.INPUT_TOKENS] == used.prompt
    assert attributes.get(semconv.OUTPUT_TOKENS, 0) == used.output
    assert len(provider.requests) == 1


@both
@every_way
def test_a_provider_error_reaches_the_caller_unchanged_and_is_a_failed_call(
    way: Way, mode: str, provider: Provider, telemetry: Telemetry
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the SDK's own, checked below
        run(mode, way, provider, **scripted("status=400"))
    assert type(caught.value).__module__.startswith(way.package)
    assert getattr(caught.value, "status_code", None) == 400
    assert caught.value.__cause__ is None
    span = telemetry.only
    assert span.status.status_code.name == "ERROR"
    assert span.attributes is not None
    assert span.attributes["error.type"]
    assert span.attributes["http.response.status_code"] == 400
    assert semconv.COST_STATUS not in span.attributes
    assert span.events == ()
    assert span.status.description is None
    assert len(provider.requests) == 1


@both
@every_way
def test_an_attempt_that_failed_before_the_last_leaves_as_a_record(
    way: Way, mode: str, provider: Provider, telemetry: Telemetry
) -> None:
    run(mode, way, provider, **scripted("status=429 | status=500 | ok"))
    assert len(provider.requests) == 3
    (span,) = telemetry.spans
    assert span.attributes is not None
    assert span.attributes["llm_cost.attempt"] == 3
    assert span.attributes.get(semconv.COST_EXACT) == (provider.bill.usd if way.is_priced else None)
    first, second = telemetry.records
    assert (first["llm_cost.attempt"], first["http.response.status_code"]) == (1, 429)
    assert (second["llm_cost.attempt"], second["http.response.status_code"]) == (2, 500)
    assert first["error.type"]
    assert second["error.type"]
    assert first[semconv.CALL_ID] != second[semconv.CALL_ID] != span.attributes[semconv.CALL_ID]
    assert semconv.COST_STATUS not in first


@both
@every_way
def test_retries_that_run_out_are_counted_each(
    way: Way, mode: str, provider: Provider, telemetry: Telemetry
) -> None:
    with pytest.raises(Exception, match="429"):
        run(mode, way, provider, **scripted("status=429"))
    assert len(provider.requests) == 3
    (span,) = telemetry.spans
    assert span.status.status_code.name == "ERROR"
    assert [record["llm_cost.attempt"] for record in telemetry.records] == [1, 2]


def open_stream(way: Way, sdk: Any, **kw: Any) -> Any:
    """The stream itself; helpers are entered."""
    made = way.make(sdk, **kw)
    return made if isinstance(made, Iterator) else made.__enter__()


async def open_stream_async(way: Way, sdk: Any, **kw: Any) -> Any:
    made = way.make(sdk, **kw)
    if hasattr(made, "__await__"):
        made = await made
    return made if isinstance(made, AsyncIterator) else await made.__aenter__()


def assert_aborted(way: Way, telemetry: Telemetry) -> None:
    """Recorded once, estimated, and flagged."""
    span = telemetry.only
    attributes = dict(span.attributes or {})
    assert attributes["llm_cost.usage.source"] == "estimated"
    assert "aborted" in attributes[semconv.USAGE_FLAGS]
    assert attributes[semconv.COST_STATUS] == ("estimated" if way.is_priced else "unpriced")
    assert attributes[semconv.INPUT_TOKENS] > 0
    assert attributes[semconv.OUTPUT_TOKENS] >= 0


@every_stream
def test_a_stream_closed_early_is_recorded_once_as_an_estimate(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    with client(way.sdk, provider) as sdk:
        stream = open_stream(way, sdk, **scripted("chunks=200,delay=0.002"))
        for _ in range(5):
            next(stream)
        stream.close()
    assert_aborted(way, telemetry)


@every_stream
async def test_an_async_stream_closed_early_is_recorded_once_as_an_estimate(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    async with async_client(way.sdk, provider) as sdk:
        stream = await open_stream_async(way, sdk, **scripted("chunks=200,delay=0.002"))
        async for _ in stream:
            break
        await stream.close()
    assert_aborted(way, telemetry)


@every_stream
def test_a_dropped_stream_is_recorded_once(way: Way, provider: Provider, telemetry: Telemetry) -> None:
    with client(way.sdk, provider) as sdk:
        stream = open_stream(way, sdk, **scripted("chunks=200,delay=0.002"))
        for _ in stream:
            break
        del stream, _
        gc.collect()
        telemetry.until(1)
    assert_aborted(way, telemetry)


@every_stream
def test_a_stream_that_nobody_reads_is_recorded_once(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    with client(way.sdk, provider) as sdk:
        stream = open_stream(way, sdk, **scripted("chunks=200,delay=0.002"))
        del stream
        gc.collect()
        telemetry.until(1)
    assert_aborted(way, telemetry)


@every_stream
def test_a_stream_whose_reader_raises_is_recorded_once_and_the_error_stays(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    with (  # noqa: PT012
        client(way.sdk, provider) as sdk,
        pytest.raises(ZeroDivisionError),
        way.make(sdk, **scripted("chunks=200,delay=0.002")) as stream,
    ):
        for _ in stream:
            1 / 0  # noqa: B018
    assert_aborted(way, telemetry)


@every_stream
def test_a_stream_cut_off_by_the_network_is_an_error_and_recorded_once(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    with client(way.sdk, provider) as sdk, pytest.raises(Exception, match=r"."):
        read_all(way, way.make(sdk, **scripted("chunks=50,die_after=5")))
    span = telemetry.only
    assert span.attributes is not None
    assert span.attributes["error.type"]
    assert span.attributes["llm_cost.usage.source"] == "estimated"
    assert span.status.status_code.name == "ERROR"


@every_way
async def test_a_cancelled_call_is_recorded_once(way: Way, provider: Provider, telemetry: Telemetry) -> None:
    async with async_client(way.sdk, provider) as sdk:
        task = asyncio.ensure_future(read_all_async(way, way.make(sdk, **scripted("hang=5,chunks=50"))))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    span = telemetry.only
    assert span.attributes is not None
    assert span.attributes["error.type"] == "CancelledError"
    assert span.attributes[semconv.USAGE_FLAGS] == ("maybe_billed",)


@every_stream
async def test_a_stream_cancelled_while_it_is_read_is_recorded_once(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    async with async_client(way.sdk, provider) as sdk:
        task = asyncio.ensure_future(read_all_async(way, way.make(sdk, **scripted("chunks=200,delay=0.1"))))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(telemetry.until(1)) == 1
    span = telemetry.only
    assert span.attributes is not None
    assert span.attributes["llm_cost.usage.source"] == "estimated"


@pytest.mark.parametrize("way", PLAIN, ids=lambda way: way.id)
def test_an_answer_that_never_comes_may_have_been_billed(
    way: Way, provider: Provider, telemetry: Telemetry
) -> None:
    with (
        client(way.sdk, provider, max_retries=0, timeout=0.1) as sdk,
        pytest.raises(Exception, match=r"(?i)time"),
    ):
        read_all(way, way.make(sdk, **scripted("hang=1")))
    span = telemetry.only
    assert span.attributes is not None
    assert span.attributes["error.type"] == "APITimeoutError"
    assert span.attributes[semconv.USAGE_FLAGS] == ("maybe_billed",)
