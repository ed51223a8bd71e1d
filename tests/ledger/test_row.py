"""A call as a row: what each kind of row adds, what is not known, and that every value fits its column."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_store import NOW, SECOND, a_call, a_row, cost_of, ns
from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.semconv import WELL_KNOWN_TAGS
from otel_llm_cost.core.units import UNITS
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import COLUMNS, FOCUS, INDEX, NAMES, Booking, kind_of, row
from otel_llm_cost.sinks.native import encode, unwritable


def told(values: tuple[Any, ...], *names: str) -> tuple[Any, ...]:
    return tuple(values[INDEX[name]] for name in names)


def test_a_row_has_one_value_per_column_and_names_are_unique() -> None:
    assert len(a_row()) == len(COLUMNS) == len(set(NAMES))
    assert len(FOCUS) == len([column for column in COLUMNS if column.focus])


def test_every_type_of_column_can_be_written() -> None:
    assert unwritable() == []


def test_a_priced_call_is_told_whole() -> None:
    call = a_call(terms={"service_tier": "flex", "region": "eu-west-1"}, attempt=2, stream=True)
    values = a_row(call, service="api", trace_id="t1", app_cost=Cost("priced", 10**15))
    assert told(values, "started_at", "duration_s", "kind", "attempt", "is_stream", "trace_id") == (
        ns(NOW) // 1000, 1.0, "usage", 2, 1, "t1",
    )  # fmt: skip
    assert told(values, "calls", "unpriced_calls", "input_tokens", "cache_read_tokens") == (1, 0, 1200, 1024)
    costs = told(
        values, "effective_cost", "list_cost", "input_cost", "cache_read_cost", "output_cost", "tools_cost"
    )
    assert costs == tuple(map(Decimal, ("0.00352", "0.00352", "0.00044", "0.00128", "0.0018", "0")))
    assert told(values, "service_tier", "region", "app_cost") == ("flex", "eu-west-1", Decimal("0.001"))
    assert values[INDEX["components"]] == (
        '[["input_uncached","176","2.5",1000000,"0.00044"],'
        '["cache_read","1024","1.25",1000000,"0.00128"],["output","180","10",1000000,"0.0018"]]'
    )


def test_a_price_of_another_model_names_it_whatever_its_characters() -> None:
    lines = cost_of(Usage(output=1)).components
    cost = cost_of(Usage(output=1), components=(lines[0]._replace(model='a"b\\c'),))
    assert a_row(a_call(cost=cost))[INDEX["components"]].endswith(',"a\\"b\\\\c"]]')


def test_a_cost_that_is_not_known_is_null_and_counted_never_zero() -> None:
    for cost in (Cost.unknown("no price"), None):
        values = a_row(a_call(cost=cost))
        assert told(values, "effective_cost", "list_cost", "output_cost", "cost_status") == (
            None, None, None, "unpriced",
        )  # fmt: skip
        assert told(values, "calls", "unpriced_calls") == (1, 1)


def test_a_reported_amount_that_nobody_split_has_no_parts() -> None:
    values = a_row(a_call(cost=Cost("reported", 5 * 10**15, computed_atto=4 * 10**15), reported_cost="0.005"))
    assert told(values, "effective_cost", "reported_cost", "computed_cost", "output_cost") == (
        Decimal("0.005"), Decimal("0.005"), Decimal("0.004"), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "free", "NaN", "-Infinity", "1e999999", "1e900000", "12345678901234567890"]
)
def test_a_reported_cost_that_is_no_amount_is_not_known(text: str) -> None:
    assert a_row(a_call(reported_cost=text))[INDEX["reported_cost"]] is None


@pytest.mark.parametrize("kind", ["duplicate", "denial"])
def test_a_duplicate_and_a_denial_cost_nothing_and_add_nothing_but_their_own_count(kind: str) -> None:
    values = a_row(a_call(), kind=kind)
    adds = {
        column.name: value
        for column, value in zip(COLUMNS, values, strict=True)
        if column.summed and value not in (0, {})
    }
    assert adds == {{"duplicate": "duplicates", "denial": "denials"}[kind]: 1}
    assert values[INDEX["effective_cost"]] == 0


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({}, "usage"),
        ({"usage": Usage(), "cost": None}, "usage"),
        ({"error_type": "broken stream"}, "usage"),
        ({"error_type": "rate_limit", "usage": Usage(), "cost": None}, "failed_attempt"),
        ({"denied_by": "budget", "usage": Usage(), "cost": None}, "denial"),
    ],
)
def test_what_a_call_is_on_its_own(about: dict[str, Any], kind: str) -> None:
    assert kind_of(a_call(**about)) == kind


def test_a_failed_attempt_is_no_call_and_not_an_unpriced_one() -> None:
    values = a_row(a_call(error_type="timeout", usage=Usage()))
    assert told(values, "calls", "failed_attempts", "unpriced_calls", "effective_cost", "cost_status") == (
        0, 1, 0, None, "",
    )  # fmt: skip


def test_a_correction_is_not_made_from_a_call() -> None:
    with pytest.raises(ValueError, match=r"ledger\.correction"):
        row(a_call(), Booking("b", 1, 1, "correction"))


def test_tags_without_a_column_stay_together_and_an_empty_one_is_nobody() -> None:
    values = a_row(a_call(tags={"team": "", "tier": "gold", "customer_id": "c1"}), environment="prod")
    assert told(values, "team", "customer_id", "environment", "tags") == ("", "c1", "prod", {"tier": "gold"})
    values = a_row(a_call(tags={"environment": "test"}), environment="prod")
    assert told(values, "environment") == ("test",)


@pytest.mark.parametrize(
    "moment", [datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2262, 1, 1, tzinfo=timezone.utc), None]
)
def test_a_clock_that_cannot_be_right_does_not_hide_spend(moment: datetime | None) -> None:
    started = 2**64 - 1 if moment is None else ns(moment)
    values = a_row(a_call(started_at=started, ended_at=started + SECOND, usage_flags=("odd",)))
    assert told(values, "started_at", "usage_flags") == (
        (ns(NOW) + 5 * SECOND) // 1000, ("odd", "start_time_not_plausible"),
    )  # fmt: skip


def test_a_call_that_ends_before_it_starts_took_no_time() -> None:
    assert a_row(a_call(ended_at=ns(NOW) - SECOND))[INDEX["duration_s"]] == 0


texts = st.text(max_size=20)
units = st.sampled_from([unit.name for unit in UNITS])
quantities = st.integers(0, 10**12) | st.decimals(0, 10**6, places=9)
usages = st.dictionaries(units, quantities, max_size=6).map(Usage)
atto = st.none() | st.integers(-(10**37), 10**37)
costs = st.tuples(
    st.sampled_from(["priced", "partial", "estimated", "unpriced", "reported"]), atto, atto, atto
)
calls = st.fixed_dictionaries(
    {
        "provider": texts,
        "request_model": texts,
        "attempt": st.integers(-1, 10**6),
        "server_port": st.none() | st.integers(-1, 10**6),
        "status_code": st.none() | st.integers(-1, 10**6),
        "started_at": st.integers(0, 2**64 - 1),
        "ended_at": st.none() | st.integers(0, 2**64 - 1),
        "time_to_first_chunk_s": st.none() | st.floats(),
        "max_tokens": st.none() | st.integers(-(2**63), 2**63 - 1),
        "usage": usages,
        "parts": st.lists(st.tuples(texts, usages), max_size=2).map(
            lambda parts: tuple(Part(model, usage) for model, usage in parts)
        ),
        "terms": st.dictionaries(texts, texts, max_size=2),
        "tags": st.dictionaries(st.sampled_from(WELL_KNOWN_TAGS) | texts, texts, max_size=5),
        "finish_reasons": st.lists(texts, max_size=3).map(tuple),
        "reported_cost": texts,
        "cost": st.none() | costs.map(lambda parts: Cost(*parts)),
        "denied_by": texts,
        "error_type": texts,
    }
).map(lambda fields: Call(**fields))
"""Any call that the normaliser may make, and some that it should not."""


@given(calls, st.sampled_from(["usage", "failed_attempt", "denial", "duplicate"]))
def test_whatever_a_call_holds_its_row_can_be_written(call: Call, kind: Any) -> None:
    values = row(call, Booking("b", 1, ns(NOW), kind))
    names, block = encode([values])
    assert "kind" in names
    assert block
