"""Server-sent events as bytes: which of them tell usage, and how to hide what the user did not ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_ENDS = (b"\n\n", b"\r\n\r\n")
_USAGE = b'"usage"'
_NULL_USAGE = (b',"usage":null', b', "usage": null')
_REASON = b'"finish_reason":"'
_MOST = 4  # events with usage read at either end of a block: some servers repeat a running total in each


def last_end(block: bytes) -> int:
    """The position after the last whole event."""
    return max(block.rfind(b"\n\n") + 2, block.rfind(b"\r\n\r\n") + 4, 0) if block.rfind(b"\n") >= 0 else 0


def count(block: bytes) -> int:
    """How many data events a block holds."""
    return block.count(b"\ndata:") + block.startswith(b"data:")


def looks_like_events(block: bytes) -> bool:
    """Whether a body is an event stream, and not one JSON object."""
    return block.lstrip()[:1] != b"{"


def telling(block: bytes, *, is_first: bool) -> Iterator[Mapping[str, Any]]:
    """The events that say something about the call: the first, those with usage, the last reason to stop."""
    spots: list[int] = []
    if is_first:
        spots.append(max(block.find(b"data:"), 0))
    usage = _usage_spots(block)
    if len(usage) > 2 * _MOST:
        usage = usage[:_MOST] + usage[-_MOST:]
    spots += usage
    if (reason := block.rfind(_REASON)) >= 0:
        spots.append(reason)
    seen = -1
    for spot in sorted(spots):
        start = max(block.rfind(b"\n\n", 0, spot), block.rfind(b"\r\n\r\n", 0, spot), 0)
        if start == seen:
            continue
        seen = start
        event = _parse(block, spot, start)
        if event is not None:
            yield event


def _usage_spots(block: bytes) -> list[int]:
    spots = []
    at = block.find(_USAGE)
    while at >= 0:
        after = block[at + 7 : at + 24].replace(b" ", b"")
        if after.startswith(b":{"):
            spots.append(at)
        at = block.find(_USAGE, at + 7)
    return spots


def _parse(block: bytes, spot: int, start: int) -> Mapping[str, Any] | None:
    end = min(
        (at for at in (block.find(b"\n\n", spot), block.find(b"\r\n\r\n", spot)) if at >= 0),
        default=len(block),
    )
    return event_data(block[start:end])


def event_data(event: bytes) -> Mapping[str, Any] | None:
    """The JSON object an event carries, or None."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    try:
        data = json.loads(b"\n".join(lines))
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


class Hiding:
    """Takes out of a stream what came only because we asked for usage.

    That is one event with `"choices": []` and the usage, and `"usage": null` in every other one. Chunks need
    not end where events do; what is held back is at most the beginning of an event.
    """

    __slots__ = ("_held", "_off")

    def __init__(self) -> None:
        self._held = b""
        self._off = False

    def filter(self, chunk: bytes) -> bytes:
        """What of `chunk`, and of what was held back before, the user may see now."""
        if self._held or not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
        if _USAGE not in chunk:
            return chunk
        chunk = chunk.replace(b',"usage":null', b"")
        return _without_usage(chunk) if _USAGE in chunk else chunk

    def rest(self) -> bytes:
        """What is still held back when the stream ends."""
        held, self._held = self._held, b""
        return _without_usage(held) if _USAGE in held else held

    def _whole_events(self, chunk: bytes) -> bytes:
        block = self._held + chunk
        if self._off:
            return block
        cut = last_end(block)
        if not cut and (len(block) > 65536 or b"\r\r" in block):
            self._off = True  # not the events we know: show everything rather than delay it
            cut = len(block)
        self._held = block[cut:]
        return block[:cut]


def _without_usage(block: bytes) -> bytes:
    kept = []
    start = 0
    while start < len(block):
        end = last = len(block)
        for mark in _ENDS:
            at = block.find(mark, start)
            if 0 <= at < last:
                last, end = at, at + len(mark)
        event = block[start:end]
        start = end
        if _USAGE in event:
            data = event_data(event)
            if data is not None and data.get("choices") == [] and isinstance(data.get("usage"), dict):
                continue
            event = event.replace(b', "usage": null', b"")
        kept.append(event)
    return b"".join(kept)
