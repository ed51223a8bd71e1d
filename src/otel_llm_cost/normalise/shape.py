"""Shape: which of an emitter's attributes holds which fact, worked out once per set of attribute names.

Spans of one emitter and operation carry the same names, so the precedence lists are walked once per shape
and not once per span.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm_cost.normalise.tables import Emitter, Tables
from otel_llm_cost.pricing.normalise.quantity import tokens

MAX_TAG_LENGTH = 512
MAX_TAGS = 64
MAX_PACKED = 20_000
"""Longest text that is unpacked; a usage object is a few hundred characters."""


class Shape:
    """The attribute names of one kind of span or record, read by the tables."""

    def __init__(self, emitter: Emitter, tables: Tables, names: tuple[str, ...], is_guess: bool) -> None:
        """is_guess: no row of emitters.yaml knew the emitter, so the specification is assumed."""
        self.emitter = emitter
        self.is_guess = is_guess
        self.packed = tuple(name for name in emitter.unpack if name in names)
        present = frozenset(names)
        self._tables = tables
        self._fields = {field: _first(candidates, present) for field, candidates in tables.fields.items()}
        self._usage = [
            (kind, name)
            for kind, candidates in tables.usage.items()
            if (name := _first(candidates, present)) is not None
        ]
        self._cost = _first(tables.reported_cost, present)
        self._terms = [
            (term, name)
            for term, candidates in tables.terms.items()
            if (name := _first(candidates, present)) is not None
        ]
        self._tags = [
            (tag, name)
            for tag, candidates in tables.tags.items()
            if (name := _first(candidates, present)) is not None
        ]
        self._tags += [
            (name[len(prefix) :], name)
            for name in names
            for prefix in tables.tag_prefixes
            if name.startswith(prefix)
        ][:MAX_TAGS]

    def value(self, attributes: Mapping[str, Any], field: str) -> Any:
        """The value of a field of names.yaml, None when it is not there."""
        name = self._fields[field]
        return None if name is None else attributes[name]

    def text(self, attributes: Mapping[str, Any], field: str) -> str:
        """The same as text, empty when it is not there."""
        name = self._fields[field]
        return "" if name is None else str(attributes[name])[:MAX_TAG_LENGTH]

    def totals(self, attributes: Mapping[str, Any], flags: list[str]) -> dict[str, int]:
        """The token counts that are numbers."""
        found: dict[str, int] = {}
        for kind, name in self._usage:
            number = tokens(attributes[name], name, flags)
            if number is not None:
                found[kind] = number
        return found

    def reported_cost(self, attributes: Mapping[str, Any]) -> Any:
        """What the emitter says it cost."""
        return None if self._cost is None else attributes[self._cost]

    def terms(self, attributes: Mapping[str, Any], _resource: Mapping[str, Any]) -> dict[str, str]:
        """What besides model and quantity decides the price."""
        return {term: str(attributes[name]) for term, name in self._terms}

    def tags(self, attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, str]:
        """Allocation tags: the span's own, else the resource's."""
        tags: dict[str, str] = {}
        for tag, name in self._tags:
            value = attributes[name]
            if value is not None and value != "":
                tags.setdefault(tag, str(value)[:MAX_TAG_LENGTH])
        for tag, candidates in self._tables.tags.items():
            if tag not in tags:
                found = _first(candidates, resource)
                if found is not None:
                    tags[tag] = str(resource[found])[:MAX_TAG_LENGTH]
        return tags

    def refusal(self, attributes: Mapping[str, Any], operation: str, has_usage: bool) -> str | None:
        """Why this is no billable request; None when it is one."""
        emitter = self.emitter
        for name, values in emitter.never.items():
            if str(attributes.get(name)) in values:
                return f"{name} is {attributes[name]}"
        for name, values in emitter.billable.items():
            if name in attributes and str(attributes[name]) not in values:
                return f"{name} is {attributes[name]}"
        if operation in self._tables.never:
            return f"operation is {operation}"
        known = operation in self._tables.billable or any(name in attributes for name in emitter.billable)
        if not known and not has_usage:
            return "neither a known operation nor usage"
        if self._fields["request_model"] is None and self._fields["response_model"] is None:
            return "no model"
        return None

    def operation(self, attributes: Mapping[str, Any]) -> str:
        """The operation of an emitter that does not name it."""
        return "embeddings" if any(name.startswith("embedding") for name in attributes) else "chat"

    def unpacked(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes, with JSON or Python text in them spread out under the emitter's prefixes."""
        spread = {name: value for name, value in attributes.items() if name not in self.packed}
        for name in self.packed:
            for key, value in _object(attributes[name]).items():
                spread.setdefault(self.emitter.unpack[name] + str(key), value)
        return spread


def _first(candidates: Iterable[str], present: Iterable[str]) -> str | None:
    return next((name for name in candidates if name in present), None)


def _object(text: Any) -> dict[Any, Any]:
    if isinstance(text, Mapping):
        return dict(text)
    if not isinstance(text, str) or len(text) > MAX_PACKED:
        return {}
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            return found
    return {}
