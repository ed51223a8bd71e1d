"""Our own spans and records, read by shape: `core.semconv.from_attributes`, at a third of its cost.

Spans of one app carry the same attribute names over and over, so which field is where is worked out once per
set of names. tests/normalise holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_llm_cost.core.call import NO_USAGE, Call
from otel_llm_cost.core.semconv import (
    COST_STATUS,
    NUMBER_FIELDS,
    OWN_UNITS_BY_NAME,
    TAG,
    TERMS,
    TEXT_FIELDS,
    USAGE,
    USAGE_FLAGS,
    USAGE_PARTS,
    WELL_KNOWN_TAGS,
    from_attributes,
    read_cost,
    read_usage,
)

MOST_SHAPES = 2_000
RARE = frozenset({USAGE_PARTS})
"""With any of these the general reader does the work."""

ATTEMPT, STREAM, GEN_AI_USAGE = "llm_cost.attempt", "gen_ai.request.stream", "gen_ai.usage."
LIST_FIELDS: Final = (
    ("usage_flags", USAGE_FLAGS),
    ("finish_reasons", "gen_ai.response.finish_reasons"),
)


class OwnReader:
    """Reads our own attributes. Keeps what it learned of their shapes; use one per thread."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def read(self, attributes: Mapping[str, Any], started_at: int, ended_at: int | None) -> Call:
        """The call that the attributes describe. Raises ValueError (or the like) for values of no sense."""
        names = tuple(attributes)
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= MOST_SHAPES:
                self._shapes.clear()
            shape = self._shapes[names] = _Shape(names)
        if shape.is_rare:
            return from_attributes(attributes, started_at=started_at, ended_at=ended_at)
        return shape.read(attributes, started_at, ended_at)


class _Shape:
    """Where each field is, for one set of attribute names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        present = frozenset(names)
        self.is_rare = not RARE.isdisjoint(present)
        self._texts = [(field, name) for field, name in TEXT_FIELDS if name in present]
        self._numbers = [(field, name) for field, name in NUMBER_FIELDS if name in present]
        self._lists = [(field, name) for field, name in LIST_FIELDS if name in present]
        self._terms = [(name.removeprefix(TERMS), name) for name in names if name.startswith(TERMS)]
        self._tags = [(tag, f"llm_cost.{tag}") for tag in WELL_KNOWN_TAGS if f"llm_cost.{tag}" in present]
        self._tags += [(name.removeprefix(TAG), name) for name in names if name.startswith(TAG)]
        self._has_usage = any(name.startswith((USAGE, GEN_AI_USAGE)) for name in names)
        # What `read_usage` looks for among thirty names; given no more than is there, it is quick.
        self._usage = OWN_UNITS_BY_NAME.keys() & present
        self._has_cost = COST_STATUS in present
        self._has_attempt = ATTEMPT in present
        self._has_stream = STREAM in present

    def read(self, attributes: Mapping[str, Any], started_at: int, ended_at: int | None) -> Call:
        """The same as `from_attributes`."""
        fields: dict[str, Any] = {field: str(attributes[name]) for field, name in self._texts}
        for field, name in self._numbers:
            number = fields[field] = attributes[name]
            if type(number) is not int and type(number) is not float:
                raise ValueError(f"{name} is not a number")
        for field, name in self._lists:
            fields[field] = tuple(attributes[name])
        if self._terms:
            fields["terms"] = {term: str(attributes[name]) for term, name in self._terms}
        if self._has_attempt:
            fields["attempt"] = int(attributes[ATTEMPT])
        if self._has_stream:
            fields["stream"] = bool(attributes[STREAM])
        return Call(
            **{"call_id": "", "operation": "", **fields},
            started_at=started_at,
            ended_at=ended_at,
            tags={tag: str(attributes[name]) for tag, name in self._tags},
            usage=read_usage(attributes, self._usage) if self._has_usage else NO_USAGE,
            cost=read_cost(attributes) if self._has_cost else None,
        )
