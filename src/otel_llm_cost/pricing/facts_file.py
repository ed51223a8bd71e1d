"""Facts from a parsed file, each wrong entry refused with its file, line, key and what was expected.

The same reader serves our overlay, a user's price overrides and contracts, so all have one format:

    prices:
      - provider: openai
        models: [gpt-6.2-sol]
        from: 2026-11-18
        input_mtok: 2
        output_mtok: 10
        above: {272000: {input_mtok: 4, output_mtok: 15}}
    contract:
      - {provider: openai, scope: tokens, discount: 0.15, from: 2026-01-01, until: 2027-01-01}
      - {provider: anthropic, models: [claude-opus-5*], output_mtok: 18}
    providers:
      azure: {deployments: {my-resource/my-deployment: {model: gpt-4o, type: DataZoneStandard, zone: eu}}}
      bedrock: {profiles: {"arn:aws:bedrock:…": {model: us.anthropic.claude-sonnet-4-5-20250929-v1:0}}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import time
from typing import Any

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.core.units import UNIT
from otel_llm_cost.pricing.calendar import Windows, instant
from otel_llm_cost.pricing.facts import (
    STANDARD,
    Alias,
    Discount,
    Facts,
    PriceFact,
    RuleFact,
    Scope,
    Tiers,
    UnitPrices,
)
from otel_llm_cost.pricing.fields import Place, calendar, did_you_mean, mapping, moment, number, price, texts
from otel_llm_cost.pricing.keys import KEYS
from otel_llm_cost.pricing.match import provider_name
from otel_llm_cost.pricing.rules import RULES, SCOPES
from otel_llm_cost.pricing.suspicion import suspect
from otel_llm_cost.pricing.vector import FOREVER

SCOPE_KEYS = ("provider", "models", "model", "mode", "when", "from", "until", "during")
ORIGIN_KEYS = ("source", "checked", "read_from", "confidence", "note")
"""Where a fact is from. source: who publishes it. checked: when someone looked. read_from: at what, where
that was not the source itself. confidence: `low` where one second-hand text is all there is."""
CONFIDENCE = ("high", "medium", "low")
ENTRY_KEYS = (*SCOPE_KEYS, "above", *ORIGIN_KEYS, "discountable", "confirm_unit")
CONTRACT_KEYS = ("scope", "discount")
RULE_KEYS = ("rule", "factor", "scope", "unit", "units", "of", "least", "by", "because")
OWN_SECTIONS = ("prices", "contract", "providers", "calendars")
SECTIONS = (*OWN_SECTIONS, "rules", "aliases", "provider", "read_from")
"""Sections of a user's file, and those of the overlay."""
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "multiply": ("factor",),
    "derive": ("unit", "of", "factor"),
    "same_rate": ("units",),
    "minimum": ("unit", "least"),
    "covered": ("by",),
    "at_list": ("because",),
}
"""What each rule has to be given."""


def parse(values: Mapping[str, Any], place: Place, layer: str) -> Facts:
    """All facts of one parsed file. Raises ConfigError for the first wrong entry."""
    sections = SECTIONS if layer == "overlay" else OWN_SECTIONS
    for section in values:
        if section not in sections:
            raise place.at(section).wrong(f"not a known section{did_you_mean(section, sections)}")
    calendars = {
        name: calendar(entry, place.at("calendars", name))
        for name, entry in mapping(values.get("calendars"), place.at("calendars")).items()
    }
    facts = Facts()
    default = values.get("provider")
    for section, read in _SECTIONS.items():
        entries = values.get(section) or ()
        where = place.at(section)
        if not isinstance(entries, (list, tuple)):
            raise where.wrong("expected a list of entries, each starting with `- `")
        for index, entry in enumerate(entries):
            here = where.at(index)
            if not isinstance(entry, Mapping):
                raise here.wrong("expected an entry of `key: value` pairs")
            read(facts, {"provider": default, **entry} if default else entry, here, layer, calendars)
    facts.deployments = _operator_maps(values.get("providers"), place.at("providers"))
    _refuse_overlaps(facts)
    return facts


# entries


def _read_price(
    facts: Facts, entry: Mapping[str, Any], place: Place, layer: str, calendars: Mapping[str, Windows]
) -> None:
    _known(entry, (*ENTRY_KEYS, *KEYS), place)
    scope = _scope(entry, place, calendars)
    prices = _prices(entry, place, entry.get("above"))
    if not prices:
        raise place.wrong(f"expected at least one price, such as input_mtok; the keys are {', '.join(KEYS)}")
    if not entry.get("confirm_unit"):
        for key, why in suspect(prices):
            raise place.at(key).wrong(why)
    facts.prices.append(
        PriceFact(
            scope,
            prices,
            layer,
            _entry_id(entry, scope),
            str(place),
            bool(entry.get("discountable", False)),
            bool(entry.get("confirm_unit", False)),
            _doubt(entry, place),
        )
    )


def _doubt(entry: Mapping[str, Any], place: Place) -> str:
    """What a reader of a cost must know of the price behind it, empty where it is well founded."""
    confidence = entry.get("confidence", "medium")
    if confidence not in CONFIDENCE:
        raise place.at("confidence").wrong(f"expected one of {', '.join(CONFIDENCE)}, got {confidence!r}")
    if confidence != "low":
        return ""
    origin = entry.get("note") or (f"read from {entry['read_from']} only" if "read_from" in entry else "")
    return f"the price is not well confirmed{f': {origin}' if origin else ''}"


def _read_contract(
    facts: Facts, entry: Mapping[str, Any], place: Place, _: str, calendars: Mapping[str, Windows]
) -> None:
    _known(entry, (*ENTRY_KEYS, *CONTRACT_KEYS, *KEYS), place)
    if "discount" not in entry:
        _read_price(facts, {k: v for k, v in entry.items() if k != "scope"}, place, "contract", calendars)
        return
    scope = _scope(entry, place, calendars, need_models=False)
    share = number(entry["discount"], place.at("discount"))
    if not 0 <= share < 1:
        raise place.at("discount").wrong(
            f"expected a share between 0 and 1 (0.15 is 15 %), got {entry['discount']}"
        )
    on = str(entry.get("scope", "all"))
    if on not in SCOPES:
        raise place.at("scope").wrong(f"expected one of {', '.join(SCOPES)}, got {on!r}")
    facts.discounts.append(Discount(scope, on, 1 - share, _entry_id(entry, scope), str(place)))


def _read_rule(
    facts: Facts, entry: Mapping[str, Any], place: Place, _: str, calendars: Mapping[str, Windows]
) -> None:
    _known(entry, (*ENTRY_KEYS, *RULE_KEYS, *KEYS), place)
    name = str(entry.get("rule"))
    if name not in RULES:
        raise place.at("rule").wrong(f"expected one of {', '.join(RULES)}, got {name!r}")
    for key in ARGUMENTS.get(name, ()):
        if key not in entry:
            raise place.wrong(f"rule {name} needs `{key}:`")
    arguments: dict[str, object] = {
        key: number(entry[key], place.at(key)) if key == "factor" else entry[key]
        for key in RULE_KEYS
        if key in entry and key != "rule"
    }
    named = arguments.get("units", ())
    pairs = named.items() if isinstance(named, Mapping) else ((unit, unit) for unit in texts(named))
    for unit in (u for pair in pairs for u in pair):
        if unit not in UNIT:
            raise place.at("units").wrong(f"{unit!r} is no unit; the units are in core/units.py")
    if name == "add":
        arguments["prices"] = _prices(entry, place, None)
    scope = _scope(entry, place, calendars, need_models=False)
    facts.rules.append(RuleFact(scope, name, arguments, str(entry.get("source", ""))))


def _read_alias(
    facts: Facts, entry: Mapping[str, Any], place: Place, _: str, calendars: Mapping[str, Windows]
) -> None:
    _known(entry, (*ENTRY_KEYS, "means"), place)
    if not isinstance(entry.get("means"), str):
        raise place.at("means").wrong("expected the model that the name meant")
    facts.aliases.append(Alias(_scope(entry, place, calendars), entry["means"]))


Read = Callable[[Facts, Mapping[str, Any], Place, str, Mapping[str, Windows]], None]
_SECTIONS: Mapping[str, Read] = {
    "prices": _read_price,
    "contract": _read_contract,
    "rules": _read_rule,
    "aliases": _read_alias,
}


def _entry_id(entry: Mapping[str, Any], scope: Scope) -> str:
    name = scope.models[0]
    if scope.start:
        moment = instant(scope.start)
        name += f"@{moment:%Y-%m-%d}" if moment.time() == time() else f"@{moment:%Y-%m-%dT%H:%MZ}"
    if scope.mode and scope.mode != STANDARD:
        name += f"+{scope.mode}"
    return f"{name}+{entry['during']}" if scope.during else name


# pieces of an entry


def _scope(
    entry: Mapping[str, Any], place: Place, calendars: Mapping[str, Windows], *, need_models: bool = True
) -> Scope:
    providers = texts(entry.get("provider"))
    if not providers:
        raise place.at("provider").wrong("expected the provider, such as `provider: openai`")
    models = texts(entry.get("models", entry.get("model")))
    if not models:
        if need_models:
            raise place.at("models").wrong("expected the model, such as `model: gpt-6.2-sol`")
        models = ("*",)
    start = moment(entry.get("from"), place.at("from"), 0)
    end = moment(entry.get("until"), place.at("until"), FOREVER)
    if end <= start:
        raise place.at("until").wrong("expected a time after `from`")
    during = entry.get("during")
    if during is not None and during not in calendars:
        raise place.at("during").wrong(f"no calendar {during!r}; define it under `calendars:`")
    when = {
        str(term): tuple(str(value).lower() for value in (values if isinstance(values, list) else [values]))
        for term, values in mapping(entry.get("when"), place.at("when")).items()
    }
    return Scope(
        frozenset(provider_name(name) for name in providers),
        tuple(name.lower() for name in models),
        str(entry["mode"]) if entry.get("mode") else None,
        when,
        start,
        end,
        calendars[during] if during is not None else None,
    )


def _prices(entry: Mapping[str, Any], place: Place, above: Any) -> UnitPrices:
    prices: UnitPrices = {}
    for key, value in entry.items():
        if key in KEYS:
            for unit in KEYS[key]:
                if unit not in prices or key != "cache_write_mtok":
                    prices[unit] = ((-1, price(value, place.at(key))),)
    thresholds: dict[int, Mapping[str, Any]] = {}
    for start, rates in mapping(above, place.at("above")).items():
        if not str(start).isdigit():
            raise place.at("above", start).wrong("expected a number of prompt tokens")
        thresholds[int(start)] = mapping(rates, place.at("above", start))
    for threshold in sorted(thresholds):
        for key, value in thresholds[threshold].items():
            if key not in KEYS:
                raise place.at("above", str(threshold), key).wrong(
                    f"not a price key{did_you_mean(key, KEYS)}"
                )
            for unit in KEYS[key]:
                step = (threshold, price(value, place.at("above", str(threshold), key)))
                base: Tiers = prices.get(unit, ((-1, step[1]),))
                prices[unit] = (*base, step)
    return prices


def _operator_maps(values: Any, place: Place) -> dict[str, dict[str, dict[str, str]]]:
    """`providers.azure.deployments`, `providers.bedrock.profiles`: what an opaque name stands for."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for provider, sections in mapping(values, place).items():
        maps = found.setdefault(provider_name(str(provider)), {})
        for section in mapping(sections, place.at(provider)).values():
            for name, target in mapping(section, place.at(provider)).items():
                if isinstance(target, str):
                    target = {"model": target}
                if not isinstance(target, Mapping):
                    raise place.at(provider).wrong(f"{name}: expected a model, or `{{model: …, type: …}}`")
                maps[str(name).lower()] = {str(key): str(value) for key, value in target.items()}
    return found


# checks


def _known(entry: Mapping[str, Any], keys: Iterable[str], place: Place) -> None:
    allowed = tuple(keys)
    for key in entry:
        if key not in allowed:
            raise place.at(key).wrong(f"not a known key{did_you_mean(str(key), allowed)}")


def _refuse_overlaps(facts: Facts) -> None:
    """Two entries for the same thing at the same time have no right answer."""
    for group in (facts.prices, facts.discounts):
        seen: dict[tuple[object, ...], list[PriceFact | Discount]] = {}
        for fact in group:
            scope = fact.scope
            if scope.during is not None:
                continue  # a window is meant to lie on top of the price around it
            subject = tuple(sorted(fact.prices)) if isinstance(fact, PriceFact) else (fact.on,)
            when = tuple(sorted(scope.when.items()))
            for provider in scope.providers:
                for model in scope.models:
                    others = seen.setdefault((provider, model, scope.mode or STANDARD, when), [])
                    for other in others:
                        mine, theirs = scope, other.scope
                        same = set(subject) & set(
                            other.prices if isinstance(other, PriceFact) else (other.on,)
                        )
                        if same and mine.start < theirs.end and theirs.start < mine.end:
                            raise ConfigError(
                                f"{other.place} and {fact.place} both price {model} of {provider} "
                                "at the same time; give one of them an `until:`"
                            )
                    others.append(fact)
