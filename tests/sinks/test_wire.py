"""Results over the wire: what was sent is what is read, money as plain decimal text."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.sinks.wire import Result, decode, encode

KINDS = (
    st.integers(),
    st.text(max_size=20),
    st.decimals(-(10**18), 10**18, places=18),
    st.datetimes(timezones=st.just(timezone.utc)),
    st.dates(),
)
"""A column of a result has one type, and may have NULLs."""
columns_of_three = st.sampled_from(KINDS).flatmap(
    lambda kind: st.lists(st.none() | kind, min_size=3, max_size=3)
)


@given(st.lists(columns_of_three, min_size=1, max_size=4))
def test_a_result_comes_back_as_it_was(columns: list[list[Any]]) -> None:
    names = tuple(f"c{number}" for number in range(len(columns)))
    result = Result(names, list(zip(*columns, strict=True)))
    assert decode(encode(result)) == result
    empty = Result(names, [])
    assert decode(encode(empty)) == empty


def test_money_is_plain_text_and_times_are_iso() -> None:
    moment = datetime(2026, 11, 24, 1, 2, 3, 4, tzinfo=timezone.utc)
    row = (Decimal("1E-18"), moment, date(2026, 1, 2), {"u": Decimal("2.50")})
    assert json.loads(encode(Result(("a", "b", "c", "d"), [row]))) == {
        "columns": ["a", "b", "c", "d"],
        "types": ["decimal", "datetime", "date", None],
        "rows": [["0.000000000000000001", "2026-11-24T01:02:03.000004+00:00", "2026-01-02", {"u": "2.5"}]],
    }


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"3", b'{"rows": []}', b'{"columns":[],"types":[],"rows":[[1]]}', b"\xff"]
)
def test_what_is_no_result_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a query's result"):
        decode(body)
