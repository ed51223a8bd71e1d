"""Price facts: what our overlay, a user's overrides and a contract are made of, once read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from otel_llm_cost.pricing.calendar import Windows
from otel_llm_cost.pricing.vector import FOREVER

Tiers = tuple[tuple[int, Fraction], ...]
"""(threshold, price) ascending, the first at -1: the last whose threshold the prompt exceeds holds."""
UnitPrices = dict[str, Tiers]
"""Unit → dollars per published quantity, by prompt size."""

MOST_MODELS = 10_000
EVERY_PROVIDER = "*"
STANDARD = "standard"
"""The mode of an ordinary call; others are batch, flex, priority, fast, ultrafast …"""

LAYERS = ("genai-prices", "overlay", "contract", "override")
"""Where a price may come from, the weakest first."""


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    """A model pattern: `*` is anything; dated snapshots of a plain name (`-2026-03-05`) match too."""
    body = ".*".join(re.escape(piece) for piece in glob.lower().split("*"))
    return re.compile(rf"{body}(?:[-@](?:\d{{4}}-\d\d-\d\d|\d{{8}}))?")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls a fact is about, and when it holds (Unix nanoseconds, half-open).

    when: terms that must hold; a value `!x` means present and not x, `*` present, several values any of them.
    """

    providers: frozenset[str]
    models: tuple[str, ...] = ("*",)
    mode: str | None = None
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: int = 0
    end: int = FOREVER
    during: Windows | None = None

    def names(self, provider: str, model: str) -> bool:
        """Whether the fact is about this model at all."""
        if provider not in self.providers and EVERY_PROVIDER not in self.providers:
            return False
        return any(_pattern(glob).fullmatch(model) for glob in self.models)

    def holds(self, moment: int) -> bool:
        """Whether it is in force at an instant."""
        return self.start <= moment < self.end and (self.during is None or self.during.holds(moment))

    def edges(self, moment: int) -> list[int]:
        """Instants around `moment` where that may change."""
        found = [self.start, self.end]
        if self.during is not None and self.start <= moment < self.end:
            found += self.during.edges(moment)
        return found

    def fits(self, terms: Mapping[str, str]) -> bool:
        """Whether the call's terms meet the conditions."""
        return all(_meets(terms.get(term), values) for term, values in self.when.items())


def _meets(actual: str | None, wanted: tuple[str, ...]) -> bool:
    if actual is None:
        return False
    return any(actual != value[1:] if value.startswith("!") else value in ("*", actual) for value in wanted)


@dataclass(frozen=True, slots=True)
class PriceFact:
    """Published prices of models in one mode; units it does not mention keep the price from below.

    place: the file and line, for error texts. discountable: for an override, that a contract's discount still
    applies to it. confirmed: that its units were checked, however odd they look. doubt: what is unsure.
    """

    scope: Scope
    prices: UnitPrices
    layer: str
    id: str
    place: str
    discountable: bool = False
    confirmed: bool = False
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class RuleFact:
    """A rule of `rules.RULES` with its arguments, and the calls it is for."""

    scope: Scope
    rule: str
    arguments: Mapping[str, object]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A model name that meant another model for a time (`…-latest`)."""

    scope: Scope
    model: str


@dataclass(frozen=True, slots=True)
class Discount:
    """What a contract takes off, on tokens, tools (fees) or all."""

    scope: Scope
    on: str
    factor: Fraction
    id: str
    place: str


@dataclass(slots=True)
class Facts:
    """All facts of one file or of several."""

    prices: list[PriceFact] = field(default_factory=list)
    rules: list[RuleFact] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    deployments: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    _about: dict[tuple[str, str], Facts] = field(default_factory=dict, repr=False, compare=False)

    def about(self, provider: str, model: str) -> Facts:
        """The facts that name a model; remembered, since matching every pattern is most of a look-up."""
        found = self._about.get((provider, model))
        if found is None:
            if len(self._about) >= MOST_MODELS:
                self._about.clear()
            found = self._about[provider, model] = Facts(
                [fact for fact in self.prices if fact.scope.names(provider, model)],
                [fact for fact in self.rules if fact.scope.names(provider, model)],
                [fact for fact in self.aliases if fact.scope.names(provider, model)],
                [fact for fact in self.discounts if fact.scope.names(provider, model)],
            )
        return found

    def __add__(self, other: Facts) -> Facts:
        return Facts(
            [*self.prices, *other.prices],
            [*self.rules, *other.rules],
            [*self.aliases, *other.aliases],
            [*self.discounts, *other.discounts],
            {**self.deployments, **other.deployments},
        )


def flat(price: Fraction) -> Tiers:
    """One price for every prompt size."""
    return ((-1, price),)


def price_at(tiers: Tiers, threshold: int) -> Fraction:
    """The price of a prompt just above a threshold (-1: of the smallest one)."""
    price = tiers[0][1]
    for start, tier_price in tiers:
        if start <= threshold:
            price = tier_price
    return price


def scaled(tiers: Tiers, factor: Fraction) -> Tiers:
    """Every tier times a factor."""
    return tuple((start, price * factor) for start, price in tiers)
