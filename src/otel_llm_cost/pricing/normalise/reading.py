"""Reading: what one provider payload says about a call, in our words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from otel_llm_cost.core.call import NO_USAGE, Part
from otel_llm_cost.core.usage import Usage

OUTPUT_MISSING = "output_missing"
"""Flag: the stream ended before the provider said how much it had generated."""
IMAGE_MODEL_ASSUMED = "image_model_assumed"
"""Flag: OpenAI's image tool was used and the response does not name its model; the default was taken."""


class Reading(NamedTuple):
    """What a payload says; fields as in `core.call.Call`. A tuple, since one is made per call.

    usage_source: provider (a whole body), stream (folded events) or missing (no usage in it).
    flags: contradictions found in the usage, and `output_missing`. Counts that contradict were clamped.
    sessions: ids of the code-interpreter containers that `code_sessions` counts (see `pricing.sessions`).
    """

    usage: Usage = NO_USAGE
    usage_source: str = "missing"
    response_model: str = ""
    response_id: str = ""
    terms: Mapping[str, str] = MappingProxyType({})
    parts: tuple[Part, ...] = ()
    reported_cost: str = ""
    flags: tuple[str, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    raw_usage: str = ""
    sessions: tuple[str, ...] = ()


def get(node: Any, *path: str) -> Any:
    """The value at a path of mappings or SDK objects; None where any step is absent."""
    for step in path:
        if type(node) is dict:  # the common case: no look at abstract base classes
            node = node.get(step)
        elif node is None:
            return None
        else:
            node = node.get(step) if isinstance(node, Mapping) else getattr(node, step, None)
    return node


def first(node: Any, *paths: tuple[str, ...]) -> Any:
    """The first value that is not None among alternative paths."""
    for path in paths:
        value = get(node, *path)
        if value is not None:
            return value
    return None


def text(value: Any) -> str:
    """A string, or the empty one for anything else."""
    return value if isinstance(value, str) else ""


def sequence(value: Any) -> Sequence[Any]:
    """A list, or the empty one for anything else."""
    return value if isinstance(value, (list, tuple)) else ()


SAFE_TEXT = frozenset(
    (
        *("type", "model", "ttl", "modality", "service_tier", "serviceTier", "speed", "inference_geo"),
        *("trafficType", "traffic_type", "search_context_size", "status", "name"),
    )
)
"""Keys inside a usage object whose text is a billing fact; no other text is kept (design D14)."""


def compact(usage: Any) -> str:
    """The usage object as compact JSON: numbers, and the few texts that are billing facts."""
    if usage is None:
        return ""
    if type(usage) is dict and (text := _counts(usage)) is not None:
        return text
    kept = _facts(usage)
    return _encode(kept) if kept else ""


def _counts(usage: dict[str, Any]) -> str | None:
    """The common case of `compact`, nothing but whole numbers; None for anything else."""
    parts = []
    for key, value in usage.items():
        if type(value) is dict:
            value = _counts(value)
            if value is None:
                return None
        elif type(value) is not int:
            return None
        if not key.isidentifier():
            return None
        parts.append(f'"{key}":{value}')
    return f"{{{','.join(parts)}}}" if parts else None


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def _facts(node: Any) -> Any:
    if type(node) is not dict and not isinstance(node, Mapping):
        dump = getattr(node, "to_dict", None) or getattr(node, "model_dump", None)
        node = dump() if callable(dump) else getattr(node, "__dict__", {})
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, (int, float, Decimal)):
            kept[key] = value
        elif isinstance(value, str):
            if key in SAFE_TEXT or _is_number(value):
                kept[key] = value
        elif isinstance(value, Mapping):
            if inner := _facts(value):
                kept[key] = inner
        elif isinstance(value, (list, tuple)):
            items = [_facts(item) for item in value if isinstance(item, Mapping)]
            if any(items):
                kept[key] = items
    return kept


def _is_number(value: str) -> bool:
    return len(value) <= 40 and value.replace(".", "", 1).replace("-", "", 1).isdigit()
