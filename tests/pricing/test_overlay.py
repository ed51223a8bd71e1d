"""Our own facts: packed as written, each with a source, none that the database makes superfluous or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pricing.calls import AT, call, cost

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.pricing import pack
from otel_llm_cost.pricing.overlay import PACKED, overlay


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


def test_every_price_fact_is_used_by_the_model_it_names() -> None:
    """A pattern with a typo would never match; each fact must decide some price at some time."""
    facts, _ = overlay()
    for fact in facts.prices:
        if fact.scope.during is not None or fact.scope.when:
            continue
        model = fact.scope.models[0].replace("*", "")
        moment = AT.timestamp() * 1e9
        at = (
            min(max(fact.scope.start + 1, 1), fact.scope.end - 1)
            if not fact.scope.start <= moment < fact.scope.end
            else None
        )
        one = call(sorted(fact.scope.providers)[0], model)
        if at is not None:
            one.started_at = max(at, 1)
        one.terms = (
            {"processing": "batch"}
            if fact.scope.mode == "batch"
            else {"service_tier": fact.scope.mode}
            if fact.scope.mode
            else {}
        )
        assert cost(one).status != "unpriced" or "unit" not in cost(one).reason
