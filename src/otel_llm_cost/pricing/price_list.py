"""The price list: all layers, and a cache that makes a known model's price one dictionary hit."""

from __future__ import annotations

import hashlib
import json
import threading
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.pricing import terms as wording
from otel_llm_cost.pricing.database import Database
from otel_llm_cost.pricing.facts import Facts
from otel_llm_cost.pricing.facts_file import parse
from otel_llm_cost.pricing.fields import Place
from otel_llm_cost.pricing.match import provider_name, region_of_arn
from otel_llm_cost.pricing.normalise.context import terms_of_host
from otel_llm_cost.pricing.overlay import overlay
from otel_llm_cost.pricing.resolve import Request, resolve
from otel_llm_cost.pricing.suspicion import suspect
from otel_llm_cost.pricing.vector import Vector

MOST_KEYS = 20_000
MOST_WINDOWS = 20_000
"""Models times terms, and windows of one of them, that are kept; beyond it the cache starts over."""
_starts = attrgetter("valid_from")

Key = tuple[str, str, str, str, str, tuple[tuple[str, str], ...]]


class PriceList:
    """Prices of user overrides, contract, overlay and genai-prices, in that precedence, all dated.

    Immutable but for its cache; safe to share between threads.
    """

    def __init__(self, facts: Facts, version: str) -> None:
        self._facts = facts
        self._version = version
        self._database: Database | None = None
        self._gateways: frozenset[str] = frozenset()
        self._vectors: dict[Key, Vector] = {}
        self._others: dict[Key, list[Vector]] = {}
        self._lock = threading.Lock()

    @staticmethod
    @lru_cache(maxsize=1)
    def default() -> PriceList:
        """genai-prices with our overlay, one for the process."""
        return PriceList.load()

    @classmethod
    def load(cls, overrides: Path | None = None) -> PriceList:
        """The default list with a user's own prices, contract and deployments.

        overrides: a YAML file with `prices:`, `contract:` or `providers:`. Raises ConfigError naming file,
        line and key.
        """
        own, digest = Facts(), ""
        if overrides is not None:
            from otel_llm_cost.marked_yaml import read_mapping  # only who has a file pays for it

            values, lines = read_mapping(overrides)
            own = parse(values, Place(str(overrides), lines), "override")
            digest = hashlib.sha256(overrides.read_bytes()).hexdigest()[:8]
        prices = cls.with_facts(own, f" + overrides {digest}" if digest else "")
        if own.prices:
            prices._database = Database()
            _refuse_suspicious(own, prices._database)
        return prices

    @classmethod
    def of_settings(cls, settings: Any) -> PriceList:
        """The list that the configuration asks for (`price_overrides`, `prices`, `contract`, `providers`).

        Raises ConfigError naming file, line and key.
        """
        prices = cls.load(settings.price_overrides) if settings.price_overrides else cls.default()
        sections = {
            name: value
            for name in ("prices", "contract", "providers")
            if (value := getattr(settings, name, None))
        }
        gateways = frozenset(
            host.strip().lower() for host in settings.trusted_gateways.split(",") if host.strip()
        )
        if sections or gateways:
            prices = prices.plus(sections, "config")
            prices._gateways = gateways
        return prices

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str = "prices") -> PriceList:
        """The default list with the same sections given as data. Raises ConfigError naming the key."""
        return cls.default().plus(values, name)

    def plus(self, values: Mapping[str, Any], name: str) -> PriceList:
        """This list with more sections on top. Raises ConfigError naming the key."""
        own = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:8]
        facts = self._facts + parse(values, Place(name, {}), "override")
        more = PriceList(facts, f"{self._version} + {name} {own}" if values else self._version)
        more._database = self._database
        more._gateways = self._gateways
        return more

    @classmethod
    def with_facts(cls, own: Facts, named: str = "") -> PriceList:
        """The default list with facts on top of it."""
        from importlib import metadata  # 20 ms that only who prices pays

        ours, digest = overlay()
        database = metadata.version("genai-prices")
        return cls(ours + own, f"genai-prices {database} + overlay {digest}{named}")

    @property
    def version(self) -> str:
        """Which data this is: the version of genai-prices, digests of the overlay and of your own prices."""
        return self._version

    def trusts(self, host: str) -> bool:
        """Whether the amounts that this gateway hints at count as reported ones."""
        return host in self._gateways

    def own_models(self) -> list[tuple[str, str]]:
        """(provider, model) of every price that a user or a contract gives, patterns left out."""
        return [
            (provider, model)
            for fact in self._facts.prices
            if fact.layer in ("override", "contract")
            for provider in sorted(fact.scope.providers)
            for model in fact.scope.models
            if "*" not in model
        ]

    def vector(self, call: Call, model: str | None = None) -> Vector:
        """The rates of a call, or of another model that did part of it, at the instant it started."""
        key = (
            call.provider,
            call.response_model if model is None else model,
            call.request_model,
            call.deployment,
            call.server_address,
            tuple(call.terms.items()) if call.terms else (),
        )
        if model is not None:
            key = (*key[:5], (*key[5], ("", "part")))
        found = self._vectors.get(key)
        if found is not None and found.valid_from <= call.started_at < found.valid_until:
            return found
        return self._look_up(key, call.started_at, is_part=model is not None)

    def _look_up(self, key: Key, moment: int, *, is_part: bool) -> Vector:
        with self._lock:
            known = self._others.setdefault(key, [])
            place = bisect_right(known, moment, key=_starts)
            vector = known[place - 1] if place else None
            if vector is None or moment >= vector.valid_until:
                vector = self._resolve(key, moment, is_part=is_part)
                known.insert(place, vector)
            if len(self._vectors) >= MOST_KEYS or len(known) > MOST_WINDOWS:
                self._vectors.clear()
                self._others.clear()
            self._vectors[key] = vector
            return vector

    def _resolve(self, key: Key, moment: int, *, is_part: bool) -> Vector:
        if moment <= 0:
            return Vector({}, valid_from=moment, valid_until=1, unpriced="the call has no start time")
        if self._database is None:
            self._database = Database()
        spelling, response_model, request_model, deployment, host, pairs = key
        provider = provider_name(spelling)
        terms = {**terms_of_host(host), **dict(pairs)}
        terms.pop("", None)
        asked = response_model or request_model
        model = asked
        if is_part and not _same_model(response_model, request_model):
            terms.pop("speed", None)  # another model's part does not run in this call's fast mode
        else:
            model = self._mapped(provider, asked, request_model, deployment, host, terms)
        where, _ = wording.deployment(terms)
        if where:
            terms["deployment"] = where
        if "region" not in terms and (region := region_of_arn(asked)):
            terms["region"] = region
        vector = resolve(Request(provider, model, terms, moment), self._facts, self._database, self._version)
        return vector if model or not asked else replace(vector, model=asked)

    def _mapped(
        self, provider: str, asked: str, request_model: str, deployment: str, host: str, terms: dict[str, str]
    ) -> str:
        """The model behind an opaque name, from the operator's mapping, which also adds terms."""
        maps = self._facts.deployments.get(provider)
        if not maps:
            return asked
        resource = host.partition(".")[0]
        for name in (deployment, request_model, asked):
            for spelling in (f"{resource}/{name}", name):
                target = maps.get(spelling.lower()) if name else None
                if target is None:
                    continue
                for key, value in target.items():
                    if key != "model":
                        terms.setdefault("deployment_type" if key == "type" else key, value)
                return asked if asked != name and asked else target.get("model", asked)
        return asked


def _refuse_suspicious(own: Facts, database: Database) -> None:
    """A price far off the published one of the same model was most likely written in another unit."""
    for fact in own.prices:
        for provider in () if fact.confirmed or fact.scope.mode else fact.scope.providers:
            for model in fact.scope.models:
                entry = database.find(provider, model)
                published = entry.standard(LATE) if entry is not None else None
                for key, why in suspect(fact.prices, published[0] if published else None):
                    raise ConfigError(f"{fact.place}: {key}: {why}")


LATE = 2**62
"""An instant after every dated price."""


def _same_model(one: str, other: str) -> bool:
    return one == other or one.startswith(other) or other.startswith(one)
