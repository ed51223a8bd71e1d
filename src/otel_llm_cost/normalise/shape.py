"""Shape: which of an emitter's attributes holds which fact, worked out once per set of attribute names.

Spans of one emitter and operation carry the same names, so the precedence lists are walked once per shape
and not once per span.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm_cost.normalise.tables import Emitter, Lists, Tables
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
        self._fields = {
            field: _first((*emitter.fields.get(field, ()), *candidates), present)
            for field, candidates in tables.fields.items()
        }
        self._usage = _found(emitter.usage, tables.usage, present)
        self._cost = _first((*emitter.reported_cost, *tables.reported_cost), present)
        self._terms = _found(emitter.terms, tables.terms, present)
        self._tags = _found(emitter.tags, tables.tags, present)
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
        # Some emitters write every value as JSON, text in quotes.
        return "" if name is None else str(attributes[name])[:MAX_TAG_LENGTH].strip('"')

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
        if emitter.skip:
            return emitter.skip
        for name, values in emitter.never.items():
            if name in attributes and _is_among(attributes[name], values):
                return f"{name} is {attributes[name]}"
        for name, values in emitter.billable.items():
            if name in attributes and not _is_among(attributes[name], values):
                return f"{name} is {attributes[name]}"
        if operation in self._tables.never:
            return f"operation is {operation}"
        known = bool(emitter.events) or operation in self._tables.billable
        known = known or any(name in attributes for name in emitter.billable)
        if not known and not has_usage:
            return "neither a known operation nor usage"
        if self._fields["request_model"] is None and self._fields["response_model"] is None:
            return "no model"
        return None

    def operation(self, attributes: Mapping[str, Any]) -> str:
        """The operation of an emitter that does not name it."""
        for name, values in self.emitter.embeddings.items():
            if name in attributes and _is_among(attributes[name], values):
                return "embeddings"
        return self.emitter.operation or "chat"

    def unpacked(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes, with JSON or Python text in them spread out under the emitter's prefixes."""
        spread = {name: value for name, value in attributes.items() if name not in self.packed}
        for name in self.packed:
            _spread(self.emitter.unpack[name], _object(attributes[name]), spread)
        return spread


def _first(candidates: Iterable[str], present: Iterable[str]) -> str | None:
    return next((name for name in candidates if name in present), None)


def _found(own: Lists, general: Lists, present: frozenset[str]) -> list[tuple[str, str]]:
    """What → the attribute that holds it, of everything that is present."""
    kinds = dict.fromkeys((*general, *own))
    names = ((kind, _first((*own.get(kind, ()), *general.get(kind, ())), present)) for kind in kinds)
    return [(kind, name) for kind, name in names if name is not None]


def _is_among(value: Any, values: tuple[str, ...]) -> bool:
    """Whether an attribute has one of the values; `*end` stands for every one that ends so."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip('"')
    if text in values:
        return True
    return any(one.startswith("*") and text.endswith(one[1:]) for one in values)


def _spread(prefix: str, found: Mapping[Any, Any], into: dict[str, Any]) -> None:
    for key, value in found.items():
        if isinstance(value, Mapping):
            _spread(f"{prefix}{key}.", value, into)
        else:
            into.setdefault(f"{prefix}{key}", value)


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
