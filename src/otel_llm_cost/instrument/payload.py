"""An SDK's parsed answer as plain data, for `pricing.normalise`: no second parse of the JSON, no content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CONTENT = frozenset(
    [
        "arguments",
        "annotations",
        "audio",
        "content",
        "data",
        "delta",
        "embedding",
        "encrypted_content",
        "function_call",
        "instructions",
        "logprobs",
        "message",
        "parsed",
        "prompt",
        "reasoning_content",
        "refusal",
        "results",
        "summary",
        "system_fingerprint",
        "text",
        "thinking",
        "tool_calls",
    ]
)
"""Keys under which prompts and answers live: not read, since no price depends on them (design D14)."""


_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """A pydantic model (v1 or v2), and everything in it, as dicts, lists and scalars; content left out.

    Fields that the SDK does not know are kept: they may carry tokens that cost something.
    """
    kind = type(value)
    if kind is list:
        return [plain(item) for item in value]
    fields = value if kind is dict else getattr(value, "__dict__", None)
    if fields is None:
        return value
    found = {}
    for key, item in fields.items():
        if item is not None and key not in CONTENT:
            found[key] = item if type(item) in _SCALARS else plain(item)
    if kind is not dict and (extra := getattr(value, "__pydantic_extra__", None)):
        found.update(plain(extra))
    return found


def parse(body: bytes) -> Mapping[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
