"""Words: how this provider counts tokens, and the answers it gives.

A token is a word with the space before it, or one other mark: close to what real tokenizers make of English.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

_PIECE = re.compile(r"\s*(?:\w{1,12}|[^\w\s])|\s+")
_SAYINGS = (
    "Thanks for reaching out, and sorry for the trouble.",
    "Your refund was issued this morning and should arrive within three business days.",
    "The device needs a restart after the update; hold the power button for ten seconds.",
    "I have added a note to your order, so the courier will ring before delivery.",
    "Plans can be changed at any time; the difference is credited to your next bill.",
    "Export runs every night, and the file is kept for thirty days.",
    "If the light stays amber, please send us the serial number and we will replace it.",
    "Two people on your team already have access; would you like to invite a third?",
)


def pieces(text: str) -> list[str]:
    """A text as tokens; joined, they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens a text is."""
    return len(pieces(text))


def answer(prompt: str, length: int = 0) -> str:
    """An answer to a prompt, the same one each time; `length` in tokens, else two or three sentences."""
    seed = zlib.crc32(prompt.encode())
    start = seed % len(_SAYINGS)
    sayings = _SAYINGS[start:] + _SAYINGS[:start]
    if not length:
        return " ".join(sayings[: 2 + seed // 8 % 2])
    flow: Iterator[str] = (piece for saying in cycle(sayings) for piece in pieces(f" {saying}"))
    return "".join(islice(flow, length)).lstrip()


def strings(value: Any) -> Iterator[str]:
    """Every text inside a request's messages, in order; names of fields are not read by a model."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("type", "role", "id", "cache_control", "call_id", "tool_call_id", "tool_use_id"):
                yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def json_of(value: Any) -> str:
    """JSON as compact as a provider writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
