"""Corrections: the sums over a call's rows are what is known now, and a second time changes nothing."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_store import NOW, SECOND, a_call, a_row, cost_of, ns
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import COLUMNS, INDEX, Booking, Row, correction, row

LATER = Booking("fix", 0, ns(NOW) + 99 * SECOND, "usage", reason="repriced")


def sums(rows: list[Row]) -> dict[str, Any]:
    """What `sum()` gives over the rows, NULLs left out; units without a quantity left out."""
    total: dict[str, Any] = {}
    for number, column in enumerate(COLUMNS):
        if not column.summed:
            continue
        values = [each[number] for each in rows if each[number] is not None]
        if column.name == "usage":
            units = {unit for value in values for unit in value}
            added = {unit: sum(value.get(unit, 0) for value in values) for unit in units}
            total["usage"] = {unit: amount for unit, amount in added.items() if amount}
        else:
            with localcontext(Context(prec=76)):  # the default would round to 28 digits
                total[column.name] = sum(values) if values else None
    return total


usages = st.builds(
    Usage,
    st.fixed_dictionaries({"input_uncached": st.integers(0, 10**9), "output": st.integers(0, 10**9)}),
)
costs = st.one_of(
    usages.map(cost_of),
    st.just(Cost.unknown("no price")),
    st.integers(0, 10**30).map(lambda atto: Cost("reported", atto, atto, atto)),
)


@given(st.lists(st.tuples(usages, costs), min_size=2, max_size=5))
def test_the_sums_over_a_call_are_always_what_is_known_now(states: list[tuple[Usage, Cost]]) -> None:
    booked: list[Row] = []
    for number, (usage, cost) in enumerate(states):
        now = row(a_call(call_id="c", usage=usage, cost=cost), LATER._replace(row_no=number))
        if not booked:
            booked.append(now)
            continue
        if (fix := correction(now, booked, LATER._replace(row_no=number))) is not None:
            booked.append(fix)
        assert correction(now, booked, LATER) is None
        known, wanted = sums(booked), sums([now])
        assert known["usage"] == wanted["usage"]
        for name in ("calls", "unpriced_calls", "input_tokens", "output_tokens"):
            assert known[name] == wanted[name]
        assert (known["effective_cost"] or 0) == (wanted["effective_cost"] or 0)


def test_a_price_that_was_found_later_takes_the_call_off_the_unpriced_ones() -> None:
    first = a_row(a_call(call_id="c", cost=Cost.unknown("no price")), trace_id="t")
    now = a_row(a_call(call_id="c", started_at=ns(NOW) + SECOND), trace_id="t")
    fix = correction(now, [first], LATER)
    assert fix is not None
    named = dict(zip((column.name for column in COLUMNS), fix, strict=True))
    assert (named["calls"], named["unpriced_calls"], named["effective_cost"]) == (0, -1, Decimal("0.00352"))
    assert (named["kind"], named["charge_class"], named["booking_reason"]) == (
        "correction", "Correction", "repriced",
    )  # fmt: skip
    assert (named["batch_id"], named["booked_at"]) == ("fix", LATER.booked_at // 1000)
    assert named["started_at"] == first[INDEX["started_at"]]
    assert (named["cost_status"], named["price_id"], named["trace_id"]) == ("priced", "openai/gpt-4o", "t")


def test_a_cost_that_is_not_known_any_more_is_taken_back() -> None:
    first = a_row(a_call(call_id="c"))
    fix = correction(a_row(a_call(call_id="c", cost=Cost.unknown("withdrawn"))), [first], LATER)
    assert fix is not None
    assert (fix[INDEX["effective_cost"]], fix[INDEX["unpriced_calls"]]) == (Decimal("-0.00352"), 1)


def test_a_difference_of_many_digits_is_exact() -> None:
    big = 10**37 + 1
    first = a_row(a_call(call_id="c", cost=Cost("reported", 1)))
    fix = correction(a_row(a_call(call_id="c", cost=Cost("reported", big))), [first], LATER)
    assert fix is not None
    assert fix[INDEX["effective_cost"]] == Decimal(10**37) / 10**18


def test_there_must_be_something_to_correct() -> None:
    with pytest.raises(ValueError, match="no row"):
        correction(a_row(), [], LATER)
