"""Our own facts: packed as written, each with a source, each deciding a price."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from tests.pricing.calls import call

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.pricing import PriceList, pack, price
from otel_llm_cost.pricing.calendar import SECOND
from otel_llm_cost.pricing.facts import PriceFact
from otel_llm_cost.pricing.overlay import PACKED, overlay

HOUR = 3600 * SECOND


def test_the_packed_facts_are_the_written_ones() -> None:
    assert (pack.FOLDER / PACKED).read_text(encoding="utf-8") == pack.packed(), (
        "run: python -m otel_llm_cost.pricing.pack"
    )


def test_a_fact_without_a_source_cannot_be_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.yaml").write_text(
        "prices:\n  - {provider: openai, model: m, input_mtok: 1, checked: 2026-11-24}\n"
    )
    monkeypatch.setattr(pack, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"x\.yaml:2.*expected `source:`"):
        pack.packed()


TERMS_OF_MODE = {
    "batch": {"processing": "batch"},
    "ultrafast": {"service_tier": "ultrafast"},
    None: {},
}


def moment_of(fact: PriceFact) -> int:
    """An instant at which the fact is in force."""
    start = max(fact.scope.start, 1)
    return next(start + n * HOUR for n in range(24 * 30) if fact.scope.holds(start + n * HOUR))


@pytest.mark.parametrize("fact", overlay()[0].prices, ids=lambda fact: fact.id)
def test_every_price_fact_decides_the_price_of_each_model_it_names(fact: PriceFact) -> None:
    """A pattern with a typo, or a fact that another hides, would be dead data."""
    for provider in fact.scope.providers:
        for model in fact.scope.models:
            one = call(
                provider,
                model.replace("*", ""),
                terms=TERMS_OF_MODE[fact.scope.mode]
                | {term: values[0] for term, values in fact.scope.when.items()},
            )
            one.started_at = moment_of(fact)
            vector = PriceList.default().vector(one)
            assert not vector.unpriced
            for unit, tiers in fact.prices.items():
                assert Fraction(vector.base[unit].price) == tiers[0][1], (model, unit)


def test_the_packed_facts_say_where_each_is_from() -> None:
    facts, digest = overlay()
    assert len(digest) == 8
    assert all(rule.source.startswith("https://") for rule in facts.rules)


def test_a_price_that_is_not_well_confirmed_says_so_and_one_that_replaces_it_does_not() -> None:
    doubted = call("openai", "gpt-6.2-sol")
    cost = price(doubted, PriceList.default())
    assert (cost.status, cost.reason) == (
        "priced",
        "the price is not well confirmed: another library's release notes are the only source",
    )
    own = PriceList.of(
        {"prices": [{"provider": "openai", "model": "gpt-6.2-sol", "input_mtok": 2, "output_mtok": 10}]}
    )
    assert price(doubted, own).reason == ""


def test_every_file_says_what_was_read_where_the_source_itself_was_not() -> None:
    facts = json.loads((pack.FOLDER / PACKED).read_text(encoding="utf-8"))
    assert all(values["read_from"] for values in facts.values())


def test_an_unknown_confidence_is_refused() -> None:
    entry = {"provider": "openai", "model": "m", "input_mtok": 1, "confidence": "sure"}
    with pytest.raises(ConfigError, match="confidence: expected one of high, medium, low, got 'sure'"):
        PriceList.of({"prices": [entry]})
