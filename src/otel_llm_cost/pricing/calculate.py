"""Usage and rates → cost: the only place where money is multiplied.

Each line is rounded half-even once, at 1e-18 USD; lines are summed and never rounded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Component, Cost, Status, from_text
from otel_llm_cost.core.units import INPUT_UNITS, UNIT
from otel_llm_cost.core.usage import Quantity, Usage
from otel_llm_cost.pricing.keys import KEY_OF_UNIT
from otel_llm_cost.pricing.normalise.quantity import contradicts
from otel_llm_cost.pricing.normalise.reading import IMAGE_MODEL_ASSUMED, OUTPUT_MISSING
from otel_llm_cost.pricing.vector import Rate, Vector, atto, round_half_even

if TYPE_CHECKING:
    from otel_llm_cost.pricing.price_list import PriceList

DRIFT = Decimal("0.005")
"""Reported and computed cost may differ by this share before the reason says so."""

_component = tuple.__new__  # a Component without the argument handling of its constructor
_NOTES = frozenset(name for name, unit in UNIT.items() if unit.family == "note")


def price(call: Call, price_list: PriceList) -> Cost:
    """What the call is worth at the prices in force when it started.

    Pure: no clock, no network, no environment. Never raises for odd data: what has no price is `unpriced`
    with a reason that says what to add, what has some is `partial`, a lower bound.
    """
    vector = price_list.vector(call)
    if (
        vector.plain
        and not vector.unpriced
        and call.usage
        and not (call.parts or call.reported_cost or call.hinted_cost or call.usage_flags)
        and call.usage_source != "estimated"
        and not vector.estimated
    ):
        components, total, missing = lines(call.usage, vector)
        if not missing:
            return Cost(
                "priced",
                total,
                total,
                total,
                None,
                components,
                vector.doubt,
                vector.price_id,
                vector.price_version,
                vector.price_source,
            )
    return _price_with_care(call, vector, price_list)


def lines(
    usage: Usage, vector: Vector, model: str | None = None
) -> tuple[tuple[Component, ...], int, list[str]]:
    """The arithmetic of one usage: components, their sum in atto-dollars, and units that have no rate."""
    rates = vector.base
    if vector.tiers:
        prompt: Quantity = 0
        for unit, quantity in usage.items():
            if unit in INPUT_UNITS:
                prompt += quantity
        for threshold, tier in vector.tiers:
            if prompt > threshold:
                rates = tier
                break
    components: list[Component] = []
    missing: list[str] = []
    total = 0
    for unit, quantity in usage.items():
        if not quantity:
            continue
        rate = rates.get(unit)
        if rate is None:
            if unit not in _NOTES:
                missing.append(unit)
            continue
        if vector.minimums is not None and quantity < vector.minimums.get(unit, 0):
            quantity = vector.minimums[unit]
        numerator, denominator, unit_price, per, _, _ = rate
        if denominator == 1 and type(quantity) is int:
            cost = quantity * numerator
        else:
            cost = atto(quantity, numerator, denominator)
        total += cost
        components.append(_component(Component, (unit, quantity, unit_price, per, cost, model)))
    if vector.per_request and "requests" not in usage:
        fee = rates["requests"]
        cost = atto(1, fee.numerator, fee.denominator)
        total += cost
        components.append(Component("requests", 1, fee.price, fee.per, cost, model))
    return tuple(components), total, missing


def _price_with_care(call: Call, vector: Vector, price_list: PriceList) -> Cost:
    """The same with everything that is rare: parts, contracts, reported money, estimates, gaps."""
    computed = _computed(call, vector, price_list)
    text = call.reported_cost
    who = "the provider reported"
    if not text and call.hinted_cost and price_list.trusts(call.server_address):
        text, who = call.hinted_cost, "the trusted gateway told"
    if not text:
        return computed
    try:
        reported = from_text(text)
    except InvalidOperation:
        return computed
    ours = computed.effective_atto
    reason = computed.reason
    if ours is not None and abs(ours - reported) > DRIFT * reported:
        reason = _join(f"{who} {text} USD, computed {computed.exact} USD", reason)
    return Cost(
        status="reported",
        effective_atto=reported,
        list_atto=computed.list_atto if computed.list_atto is not None else reported,
        contracted_atto=reported,
        computed_atto=ours,
        components=computed.components,
        reason=reason,
        price_id=computed.price_id,
        price_version=computed.price_version,
        price_source="reported",
    )


def _computed(call: Call, vector: Vector, price_list: PriceList) -> Cost:
    if not call.usage and not call.parts:
        return Cost.unknown("the provider sent no usage, so nothing can be multiplied")
    components: list[Component] = []
    missing: list[str] = []
    reasons: list[str] = []
    effective = listed = contracted = 0
    pieces: list[tuple[Usage, Vector, str | None]] = [(call.usage, vector, None)]
    pieces += [(part.usage, price_list.vector(call, part.model), part.model) for part in call.parts]
    for usage, rates, model in pieces:
        if not usage:
            continue
        if rates.unpriced:
            if any(quantity for unit, quantity in usage.items() if unit not in _NOTES):
                missing.append(rates.model)
                reasons.append(rates.unpriced)
            continue
        these, total, gaps = lines(usage, rates, model)
        components += these
        effective += total
        listed += total if rates.plain else _at(these, usage, rates, "listed")
        contracted += total if rates.plain else _at(these, usage, rates, "contracted")
        if gaps:
            missing += gaps
            reasons.append(_no_rate(gaps, rates))
        reasons += [text for text in (rates.estimated, rates.doubt) if text]
    reasons += [sentence for flag in call.usage_flags if (sentence := _explain(flag))]
    if missing and not effective:
        return Cost.unknown("; ".join(dict.fromkeys(reasons)))
    status: Status = "priced"
    if missing or any(flag == OUTPUT_MISSING or contradicts(flag) for flag in call.usage_flags):
        status = "partial"
    elif call.usage_source == "estimated" or any(rates.estimated for _, rates, _ in pieces):
        status = "estimated"
    return Cost(
        status=status,
        effective_atto=effective,
        list_atto=listed,
        contracted_atto=contracted,
        components=tuple(components),
        reason="; ".join(dict.fromkeys(reasons)),
        price_id=vector.price_id,
        price_version=vector.price_version,
        price_source=vector.price_source,
    )


def _at(components: tuple[Component, ...], usage: Usage, vector: Vector, which: str) -> int:
    """The sum of the same lines at list or contracted rates, rounded per line like them."""
    rates: Mapping[str, Rate] = vector.base
    for threshold, tier in vector.tiers:
        if usage.input_tokens > threshold:
            rates = tier
            break
    total = 0
    for component in components:
        each = getattr(rates[component.unit], which)
        if each is None:
            total += component.atto
        else:
            top, bottom = _ratio(component.quantity)
            total += round_half_even(top * each.numerator, bottom * each.denominator)
    return total


def _ratio(quantity: Quantity) -> tuple[int, int]:
    return quantity.as_integer_ratio()


def _no_rate(units: list[str], vector: Vector) -> str:
    keys = ", ".join(dict.fromkeys(KEY_OF_UNIT[unit] for unit in units))
    return (
        f"no price for {', '.join(units)} of {vector.provider}/{vector.model}; "
        f"add {keys} for this model under `prices:` in the price overrides"
    )


FLAGS = {
    OUTPUT_MISSING: "the stream ended before its output count was sent; only the input side is priced",
    IMAGE_MODEL_ASSUMED: "the image tool's model is not named; its default was assumed",
}
"""What a usage flag means for the cost, in words."""


def _explain(flag: str) -> str:
    return FLAGS.get(flag) or (f"the usage contradicts itself: {flag}" if contradicts(flag) else "")


def _join(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)
