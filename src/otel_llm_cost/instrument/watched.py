"""A response whose reading is watched: same class to everyone, but each chunk is shown to a tap first.

The class of the response is swapped for a subclass. No closure on the instance, no wrapper object: so there
is no reference cycle, `isinstance` holds, and whoever reads (a stream, `iter_lines`, `json`) is seen.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from otel_llm_cost.core.background import background
from otel_llm_cost.instrument import sse

if TYPE_CHECKING:
    from otel_llm_cost.instrument.streams import Tap

KEPT = 256 * 1024
"""Bytes of a response that are kept before they are digested."""

_ATTRIBUTE = "_llm_cost_tap"

_classes: dict[type, type] = {}


def show(response: Any, tap: Tap) -> None:
    """Show to `tap` what is read from `response` from now on."""
    kind = type(response)
    response.__dict__[_ATTRIBUTE] = tap
    response.__class__ = _classes.get(kind) or _classes.setdefault(kind, _subclass(kind))


def _subclass(base: Any) -> type:
    def iter_bytes(self: Any, chunk_size: int | None = None) -> Iterator[bytes]:
        tap: Tap = self.__dict__[_ATTRIBUTE]
        source = base.iter_bytes(self, chunk_size)
        if tap.is_over:
            yield from source
            return
        chunks, hiding, room = tap.chunks, tap.hiding, KEPT
        try:
            for chunk in source:
                if not chunks:
                    tap.begin()
                chunks.append(chunk)
                room -= len(chunk)
                if room < 0:
                    room = tap.condense()
                if hiding is not None:
                    if hiding.held or chunk[-2:] != b"\n\n":
                        chunk = hiding.filter(chunk)
                    else:  # whole events, as most servers send them
                        chunk = chunk.replace(sse.NULL_USAGE, b"")
                        if sse.USAGE in chunk:
                            chunk = sse.without_usage(chunk)
                    if not chunk:
                        continue
                yield chunk
            if hiding is not None and (chunk := hiding.rest()):
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        tap.end(at_end_of_body=True)

    async def aiter_bytes(self: Any, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        tap: Tap = self.__dict__[_ATTRIBUTE]
        source = base.aiter_bytes(self, chunk_size)
        if tap.is_over:
            async for chunk in source:
                yield chunk
            return
        chunks, hiding, room = tap.chunks, tap.hiding, KEPT
        try:
            async for chunk in source:
                if not chunks:
                    tap.begin()
                chunks.append(chunk)
                room -= len(chunk)
                if room < 0:
                    room = tap.condense()
                if hiding is not None:
                    if hiding.held or chunk[-2:] != b"\n\n":
                        chunk = hiding.filter(chunk)
                    else:  # whole events, as most servers send them
                        chunk = chunk.replace(sse.NULL_USAGE, b"")
                        if sse.USAGE in chunk:
                            chunk = sse.without_usage(chunk)
                    if not chunk:
                        continue
                yield chunk
            if hiding is not None and (chunk := hiding.rest()):
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        tap.end(at_end_of_body=True)

    def close(self: Any) -> None:
        try:
            base.close(self)
        finally:
            self.__dict__[_ATTRIBUTE].end()

    async def aclose(self: Any) -> None:
        try:
            await base.aclose(self)
        finally:
            self.__dict__[_ATTRIBUTE].end()

    def finalise(self: Any) -> None:
        tap: Tap | None = self.__dict__.get(_ATTRIBUTE)
        if tap is not None and not tap.is_over and not sys.is_finalizing():
            background.submit(tap.end)

    def reduce_ex(self: Any, _protocol: Any) -> Any:
        state = {name: value for name, value in base.__getstate__(self).items() if name != _ATTRIBUTE}
        return copyreg._reconstructor, (base, object, None), state  # type: ignore[attr-defined]

    return type(
        base.__name__,
        (base,),
        {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            "__del__": finalise,
            "__reduce_ex__": reduce_ex,
            "iter_bytes": iter_bytes,
            "aiter_bytes": aiter_bytes,
            "close": close,
            "aclose": aclose,
        },
    )
