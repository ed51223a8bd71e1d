"""Server-sent events as bytes: which of them tell usage, and how to hide what the user did not ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

USAGE = b'"usage"'
NULL_USAGE = b',"usage":null'
HEAD, TAIL = 8 * 1024, 32 * 1024
"""Where in a block usage is looked for: it comes in a stream's first event, or in the last ones. What some
servers repeat in every event is a running total, of which the last is right."""

_ENDS = (b"\n\n", b"\r\n\r\n")


def _end(block: bytes) -> bytes:
    """What ends an event in this stream."""
    return _ENDS[b"\r\n" in block[:HEAD]]


def last_end(block: bytes) -> int:
    """The position after the last whole event; 0 where there is none."""
    mark = _end(block)
    at = block.rfind(mark)
    return at + len(mark) if at >= 0 else 0


def count(block: bytes) -> int:
    """How many data events a block holds."""
    return block.count(b"\ndata:") + block.startswith(b"data:")


def is_over(block: bytes, ends: tuple[bytes, ...]) -> bool:
    """Whether one of the last two events begins with one of `ends`; text further on does not count."""
    mark = _end(block)
    stop = len(block)
    for _ in range(2):
        if block.endswith(mark, 0, stop):
            stop -= len(mark)
        start = block.rfind(mark, 0, stop)
        head = block[start + len(mark) if start >= 0 else 0 : stop][:80]
        if any(end in head for end in ends):
            return True
        if start < 0:
            break
        stop = start
    return False


def looks_like_events(block: bytes) -> bool:
    """Whether a body is an event stream, and not one JSON object."""
    return block[:64].lstrip()[:1] != b"{"


def telling(block: bytes, *, is_first: bool) -> Iterator[Mapping[str, Any]]:
    """The events that say something about the call: those with usage, the last reason to stop.

    Where no usage is found, the first event of the stream, which names the model.
    """
    mark = _end(block)
    spots = _spots(block, b'"usage":{') or _spots(block, b'"usage": {')
    if is_first and not spots:
        spots = [max(block.find(b"data:"), 0)]
    tail = max(0, len(block) - TAIL)
    if (reason := block.rfind(b'"finish_reason":"', tail)) >= 0 or (
        reason := block.rfind(b'"finish_reason": "', tail)
    ) >= 0:
        spots.append(reason)
    seen = -1
    for spot in sorted(spots):
        start = max(block.rfind(mark, 0, spot), 0)
        if start == seen:
            continue
        seen = start
        end = block.find(mark, spot)
        event = event_data(block[start : end if end >= 0 else len(block)])
        if event is not None:
            yield event


def _spots(block: bytes, mark: bytes) -> list[int]:
    first = block.find(mark, 0, HEAD)
    last = block.rfind(mark, max(0, len(block) - TAIL))
    return [spot for spot in (first, last) if spot >= 0]


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

    __slots__ = ("_off", "held")

    def __init__(self) -> None:
        self.held = b""
        self._off = False

    def filter(self, chunk: bytes) -> bytes:
        """What of `chunk`, and of what was held back before, the user may see now."""
        if self.held or not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
        if USAGE not in chunk:
            return chunk
        chunk = chunk.replace(NULL_USAGE, b"")
        return without_usage(chunk) if USAGE in chunk else chunk

    def rest(self) -> bytes:
        """What is still held back when the stream ends."""
        held, self.held = self.held, b""
        return without_usage(held) if USAGE in held else held

    def _whole_events(self, chunk: bytes) -> bytes:
        block = self.held + chunk
        if self._off:
            return block
        cut = last_end(block)
        if not cut and (len(block) > 65536 or b"\r\r" in block):
            self._off = True  # not the events we know: show everything rather than delay it
            cut = len(block)
        self.held = block[cut:]
        return block[:cut]


def without_usage(block: bytes) -> bytes:
    """Whole events without the one that has usage and no choices, and without `"usage": null` in others."""
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
        if USAGE in event:
            data = event_data(event)
            if data is not None and data.get("choices") == [] and isinstance(data.get("usage"), dict):
                continue
            event = event.replace(b', "usage": null', b"")
        kept.append(event)
    return b"".join(kept)
