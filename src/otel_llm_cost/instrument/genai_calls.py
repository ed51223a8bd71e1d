"""google-genai, wrapped where its API client makes a request: one per HTTP request, so that each round of
automatic function calling counts; `_request_once` runs once per attempt."""

from __future__ import annotations

import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any

from opentelemetry.context import attach, detach

from otel_llm_cost.core import faults
from otel_llm_cost.core.background import background
from otel_llm_cost.core.errors import CallDenied
from otel_llm_cost.instrument import streams
from otel_llm_cost.instrument.genai_exchange import Asked, ChunkTap, GenaiExchange, changed, text_of
from otel_llm_cost.instrument.sdk import Sdk, WrapPoint
from otel_llm_cost.pipeline import Pipeline

Original = Callable[..., Any]

_current: ContextVar[GenaiExchange | None] = ContextVar("llm_cost_genai", default=None)


def points(package: str) -> tuple[WrapPoint, ...]:
    """The wrap points of google-genai."""
    module = f"{package}._api_client"
    return (
        WrapPoint(module, "BaseApiClient.request", _around_request),
        WrapPoint(module, "BaseApiClient.async_request", _around_async_request),
        WrapPoint(module, "BaseApiClient.request_streamed", _around_stream),
        WrapPoint(module, "BaseApiClient.async_request_streamed", _around_async_stream),
        WrapPoint(module, "BaseApiClient._request_once", _around_attempt),
        WrapPoint(module, "BaseApiClient._async_request_once", _around_async_attempt),
    )


class _Call:
    """One request on its way: the exchange, None where there is nothing to count, and what to send."""

    def __init__(
        self, sdk: Sdk, pipeline: Pipeline, client: Any, args: tuple[Any, ...], stream: bool
    ) -> None:
        self.exchange: GenaiExchange | None = None
        self.args = args
        try:
            route = sdk.route(args[1]) if len(args) > 2 else None
            if route is not None:
                options = args[3] if len(args) > 3 else None
                headers = (
                    options.get("headers") if isinstance(options, dict) else getattr(options, "headers", None)
                )
                asked = Asked(route, args[1], args[2], headers)
                self.exchange = GenaiExchange(sdk, pipeline, client, asked, stream)
        except Exception as error:  # noqa: BLE001 - the user's call comes first
            faults.report(f"reading a request of {sdk.name}", error)

    def sent(self) -> tuple[Any, ...]:
        """The arguments, with what policies changed."""
        if self.exchange is None or not self.exchange.changes:
            return self.args
        method, path, request, *rest = self.args
        return (method, *changed(self.exchange, path, request), *rest)


class _Inside:
    """The call's context, for as long as its request is made: never held while a stream waits."""

    def __init__(self, exchange: GenaiExchange, context: Any) -> None:
        self._exchange, self._context = exchange, context

    def __enter__(self) -> None:
        self._token: Token[GenaiExchange | None] = _current.set(self._exchange)
        self._outer = attach(self._context) if self._context is not None else None

    def __exit__(self, *_: object) -> None:
        try:
            _current.reset(self._token)
        except ValueError:
            return  # a coroutine closed in another context than it ran in
        if self._outer is not None:
            detach(self._outer)


def _positional(
    http_method: str, path: str, request_dict: dict[str, Any], http_options: Any = None
) -> tuple[Any, ...]:
    return http_method, path, request_dict, http_options


def _around_request(original: Original, sdk: Sdk, pipeline: Pipeline) -> Original:
    @wraps(original)
    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        args = _positional(*args, **kwargs)
        call = _Call(sdk, pipeline, client, args, False) if request.active else None  # type: ignore[attr-defined]
        if call is None or (exchange := call.exchange) is None:
            return original(client, *args)
        with _Inside(exchange, exchange.start()):
            try:
                answer = original(client, *call.sent())
            except BaseException as error:
                exchange.failed(error)
                raise
            _answered(exchange, answer)
            return answer

    return request


def _around_async_request(original: Original, sdk: Sdk, pipeline: Pipeline) -> Original:
    @wraps(original)
    async def async_request(client: Any, *args: Any, **kwargs: Any) -> Any:
        args = _positional(*args, **kwargs)
        call = _Call(sdk, pipeline, client, args, False) if async_request.active else None  # type: ignore[attr-defined]
        if call is None or (exchange := call.exchange) is None:
            return await original(client, *args)
        with _Inside(exchange, await exchange.start_async()):
            try:
                answer = await original(client, *call.sent())
            except BaseException as error:
                exchange.failed(error)
                raise
            _answered(exchange, answer)
            return answer

    return async_request


def _answered(exchange: GenaiExchange, answer: Any) -> None:
    try:
        exchange.answered_with(text_of(answer))
        exchange.returned()
    except Exception as error:  # noqa: BLE001
        faults.report("reading an answer", error)


def _around_stream(original: Original, sdk: Sdk, pipeline: Pipeline) -> Original:
    @wraps(original)
    def request_streamed(client: Any, *args: Any, **kwargs: Any) -> Any:
        args = _positional(*args, **kwargs)
        if not request_streamed.active or sdk.route(args[1]) is None:  # type: ignore[attr-defined]
            return original(client, *args)
        return _stream(original, sdk, pipeline, client, args)

    return request_streamed


def _stream(
    original: Original, sdk: Sdk, pipeline: Pipeline, client: Any, args: tuple[Any, ...]
) -> Iterator[Any]:
    """As lazy as the SDK's own generator: nothing is sent before the first chunk is asked for."""
    call = _Call(sdk, pipeline, client, args, True)
    exchange = call.exchange
    if exchange is None:
        yield from original(client, *args)
        return
    context = exchange.start()
    source = original(client, *call.sent())
    end = object()
    with _Inside(exchange, context):
        try:
            chunk = next(source, end)
        except BaseException as error:
            exchange.failed(error)
            raise
    tap = exchange.watch()
    streams.keep(tap)
    try:
        while chunk is not end:
            _take(tap, chunk)
            yield chunk
            chunk = next(source, end)
    except GeneratorExit:
        source.close()
        tap.end()
        raise
    except BaseException as error:
        tap.fail(error)
        raise
    tap.end(at_end_of_body=tap.is_finished)


def _around_async_stream(original: Original, sdk: Sdk, pipeline: Pipeline) -> Original:
    @wraps(original)
    async def async_request_streamed(client: Any, *args: Any, **kwargs: Any) -> Any:
        args = _positional(*args, **kwargs)
        active = async_request_streamed.active  # type: ignore[attr-defined]
        call = _Call(sdk, pipeline, client, args, True) if active else None
        if call is None or (exchange := call.exchange) is None:
            return await original(client, *args)
        with _Inside(exchange, await exchange.start_async()):
            try:
                source = await original(client, *call.sent())
            except BaseException as error:
                exchange.failed(error)
                raise
        tap = exchange.watch()
        streams.keep(tap)
        watched = _watched(source, tap)
        # One that nobody iterates runs no `finally`.
        weakref.finalize(watched, _dropped, tap).atexit = False
        return watched

    return async_request_streamed


async def _watched(source: Any, tap: ChunkTap) -> AsyncIterator[Any]:
    try:
        async for chunk in source:
            _take(tap, chunk)
            yield chunk
    except GeneratorExit:
        tap.end()
        raise
    except BaseException as error:
        tap.fail(error)
        raise
    tap.end(at_end_of_body=tap.is_finished)


def _dropped(tap: ChunkTap) -> None:
    if not tap.is_over and not sys.is_finalizing():
        background.submit(tap.end)


def _take(tap: ChunkTap, chunk: Any) -> None:
    try:
        tap.take(text_of(chunk))
    except Exception as error:  # noqa: BLE001
        faults.report("reading a chunk", error)


def _begin_attempt(client: Any, sdk: Sdk) -> GenaiExchange | None:
    exchange = _current.get()
    if exchange is None or exchange.client is not client:
        return None
    try:
        exchange.attempt(exchange.last_error)
    except CallDenied:
        raise
    except Exception as error:  # noqa: BLE001
        faults.report(f"starting an attempt of {sdk.name}", error)
    return exchange


def _around_attempt(original: Original, sdk: Sdk, _pipeline: Pipeline) -> Original:
    @wraps(original)
    def _request_once(client: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin_attempt(client, sdk)
        try:
            return original(client, *args, **kwargs)
        except Exception as error:
            if exchange is not None:
                exchange.last_error = error
            raise

    return _request_once


def _around_async_attempt(original: Original, sdk: Sdk, _pipeline: Pipeline) -> Original:
    @wraps(original)
    async def _async_request_once(client: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin_attempt(client, sdk)
        try:
            return await original(client, *args, **kwargs)
        except Exception as error:
            if exchange is not None:
                exchange.last_error = error
            raise

    return _async_request_once
