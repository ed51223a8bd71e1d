"""Cases to price from a file: one JSON object per line, one array, or `{"cases": […]}`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.pricing import PriceList, normalise, price
from otel_llm_cost.pricing.calendar import nanoseconds
from otel_llm_cost.pricing.match import provider_name
from otel_llm_cost.pricing.normalise.context import host_of

MAPS = ("deployments", "profiles", "inference_profiles", "application_profiles")
"""Keys of a case's context that map opaque names to models, like `providers:` in the config."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A case that could not be read: its line (or place in an array) and why."""

    line: int
    reason: str


def read_cases(text: str) -> Iterator[tuple[int, Any] | Unreadable]:
    """(line or place, case) for each case in the text; a wrong one is Unreadable, the others still come."""
    try:
        whole = _parse(text)
    except (ValueError, RecursionError) as error:
        yield from _by_line(text, error)
        return
    if isinstance(whole, Mapping) and isinstance(whole.get("cases"), list):
        whole = whole["cases"]
    yield from enumerate(whole, 1) if isinstance(whole, list) else [(1, whole)]


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _by_line(text: str, error: Exception) -> Iterator[tuple[int, Any] | Unreadable]:
    if text.lstrip()[:1] == "[" or '"cases"' in text.lstrip()[:40]:
        yield Unreadable(getattr(error, "lineno", 1), f"not JSON: {error}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield number, _parse(line)
        except (ValueError, RecursionError) as why:
            yield Unreadable(number, f"not JSON: {why}")


def call_of(case: Any, now: datetime) -> Call:
    """The call that a case describes. Raises ValueError with what is missing or wrong."""
    if not isinstance(case, Mapping):
        raise ValueError("expected an object with provider, model, api, timestamp, payload")
    for key in ("provider", "payload"):
        if case.get(key) in (None, ""):
            raise ValueError(f"expected {key!r}")
    if not isinstance(case["payload"], Mapping):
        raise ValueError("expected 'payload' to be an object, as the provider sent it")
    context = case.get("request_context") or {}
    if not isinstance(context, Mapping):
        raise ValueError("expected 'request_context' to be an object")
    provider = provider_name(str(case["provider"]))
    payload = case["payload"]
    reading = normalise.read(provider, str(case.get("api") or ""), payload, context)
    host = next((context[key] for key in ("base_url", "host", "server_address") if context.get(key)), "")
    return Call(
        provider=provider,
        api=str(case.get("api") or ""),
        request_model=str(context.get("request_model") or case.get("model") or ""),
        response_model=reading.response_model,
        response_id=reading.response_id,
        deployment=str(context.get("deployment") or ""),
        server_address=host_of(str(host)) if host else "",
        started_at=nanoseconds(_moment(case.get("timestamp"), now)),
        usage=reading.usage,
        usage_source=reading.usage_source,
        usage_flags=reading.flags,
        terms=reading.terms,
        parts=reading.parts,
        reported_cost=reading.reported_cost,
    )


def _moment(value: Any, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return datetime.fromtimestamp(int(value), timezone.utc)
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected 'timestamp' like 2026-11-20T12:00:00Z, got {value!r}") from None


def price_case(case: Mapping[str, Any], prices: PriceList, now: datetime) -> tuple[Call, Cost]:
    """The call of a case and its cost, with the contract and mappings that its context may hold."""
    call = call_of(case, now)
    own = _own_facts(call.provider, case.get("request_context") or {})
    if own:
        try:
            prices = _with_own(prices, own)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    return call, price(call, prices)


def _own_facts(provider: str, context: Mapping[str, Any]) -> str:
    """The context's own prices as JSON, empty for most cases."""
    values: dict[str, Any] = {}
    for key, section in (("contract", "contract"), ("prices", "prices"), ("overrides", "prices")):
        given = context.get(key)
        if given:
            entries = given if isinstance(given, list) else [given]
            values[section] = [{"provider": provider, **entry} for entry in entries]
    maps = {key: context[key] for key in MAPS if isinstance(context.get(key), Mapping)}
    if maps:
        values["providers"] = {provider: maps}
    if isinstance(context.get("providers"), Mapping):
        values["providers"] = context["providers"]
    return json.dumps(values, default=str, sort_keys=True) if values else ""


@lru_cache(maxsize=256)
def _with_own(prices: PriceList, own: str) -> PriceList:
    return prices.plus(json.loads(own), "request_context")
