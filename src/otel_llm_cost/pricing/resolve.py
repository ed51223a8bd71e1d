"""Which rates hold for one model, under one set of terms, at one instant: all layers, then the rules.

Order: standard prices (genai-prices, then overlay, then overrides) → the mode's own published prices, else
its multiplier → rules (derived units, fees, same-rate modalities, regional multipliers, minimums) →
contract → commitments. Published rates of a mode win over computed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from otel_llm_cost.pricing import terms as wording
from otel_llm_cost.pricing.database import Database, Entry
from otel_llm_cost.pricing.facts import (
    STANDARD,
    Facts,
    PriceFact,
    RuleFact,
    Scope,
    UnitPrices,
    price_at,
    scaled,
)
from otel_llm_cost.pricing.keys import MODEL_UNITS
from otel_llm_cost.pricing.match import OPAQUE, model_name
from otel_llm_cost.pricing.rules import RULES, SCOPES, Effects, is_priced, zero
from otel_llm_cost.pricing.vector import FOREVER, Rate, Vector, rate

MODE_RULES = ("multiply", "covered", "at_list")
"""Rules that can answer a mode which has no published prices of its own."""


@dataclass(slots=True)
class Request:
    """What is asked: names as they are to be looked up, the terms, the instant in Unix nanoseconds."""

    provider: str
    model: str
    terms: Mapping[str, str]
    moment: int
    edges: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Prices:
    """Unit prices on their way through the layers, and where they came from."""

    units: UnitPrices = field(default_factory=dict)
    id: str = ""
    layer: str = ""
    own: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)


class Unpriceable(Exception):  # noqa: N818 - control flow inside this module, with the reason as its text
    """No price, and why."""


def resolve(request: Request, facts: Facts, database: Database, version: str) -> Vector:
    """The vector for a request; `unpriced` says why there is none."""
    try:
        return _resolve(request, facts, database, version)
    except Unpriceable as why:
        start, end = _validity(request)
        return Vector(
            {},
            valid_from=start,
            valid_until=end,
            unpriced=str(why),
            model=request.model,
            provider=request.provider,
            price_version=version,
        )


def _resolve(request: Request, facts: Facts, database: Database, version: str) -> Vector:
    name = _alias(request, facts)
    facts = facts.about(request.provider, name)
    entry = database.find(request.provider, name)
    about = _About(request, name)
    modes = wording.mode(request.provider, request.terms)
    if len(modes) > 1:
        raise Unpriceable(
            f"{' with '.join(modes)} has no published price for {request.provider}/{name}; add one with "
            f"`mode:` under `prices:` in the price overrides"
        )
    mode = modes[0] if modes else STANDARD
    public = [fact for fact in facts.prices if fact.layer == "overlay"]
    own = [fact for fact in facts.prices if fact.layer == "override"]
    listed, effects = _build(about, entry, mode, public, facts.rules)
    actual = listed
    if any(about.applies(fact.scope) for fact in own):
        actual, effects = _build(about, entry, mode, [*public, *own], facts.rules)
    if not is_priced(actual.units):
        raise Unpriceable(_unknown(request, name, entry))
    contracted = _contract(about, mode, actual, facts)
    effective = dict(contracted.units)
    if effects.covered:
        effective = {unit: zero() if unit in MODEL_UNITS else tiers for unit, tiers in effective.items()}
        effects.estimated = ""
    if not listed.units:
        listed = actual
    return _vector(request, name, listed, contracted, effective, effects, version)


@dataclass(slots=True)
class _About:
    """The request, and whether a fact that names its model applies; edges of every fact asked are kept."""

    request: Request
    name: str

    def applies(self, scope: Scope) -> bool:
        if not scope.fits(self.request.terms):
            return False
        self.request.edges += scope.edges(self.request.moment)
        return scope.holds(self.request.moment)

    def of(self, facts: Iterable[PriceFact], mode: str) -> list[PriceFact]:
        return [fact for fact in facts if (fact.scope.mode or STANDARD) == mode and self.applies(fact.scope)]


def _build(
    about: _About, entry: Entry | None, mode: str, facts: list[PriceFact], rules: list[RuleFact]
) -> tuple[Prices, Effects]:
    request = about.request
    prices = Prices()
    if entry is not None:
        request.edges += entry.edges(request.moment)
        standard = entry.standard(request.moment)
        if standard is not None and standard[0]:
            prices.units = dict(standard[0])
            prices.id = f"{request.provider}/{entry.id}" + (f"@{standard[1]}" if standard[1] else "")
            prices.layer = "genai-prices"
            if variant := entry.variant(request.moment, STANDARD, request.terms):
                prices.units |= variant
    for fact in about.of(facts, STANDARD):
        _put(prices, fact, request.provider)
    effects = Effects()
    if mode != STANDARD and is_priced(prices.units):
        _put_mode(about, entry, mode, prices, facts, rules, effects)
    for rule in rules:
        if rule.scope.mode is None and about.applies(rule.scope):
            prices.units = RULES[rule.rule](prices.units, rule.arguments, effects)
    return prices, effects


def _put(prices: Prices, fact: PriceFact, provider: str) -> None:
    prices.units |= fact.prices
    if is_priced(fact.prices):
        prices.id, prices.layer = f"{provider}/{fact.id}", fact.layer
        prices.doubts = []  # of a price that this one replaces
    prices.doubts += [fact.doubt] if fact.doubt else []
    if fact.layer == "override" and not fact.discountable:
        prices.own |= fact.prices.keys()


def _put_mode(
    about: _About,
    entry: Entry | None,
    mode: str,
    prices: Prices,
    facts: list[PriceFact],
    rules: list[RuleFact],
    effects: Effects,
) -> None:
    """Prices of the mode: published ones win, else the rule that says what the mode costs."""
    request = about.request
    variant = entry.variant(request.moment, mode, request.terms) if entry is not None else None
    published = about.of(facts, mode)
    if variant is None and not published:
        for rule in rules:
            if rule.scope.mode == mode and rule.rule in MODE_RULES and about.applies(rule.scope):
                prices.units = RULES[rule.rule](prices.units, rule.arguments, effects)
                prices.id += f"+{mode}"
                return
        raise Unpriceable(
            f"no price for {mode} of {request.provider}/{about.name}; add one with `mode: {mode}` under "
            "`prices:` in the price overrides"
        )
    prices.units |= variant or {}
    prices.id += f"+{mode}"
    for fact in published:
        _put(prices, fact, request.provider)


def _contract(about: _About, mode: str, prices: Prices, facts: Facts) -> Prices:
    """What you pay: fixed rates of a contract replace, discounts multiply; your overrides are final."""
    result = Prices(dict(prices.units), prices.id, prices.layer, prices.own, prices.doubts)
    fixed: set[str] = set(prices.own)
    for fact in facts.prices:
        if fact.layer != "contract" or (fact.scope.mode or mode) != mode or not about.applies(fact.scope):
            continue
        agreed = {unit: tiers for unit, tiers in fact.prices.items() if unit not in prices.own}
        result.units |= agreed
        fixed |= agreed.keys()
        result.id, result.layer = f"{about.request.provider}/{fact.id}", "contract"
    for discount in facts.discounts:
        if not about.applies(discount.scope):
            continue
        units = SCOPES[discount.on] - fixed
        result.units = {
            unit: scaled(tiers, discount.factor) if unit in units else tiers
            for unit, tiers in result.units.items()
        }
        if units & result.units.keys():
            result.layer = "contract"
    return result


def _alias(request: Request, facts: Facts) -> str:
    name = model_name(request.model)
    about = _About(request, name)
    for alias in facts.about(request.provider, name).aliases:
        if about.applies(alias.scope):
            return alias.model
    return name


def _unknown(request: Request, name: str, entry: Entry | None) -> str:
    if not request.provider:
        return "the call names no provider, so its model has no price"
    if not name:
        return f"the call to {request.provider} names no model, so there is no price to take"
    if OPAQUE.match(request.model.lower()):
        return f"{request.model} hides its model; name it under providers.bedrock.profiles in the config"
    if entry is not None and (first := entry.first_date()):
        return f"{request.provider}/{name} has prices from {first} only; add the earlier ones under `prices:`"
    hint = " (or map the deployment under providers.azure.deployments)" if "azure" in request.provider else ""
    return (
        f"no price for model {name} of {request.provider}; add it under `prices:` in the price overrides: "
        f"{{provider: {request.provider}, model: {name}, input_mtok: …, output_mtok: …}}{hint}"
    )


def _validity(request: Request) -> tuple[int, int]:
    moment = request.moment
    start = max((edge for edge in request.edges if 0 < edge <= moment), default=1)  # 0 is "no start time"
    return start, min((edge for edge in request.edges if edge > moment), default=FOREVER)


def _vector(
    request: Request,
    name: str,
    listed: Prices,
    contracted: Prices,
    effective: UnitPrices,
    effects: Effects,
    version: str,
) -> Vector:
    thresholds = sorted({start for tiers in effective.values() for start, _ in tiers if start >= 0})
    thresholds += [
        start
        for prices in (listed.units, contracted.units)
        for tiers in prices.values()
        for start, _ in tiers
        if start >= 0 and start not in thresholds
    ]
    plain = contracted.units == listed.units == effective
    start, end = _validity(request)

    def rates(threshold: int) -> dict[str, Rate]:
        return {
            unit: _rate(unit, threshold, tiers, listed.units, contracted.units, plain)
            for unit, tiers in effective.items()
        }

    return Vector(
        base=rates(-1),
        tiers=tuple((threshold, rates(threshold)) for threshold in sorted(set(thresholds), reverse=True)),
        valid_from=start,
        valid_until=end,
        plain=plain,
        estimated=effects.estimated,
        minimums=effects.minimums or None,
        per_request="requests" in effective,
        model=name,
        provider=request.provider,
        price_id=contracted.id,
        price_version=version,
        price_source=contracted.layer,
        doubt="; ".join(dict.fromkeys(contracted.doubts)),
    )


def _rate(
    unit: str,
    threshold: int,
    tiers: Iterable[tuple[int, Fraction]],
    listed: UnitPrices,
    contracted: UnitPrices,
    plain: bool,
) -> Rate:
    price = price_at(tuple(tiers), threshold)
    if plain:
        return rate(unit, price)
    public = price_at(listed[unit], threshold) if unit in listed else None
    agreed = price_at(contracted[unit], threshold) if unit in contracted else None
    return rate(unit, price, public, agreed)


Resolver = Callable[[Request], Vector]
