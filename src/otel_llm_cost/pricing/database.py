"""genai-prices as a database: its dated prices in our units. Nothing of its calculator is used.

Loading it costs about 130 ms of CPU, so it is imported at the first look-up and never with this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timezone
from fractions import Fraction
from typing import Any

from otel_llm_cost.pricing.calendar import DAY, instant, nanoseconds
from otel_llm_cost.pricing.facts import STANDARD, Tiers, UnitPrices, flat, price_at, scaled
from otel_llm_cost.pricing.keys import KEYS
from otel_llm_cost.pricing.match import database_ids

MODE_CONTEXTS: Mapping[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"speed": "fast"},
}
"""Our mode → the request context under which genai-prices keeps its variant."""

OTHER_CONTEXT = ("search_type", "route")
"""Terms that genai-prices has variants for and that are no mode."""


class Database:
    """Looks models up in the genai-prices snapshot that is installed (or was set as custom snapshot)."""

    def __init__(self) -> None:
        from genai_prices.data_snapshot import get_snapshot

        self._snapshot = get_snapshot()
        self._providers = {provider.id: provider for provider in self._snapshot.providers}
        self._entries: dict[tuple[str, str], Entry | None] = {}

    def find(self, provider: str, model: str) -> Entry | None:
        """The entry of a model; None when the database has none. Never a guess across providers."""
        key = (provider, model)
        if key not in self._entries:
            self._entries[key] = self._find(provider, model)
        return self._entries[key]

    def _find(self, provider: str, model: str) -> Entry | None:
        for name in database_ids(provider):
            found = self._providers.get(name)
            if found is not None:
                info = found.find_model(model, all_providers=self._snapshot.providers)
                if info is not None:
                    return Entry(info)
        return None


class Entry:
    """One model of the database."""

    def __init__(self, info: Any) -> None:
        self.id = str(info.id)
        prices = info.prices
        self._dated: list[tuple[Any, Any]] = (
            [(entry.constraint, entry.prices) for entry in prices]
            if isinstance(prices, list)
            else [(None, prices)]
        )
        self._variants: list[Any] = list(info.price_variants or ())

    def standard(self, moment: int) -> tuple[UnitPrices, str] | None:
        """The standard prices at an instant and the date they began; None before the first dated entry.

        The database itself would take its first entry for any earlier date.
        """
        when = instant(moment)
        for constraint, prices in reversed(self._dated):
            if constraint is None or constraint.active(when):
                start = getattr(constraint, "start_date", None)
                return _unit_prices(prices), start.isoformat() if start else ""
        return None

    def first_date(self) -> str:
        """The earliest date with a price, empty when the first entry has no date."""
        dates = [getattr(constraint, "start_date", None) for constraint, _ in self._dated]
        return "" if None in dates or not dates else min(date for date in dates if date).isoformat()

    def variant(self, moment: int, mode: str, terms: Mapping[str, str]) -> UnitPrices | None:
        """Prices of a mode, partial (other units keep the standard); None when it publishes none.

        Most variants carry the date on which they were verified, not the date they began. Before it, the
        variant's ratio to the standard price of that date holds for the standard price of the moment.
        """
        context = {**MODE_CONTEXTS.get(mode, {}), **{k: terms[k] for k in OTHER_CONTEXT if k in terms}}
        if not context or (mode != STANDARD and mode not in MODE_CONTEXTS):
            return None
        matching = [
            variant
            for variant in self._variants
            if all(context.get(key) == value for key, value in variant.when.items())
        ]
        if not matching:
            return None
        when = instant(moment)
        resolved: UnitPrices = {}
        active = [v for v in matching if v.constraint is None or v.constraint.active(when)]
        for variant in active:
            for unit, price in _unit_prices(variant.prices).items():
                resolved.setdefault(unit, price)
        return resolved if active else self._before_verified(moment, matching)

    def _before_verified(self, moment: int, variants: list[Any]) -> UnitPrices | None:
        dated = [v for v in variants if getattr(v.constraint, "start_date", None)]
        now = self.standard(moment)
        if not dated or now is None:
            return None
        variant = min(dated, key=lambda v: v.constraint.start_date)
        then = self.standard(nanoseconds(variant.constraint.start_date))
        assert then is not None
        resolved: UnitPrices = {}
        for unit, price in _unit_prices(variant.prices).items():
            if now[0].get(unit) == then[0].get(unit):
                resolved[unit] = price
            elif unit in now[0] and unit in then[0] and (base := price_at(then[0][unit], -1)):
                resolved[unit] = scaled(now[0][unit], price_at(price, -1) / base)
        return resolved

    def edges(self, moment: int) -> list[int]:
        """Instants around `moment` where a price may change."""
        found: list[int] = []
        for constraint in (*(c for c, _ in self._dated), *(v.constraint for v in self._variants)):
            start = getattr(constraint, "start_date", None)
            if start is not None:
                found.append(nanoseconds(start))
            elif constraint is not None:
                midnight = moment - moment % DAY
                found += [midnight, midnight + DAY]
                found += [midnight + _since_midnight(t) for t in (constraint.start_time, constraint.end_time)]
        return found


def _since_midnight(moment: time) -> int:
    zone = moment.tzinfo or timezone.utc
    return nanoseconds(datetime.combine(date(1970, 1, 2), moment, tzinfo=zone)) % DAY


def _unit_prices(prices: Any) -> UnitPrices:
    """A ModelPrice in our units. An entry without any price is a model that its provider gives away."""
    found: UnitPrices = {}
    for key, value in prices.__dict__.items():
        if value is None or key not in KEYS:
            continue
        tiers = _tiers(value)
        for unit in KEYS[key]:
            found.setdefault(unit, tiers)
    return found


def _tiers(value: Any) -> Tiers:
    base = getattr(value, "base", None)
    if base is None:
        return flat(Fraction(value))
    return ((-1, Fraction(base)), *((tier.start, Fraction(tier.price)) for tier in value.tiers))
