"""One span or record → a billable call, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.semconv import CALL_ID, COUNTED_BY, RECORD_EVENT, SCOPE
from otel_llm_cost.normalise.emitted import OWN, Billable, Emitted, Passed
from otel_llm_cost.normalise.own import OwnReader
from otel_llm_cost.normalise.shape import Shape
from otel_llm_cost.normalise.tables import Emitter, Tables, default_tables
from otel_llm_cost.normalise.usage import Counted, count
from otel_llm_cost.pricing.normalise.quantity import quantity

MAX_SHAPES = 4_096
"""Shapes remembered; more means that someone puts data into attribute names."""

_ENVIRONMENT_NAMES = ("deployment.environment.name", "deployment.environment")


class Normaliser:
    """Reads what emitters send. Keeps what it learned of their shapes; use one per thread."""

    def __init__(self, tables: Tables | None = None, self_hosted: Mapping[str, str] | None = None) -> None:
        """self_hosted: host → provider name to book its calls under."""
        self.tables = tables or default_tables()
        self.self_hosted = dict(self_hosted or {})
        self._own = OwnReader()
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._unknown = next(emitter for emitter in self.tables.emitters if emitter.id == "semconv")

    def read(self, emitted: Emitted) -> Billable | Passed:
        """What the span or record means. Raises ValueError (or the like) when its values make no sense."""
        attributes = emitted.attributes
        if COUNTED_BY in attributes:
            return Passed("counted by another span", emitted)
        if emitted.scope == SCOPE or (CALL_ID in attributes and emitted.name == RECORD_EVENT):
            return self._read_own(emitted)
        return self._read_foreign(emitted)

    def _read_own(self, emitted: Emitted) -> Billable | Passed:
        call = self._own.read(emitted.attributes, emitted.started_at, emitted.ended_at or None)
        resource = emitted.resource
        if "environment" not in call.tags:
            for name in _ENVIRONMENT_NAMES:
                if name in resource:
                    call.tags = {**call.tags, "environment": str(resource[name])}
                    break
        return Billable(call, OWN, OWN, emitted, str(resource.get("service.name", "")))

    def _read_foreign(self, emitted: Emitted) -> Billable | Passed:
        attributes = emitted.attributes
        shape = self._shape(emitted)
        emitter = shape.emitter
        if emitter.unpack and shape.packed:
            attributes = shape.unpacked(attributes)
            emitted.attributes = attributes
            shape = self._shape_of(emitter, emitted, attributes)
        operation = str(shape.value(attributes, "operation") or "")
        flags: list[str] = []
        totals = shape.totals(attributes, flags)
        failed = emitted.failed or shape.value(attributes, "error_type") is not None
        if (reason := shape.refusal(attributes, operation, bool(totals))) is not None:
            return Passed(reason, emitted)
        if emitted.is_record and not emitter.events and emitted.name not in self.tables.events:
            return Passed(f"event {emitted.name}", emitted)
        provider = self._provider(shape, attributes)
        call = Call(
            call_id="",
            provider=provider,
            operation=operation or shape.operation(attributes),
            request_model=shape.text(attributes, "request_model"),
            response_model=shape.text(attributes, "response_model"),
            response_id=shape.text(attributes, "response_id"),
            request_id=shape.text(attributes, "request_id"),
            stream=shape.value(attributes, "stream") is True,
            server_address=shape.text(attributes, "server_address"),
            server_port=_whole(shape.value(attributes, "server_port")),
            started_at=emitted.started_at,
            ended_at=emitted.ended_at or None,
            time_to_first_chunk_s=_number(shape.value(attributes, "time_to_first_chunk_s")),
            max_tokens=_whole(shape.value(attributes, "max_tokens")),
            conversation_id=shape.text(attributes, "conversation_id"),
            finish_reasons=_texts(shape.value(attributes, "finish_reasons")),
            status_code=_whole(shape.value(attributes, "status_code")),
            error_type=(shape.text(attributes, "error_type") or "_OTHER") if failed else "",
            terms=shape.terms(attributes, emitted.resource),
            reported_cost=_reported(shape, attributes, totals),
            tags=shape.tags(attributes, emitted.resource),
        )
        counted = Counted(call.usage, emitter.id)
        if totals:
            counted = count(
                totals,
                cache_inside=_holds(emitter.input_includes_cache, provider),
                reasoning_inside=_holds(emitter.output_includes_reasoning, provider),
                write_unit=self._write_unit(provider),
                rule=emitter.id,
            )
            call.usage = counted.usage
            call.usage_source = "provider"
        assumed = ("inclusion_assumed",) if shape.is_guess and totals.get("cache_read") else ()
        call.usage_flags = (*flags, *counted.flags, *assumed)
        return Billable(
            call, emitter.id, counted.rule, emitted, str(emitted.resource.get("service.name", ""))
        )

    def _shape(self, emitted: Emitted) -> Shape:
        sdk = emitted.resource.get("telemetry.sdk.name")
        key = (emitted.scope, emitted.is_record and emitted.name, sdk, *emitted.attributes)
        shape = self._shapes.get(key)
        if shape is None:
            emitter, is_guess = self._emitter(emitted)
            shape = self._remember(key, Shape(emitter, self.tables, tuple(emitted.attributes), is_guess))
        return shape

    def _shape_of(self, emitter: Emitter, emitted: Emitted, attributes: Mapping[str, Any]) -> Shape:
        key = (emitter.id, emitted.is_record and emitted.name, "unpacked", *attributes)
        return self._shapes.get(key) or self._remember(
            key, Shape(emitter, self.tables, tuple(attributes), False)
        )

    def _remember(self, key: tuple[Any, ...], shape: Shape) -> Shape:
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        self._shapes[key] = shape
        return shape

    def _emitter(self, emitted: Emitted) -> tuple[Emitter, bool]:
        """The row of emitters.yaml, and whether it is only the fallback."""
        for emitter in self.tables.emitters:
            if _matches(emitter, emitted):
                return emitter, False
        return self._unknown, True

    def _provider(self, shape: Shape, attributes: Mapping[str, Any]) -> str:
        tables = self.tables
        raw = shape.text(attributes, "provider") or shape.emitter.provider
        provider = tables.providers.get(raw.lower(), raw) if raw else ""
        if not provider:
            model = shape.text(attributes, "response_model") or shape.text(attributes, "request_model")
            provider = next((who for start, who in tables.models.items() if model.startswith(start)), "")
        host = shape.text(attributes, "server_address")
        if host in self.self_hosted:
            return self.self_hosted[host]
        if host and provider in tables.host_corrects:
            for suffix, owner in tables.hosts.items():
                if host.endswith(suffix):
                    return owner
        return provider

    def _write_unit(self, provider: str) -> str:
        defaults = self.tables.default_cache_write
        return defaults.get(provider, defaults[""])


def _matches(emitter: Emitter, emitted: Emitted) -> bool:
    if emitter.events:
        if not emitted.is_record or emitted.name not in emitter.events:
            return False
        return not emitter.scope or "." in emitted.name or emitted.scope.startswith(emitter.scope)
    if emitter.resource and any(emitted.resource.get(k) == v for k, v in emitter.resource.items()):
        return True
    if emitter.scope and emitted.scope.startswith(emitter.scope):
        return True
    return any(name in emitted.attributes for name in emitter.has)


def _holds(by_provider: Mapping[str, bool], provider: str) -> bool:
    return by_provider.get(provider, by_provider.get("default", True))


def _reported(shape: Shape, attributes: Mapping[str, Any], totals: Mapping[str, int]) -> str:
    """The emitter's own figure as text. Zero with tokens means that it did not know."""
    value = quantity(shape.reported_cost(attributes), "reported cost", [])
    if value is None or (value == 0 and any(totals.values())):
        return ""
    return f"{value:f}"


def _whole(value: Any) -> int | None:
    number = quantity(value, "", [])
    return None if number is None else int(number)


def _number(value: Any) -> float | None:
    number = quantity(value, "", [])
    return None if number is None else float(number)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()
