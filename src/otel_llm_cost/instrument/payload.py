"""An SDK's parsed answer as plain data, for `pricing.normalise`: no second parse of the JSON, no content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CONTENT = frozenset(
    {
        "arguments",
        "annotations",
        "audio",
        "content",
        "data",
        "embedding",
        "encrypted_content",
        "instructions",
        "logprobs",
        "parsed",
        "prompt",
        "reasoning",
        "reasoning_content",
        "refusal",
        "results",
        "summary",
        "text",
        "thinking",
    }
)
"""Keys under which prompts and answers live: not read, since no price depends on them (design D14)."""


def plain(value: Any) -> Any:
    """A pydantic model (v1 or v2), and everything in it, as dicts, lists and scalars; content left out.

    Fields that the SDK does not know are kept: they may carry tokens that cost something.
    """
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if kind is list:
        return [plain(item) for item in value]
    if kind is dict:
        return {key: plain(item) for key, item in value.items() if key not in CONTENT}
    fields = getattr(value, "__dict__", None)
    if fields is None or not hasattr(
        kind, "__fields_set__" if not hasattr(kind, "model_fields") else "model_fields"
    ):
        return value
    found = {}
    for key, item in fields.items():
        if item is not None and key not in CONTENT:
            found[key] = plain(item)
    if extra := getattr(value, "__pydantic_extra__", None):
        for key, item in extra.items():
            if item is not None and key not in CONTENT:
                found[key] = plain(item)
    return found


def parse(body: bytes) -> Mapping[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
