"""Emitted: a span or log record as it came, from whoever sent it, before we know what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_llm_cost.core.call import Call

Attributes = Mapping[str, Any]

OWN: Final = "llm_cost"
"""Emitter name of our own spans and records."""


@dataclass(slots=True)
class Emitted:
    """Times are Unix nanoseconds, ids hexadecimal (empty: none). `name` is a span's name or an event's."""

    attributes: Attributes
    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""
    name: str = ""
    is_record: bool = False
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    started_at: int = 0
    ended_at: int = 0
    failed: bool = False


@dataclass(slots=True)
class Billable:
    """A span or record that stands for one attempt at one model.

    emitter: the row of emitters.yaml that recognised it (`llm_cost` for our own). rule: what was applied to
    its totals. service: the resource's service.name.
    """

    call: Call
    emitter: str
    rule: str
    source: Emitted
    service: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A span or record that is no billable request, and why: it repeats others' tokens, or is no model's."""

    reason: str
    source: Emitted
