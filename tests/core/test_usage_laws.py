"""The laws of Usage: never negative, `a | b` is a later report over an earlier one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.core.units import BASE_UNIT, INPUT_UNITS, OUTPUT_UNITS, UNIT
from otel_llm_cost.core.usage import Usage

counts = st.integers(0, 10**9)
usages = st.dictionaries(st.sampled_from(sorted(UNIT)), counts, max_size=6).map(Usage)


@given(usages, usages, usages)
def test_reports_fold_in_any_grouping(a: Usage, b: Usage, c: Usage) -> None:
    assert (a | b) | c == a | (b | c)


@given(usages)
def test_nothing_changes_nothing_and_the_same_again_neither(a: Usage) -> None:
    assert Usage() | a == a
    assert a | Usage() == a
    assert a | a == a


@given(usages, usages)
def test_the_later_report_of_a_family_replaces_the_earlier_whole(a: Usage, b: Usage) -> None:
    both = a | b
    for units, has in ((INPUT_UNITS, "has_input"), (OUTPUT_UNITS, "has_output")):
        latest = b if getattr(b, has) else a
        assert all(both[unit] == latest[unit] for unit in units)
    assert all(
        both[unit] == (b[unit] if unit in b else a[unit]) for unit in UNIT if UNIT[unit].family == "fee"
    )


@given(usages)
def test_totals_are_sums_of_their_parts_and_nothing_is_negative(a: Usage) -> None:
    assert a.input_tokens == sum(a[unit] for unit in INPUT_UNITS)
    assert a.output_tokens == sum(a[unit] for unit in OUTPUT_UNITS)
    assert 0 <= a.cache_read_tokens + a.cache_write_tokens <= a.input_tokens
    assert all(quantity >= 0 for _, quantity in a.items())
    assert a.has_input == (BASE_UNIT["input"] in a)
    assert bool(a) == bool(list(a.items()))


@given(usages)
def test_equal_usages_have_equal_hashes(a: Usage) -> None:
    assert hash(Usage(dict(a.items()))) == hash(a)
    assert Usage(dict(a.items())) == a


def test_nothing_reported_is_not_zero_reported() -> None:
    assert Usage(output=0) != Usage()
    assert Usage(output=0).has_output
    assert not Usage(output=0).has_input


@pytest.mark.parametrize(
    ("units", "says"), [({"tokens": 1}, "unknown unit 'tokens'"), ({"output": -1}, "-1")]
)
def test_a_wrong_quantity_is_refused_by_name(units: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Usage(units)


def test_fractions_are_kept_where_things_are_not_counted_in_whole() -> None:
    assert Usage(audio_seconds=Decimal("1.5"))["audio_seconds"] == Decimal("1.5")
