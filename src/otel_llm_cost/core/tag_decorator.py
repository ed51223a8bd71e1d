"""`@tags(…)` on each kind of function, which stays of its kind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, cast

from otel_llm_cost.core.tags import Scope, tags

F = TypeVar("F", bound=Callable[..., Any])


def decorate(held: tags, function: F) -> F:
    """`function` with `held` around its body. Raises TypeError for what is no function, classes among it."""
    if isinstance(function, staticmethod | classmethod):
        return cast("F", type(function)(decorate(held, function.__func__)))
    if inspect.isclass(function) or not callable(function):
        raise TypeError(f"tags(...) decorates functions and methods, not {function!r}; decorate the methods")
    for is_kind, wrap in KINDS:
        if is_kind(function):
            return cast("F", functools.wraps(function)(wrap(held, function)))
    return cast("F", functools.wraps(function)(_plain(held, function)))


def _plain(held: tags, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with held:
            return function(*args, **kwargs)

    return call


def _coroutine(held: tags, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with held:
            return await function(*args, **kwargs)

    return call


def _generator(held: tags, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        scope = Scope(held)
        resume: Callable[..., Any] = inner.send
        sent: Any = None
        while True:
            try:
                with scope:
                    item = resume(sent)
            except StopIteration as stop:
                return stop.value
            try:
                sent, resume = (yield item), inner.send
            except GeneratorExit:
                with scope:
                    inner.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the body's to handle, whatever it is
                sent, resume = error, inner.throw

    return call


def _async_generator(held: tags, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        scope = Scope(held)
        resume: Callable[..., Any] = inner.asend
        sent: Any = None
        while True:
            try:
                with scope:
                    item = await resume(sent)
            except StopAsyncIteration:
                return
            try:
                sent, resume = (yield item), inner.asend
            except GeneratorExit:
                with scope:
                    await inner.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - the body's to handle, whatever it is
                sent, resume = error, inner.athrow

    return call


KINDS: tuple[
    tuple[Callable[[object], bool], Callable[[tags, Callable[..., Any]], Callable[..., Any]]], ...
] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)
