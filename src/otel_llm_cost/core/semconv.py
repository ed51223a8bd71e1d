"""The names a call travels under: `from_attributes(to_attributes(call)) == call`.

The newest `gen_ai.*` names are written, beside the deprecated cache name for a year; ours are `llm_cost.*`.
GenAI semantic conventions have no dated release, so the literals live here and nowhere else:
https://github.com/open-telemetry/semantic-conventions-genai (read 2026-11-24).
Other emitters' aliases are the collector's business (`collector/normalise/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import ATTO, Component, Cost, from_text, to_text
from otel_llm_cost.core.units import CACHE_READ_UNITS, CACHE_WRITE_UNITS, INPUT_UNITS, OUTPUT_UNITS, UNITS
from otel_llm_cost.core.usage import Quantity, Usage

AttributeValue = str | bool | int | float | Sequence[str]

RECORD_EVENT = "llm_cost.call"
"""Event name of the log record that carries a call whose span is not sampled or not ours (design D13)."""
SCOPE = "otel_llm_cost"
"""Instrumentation scope of our spans, records and metrics."""
CALL_ID = "llm_cost.call_id"
COUNTED_BY = "llm_cost.counted_by"
"""On another emitter's span: the id of our span that already counts this call."""
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_WRITE_DEPRECATED = "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
USAGE_SOURCE = "llm_cost.usage.source"
USAGE_FLAGS = "llm_cost.usage.flags"
USAGE_PARTS = "llm_cost.usage.parts"
USAGE = "llm_cost.usage."
TERMS = "llm_cost.terms."
TAG = "llm_cost.tag."
COST = "llm_cost.cost."
COST_EXACT = "llm_cost.cost.exact"
COST_STATUS = "llm_cost.cost.status"
COST_COMPONENTS = "llm_cost.cost.components"
WELL_KNOWN_TAGS = ("team", "feature", "environment", "customer_id")

TEXT_FIELDS: tuple[tuple[str, str], ...] = (
    ("provider", PROVIDER),
    ("operation", OPERATION),
    ("request_model", REQUEST_MODEL),
    ("call_id", CALL_ID),
    ("api", "llm_cost.api"),
    ("response_model", RESPONSE_MODEL),
    ("response_id", RESPONSE_ID),
    ("request_id", "llm_cost.request_id"),
    ("server_address", "server.address"),
    ("usage_source", USAGE_SOURCE),
    ("reported_cost", "llm_cost.cost.reported"),
    ("hinted_cost", "llm_cost.cost.hinted"),
    ("raw_usage", "llm_cost.usage.raw"),
    ("conversation_id", "gen_ai.conversation.id"),
    ("prompt_hash", "llm_cost.prompt_hash"),
    ("billing_account", "llm_cost.billing_account"),
    ("project", "llm_cost.project"),
    ("api_key_hash", "llm_cost.api_key_hash"),
    ("deployment", "llm_cost.deployment"),
    ("error_type", "error.type"),
    ("denied_by", "llm_cost.denied_by"),
)
"""Text fields of Call and the attribute of each; an empty text is not sent."""

NUMBER_FIELDS: tuple[tuple[str, str], ...] = (
    ("server_port", "server.port"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("time_to_first_chunk_s", "gen_ai.response.time_to_first_chunk"),
    ("status_code", "http.response.status_code"),
)
"""Number fields of Call and the attribute of each; None is not sent."""

DERIVED_UNITS = frozenset({"input_uncached", "output", "reasoning", "cache_read"})
"""Units that semconv's own totals carry; every other unit goes under `llm_cost.usage.<unit>`."""

# A cost line belongs to exactly one of these, by its unit's family and part.
COST_GROUPS: dict[str, str] = {
    unit.name: (
        "tools"
        if unit.family == "fee"
        else unit.family
        if unit.family != "input" or unit.part == "plain"
        else unit.part
    )
    for unit in UNITS
}


_USAGE_NAMES: dict[str, str | None] = {
    unit.name: None if unit.name in DERIVED_UNITS else USAGE + unit.name for unit in UNITS
}
_COST_NAMES = {unit: COST + group for unit, group in COST_GROUPS.items()}


# Every call passes here, between two real ones and so with cold caches: fields are fetched in one go, and
# those that most calls leave empty are looked at one by one only where any is filled.
_MOSTLY_EMPTY = frozenset(
    {
        *(
            "reported_cost",
            "hinted_cost",
            "conversation_id",
            "prompt_hash",
            "billing_account",
            "project",
            "deployment",
        ),
        *("error_type", "denied_by"),
    }
)
_USUAL = tuple(pair for pair in TEXT_FIELDS if pair[0] not in _MOSTLY_EMPTY)
_OTHERS = (*(pair for pair in TEXT_FIELDS if pair[0] in _MOSTLY_EMPTY), *NUMBER_FIELDS)
_USUAL_NAMES = tuple(name for _, name in _USUAL)
_OTHER_NAMES = tuple(name for _, name in _OTHERS)
_usual = attrgetter(*(field for field, _ in _USUAL))
_others = attrgetter(*(field for field, _ in _OTHERS))
_NOTHING = ("",) * len(_MOSTLY_EMPTY) + (None,) * len(NUMBER_FIELDS)


def to_attributes(call: Call) -> dict[str, AttributeValue]:
    """The call as span or log attributes, times aside (a span has its own)."""
    attributes: dict[str, AttributeValue] = {
        name: text for name, text in zip(_USUAL_NAMES, _usual(call), strict=True) if text
    }
    others = _others(call)
    if others != _NOTHING:
        for name, value in zip(_OTHER_NAMES, others, strict=True):
            if value is not None and value != "":
                attributes[name] = value
    attributes["llm_cost.attempt"] = call.attempt
    if call.stream:
        attributes["gen_ai.request.stream"] = True
    if call.finish_reasons:
        attributes["gen_ai.response.finish_reasons"] = call.finish_reasons
    for key, text in call.terms.items():
        attributes[_term_attribute(key)] = text
    for key, text in call.tags.items():
        attributes[tag_attribute(key)] = text
    _put_usage(attributes, call)
    if call.cost is not None:
        _put_cost(attributes, call.cost)
    return attributes


@lru_cache(maxsize=1024)
def tag_attribute(key: str) -> str:
    """The attribute of an allocation tag: `llm_cost.team` for the well-known, `llm_cost.tag.<key>` else."""
    return f"llm_cost.{key}" if key in WELL_KNOWN_TAGS else TAG + key


@lru_cache(maxsize=256)
def _term_attribute(key: str) -> str:
    return TERMS + key


def _put_usage(attributes: dict[str, AttributeValue], call: Call) -> None:
    total_in: Quantity = 0
    total_out: Quantity = 0
    cache_read: Quantity = 0
    cache_write: Quantity = 0
    for unit, quantity in call.usage.items():
        if unit in INPUT_UNITS:
            total_in += quantity
            if unit in CACHE_READ_UNITS:
                cache_read += quantity
            elif unit in CACHE_WRITE_UNITS:
                cache_write += quantity
        elif unit in OUTPUT_UNITS:
            total_out += quantity
        elif unit == "reasoning":
            attributes[REASONING] = int(quantity)
        name = _USAGE_NAMES[unit]
        if name is not None:
            attributes[name] = quantity if isinstance(quantity, int) else str(quantity)
    if call.usage.has_input:
        attributes[INPUT_TOKENS] = int(total_in)
        if cache_read:
            attributes[CACHE_READ] = int(cache_read)
        if cache_write:
            attributes[CACHE_WRITE] = attributes[CACHE_WRITE_DEPRECATED] = int(cache_write)
    if call.usage.has_output:
        attributes[OUTPUT_TOKENS] = int(total_out)
    if call.usage_flags:
        attributes[USAGE_FLAGS] = call.usage_flags
    if call.parts:
        attributes[USAGE_PARTS] = json.dumps(
            [[part.model, {unit: str(n) for unit, n in part.usage.items()}] for part in call.parts],
            separators=(",", ":"),
        )


def _put_cost(attributes: dict[str, AttributeValue], cost: Cost) -> None:
    attributes[COST_STATUS] = cost.status
    attributes["llm_cost.cost.currency"] = cost.currency
    if cost.reason:
        attributes["llm_cost.cost.reason"] = cost.reason
    if cost.price_id:
        attributes["llm_cost.price.id"] = cost.price_id
    if cost.price_version:
        attributes["llm_cost.price.version"] = cost.price_version
    if cost.price_source:
        attributes["llm_cost.price.source"] = cost.price_source
    effective = cost.effective_atto
    if not effective == cost.list_atto == cost.contracted_atto or cost.computed_atto is not None:
        for name, atto in (
            ("llm_cost.cost.list", cost.list_atto),
            ("llm_cost.cost.contracted", cost.contracted_atto),
            ("llm_cost.cost.computed", cost.computed_atto),
        ):
            if atto is not None and atto != effective:
                attributes[name] = to_text(atto)
    if effective is None:
        return
    attributes[COST_EXACT] = to_text(effective)
    attributes["llm_cost.cost.total"] = effective / ATTO
    groups: dict[str, int] = {}
    for component in cost.components:
        group = _COST_NAMES[component.unit]
        groups[group] = groups.get(group, 0) + component.atto
    for group, atto in groups.items():
        attributes[group] = atto / ATTO


def from_attributes(
    attributes: Mapping[str, Any], *, started_at: int = 0, ended_at: int | None = None
) -> Call:
    """The call that `to_attributes` described; times (Unix ns) come from the span or record around it.

    The cost's components are not sent (the collector prices again, design D16), so they come back empty.
    """
    call = Call(
        call_id=str(attributes.get(CALL_ID, "")),
        attempt=int(attributes.get("llm_cost.attempt", 1)),
        stream=bool(attributes.get("gen_ai.request.stream", False)),
        started_at=started_at,
        ended_at=ended_at,
        operation="",
        usage=read_usage(attributes),
        usage_flags=tuple(attributes.get(USAGE_FLAGS, ())),
        finish_reasons=tuple(attributes.get("gen_ai.response.finish_reasons", ())),
        parts=_read_parts(attributes.get(USAGE_PARTS)),
        terms={
            name.removeprefix(TERMS): str(text) for name, text in attributes.items() if name.startswith(TERMS)
        },
        tags=read_tags(attributes),
        cost=read_cost(attributes),
    )
    for field, name in TEXT_FIELDS:
        if name in attributes and field != "call_id":
            setattr(call, field, str(attributes[name]))
    for field, name in NUMBER_FIELDS:
        if name in attributes:
            setattr(call, field, attributes[name])
    return call


def read_tags(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The allocation tags among attributes of a span, record or resource."""
    tags: dict[str, str] = {}
    for key in WELL_KNOWN_TAGS:
        if (text := attributes.get(f"llm_cost.{key}")) is not None:
            tags[key] = str(text)
    for name, text in attributes.items():
        if name.startswith(TAG):
            tags[name.removeprefix(TAG)] = str(text)
    return tags


OWN_UNITS_BY_NAME = {
    USAGE + unit.name: (unit.name, unit.family, unit.part) for unit in UNITS if unit.name not in DERIVED_UNITS
}
"""Attribute → unit, its family and part, of the units that semconv has no name for."""


def read_usage(attributes: Mapping[str, Any], own_units: Iterable[str] | None = None) -> Usage:
    """The usage among attributes. own_units: which of OWN_UNITS_BY_NAME are there, where that is known."""
    quantities: dict[str, Quantity] = {}
    in_input = in_output = cache_read_elsewhere = 0
    if own_units is None:
        own_units = [name for name in OWN_UNITS_BY_NAME if name in attributes]
    for name in own_units:
        unit, family, part = OWN_UNITS_BY_NAME[name]
        quantity = _quantity(attributes[name])
        quantities[unit] = quantity
        if family == "input":
            in_input += int(quantity)
            cache_read_elsewhere += int(quantity) if part == "cache_read" else 0
        elif family == "output":
            in_output += int(quantity)
    if INPUT_TOKENS in attributes:
        cache_read = int(attributes.get(CACHE_READ, 0)) - cache_read_elsewhere
        quantities["cache_read"] = cache_read
        quantities["input_uncached"] = int(attributes[INPUT_TOKENS]) - in_input - cache_read
    if OUTPUT_TOKENS in attributes:
        quantities["output"] = int(attributes[OUTPUT_TOKENS]) - in_output
    if REASONING in attributes:
        quantities["reasoning"] = int(attributes[REASONING])
    return Usage(quantities)


def _quantity(value: object) -> Quantity:
    return value if isinstance(value, int) else Decimal(str(value))


def _read_parts(text: object) -> tuple[Part, ...]:
    if not isinstance(text, str):
        return ()
    return tuple(
        Part(model, Usage({unit: _number(quantity) for unit, quantity in units.items()}))
        for model, units in json.loads(text)
    )


def _number(text: str) -> Quantity:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number


def read_cost(attributes: Mapping[str, Any]) -> Cost | None:
    """What the app itself worked out; None when it said nothing."""
    if COST_STATUS not in attributes:
        return None

    def amount(name: str, otherwise: int | None) -> int | None:
        return from_text(attributes[name]) if name in attributes else otherwise

    effective = amount(COST_EXACT, None)
    no_components: tuple[Component, ...] = ()
    return Cost(
        status=attributes[COST_STATUS],
        effective_atto=effective,
        list_atto=amount("llm_cost.cost.list", effective),
        contracted_atto=amount("llm_cost.cost.contracted", effective),
        computed_atto=amount("llm_cost.cost.computed", None),
        components=no_components,
        reason=str(attributes.get("llm_cost.cost.reason", "")),
        price_id=str(attributes.get("llm_cost.price.id", "")),
        price_version=str(attributes.get("llm_cost.price.version", "")),
        price_source=str(attributes.get("llm_cost.price.source", "")),
        currency=str(attributes.get("llm_cost.cost.currency", "USD")),
    )
