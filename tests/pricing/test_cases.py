"""Every case exactly, as a body and as a stream, and by an independent calculation."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.pricing.cases import ATTO, EVERY, IDS, NOW, OWN, PUBLIC, SHARED, by_hand
from tests.pricing.streams import events

from otel_llm_cost.cli.price_cases import price_case
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.semconv import from_attributes, to_attributes
from otel_llm_cost.pricing import PriceList, price

PRICES = PriceList.default()


def cost_of(case: dict[str, Any]) -> Cost:
    return price_case(case, PRICES, NOW)[1]


def check(case: dict[str, Any], cost: Cost) -> None:
    expected = case["expected_usd"]
    if expected is not None:
        assert cost.exact is not None, cost.reason
        assert Decimal(cost.exact) == Decimal(expected)
    elif case["id"] == "ant-19-aborted-stream":
        assert (cost.status, cost.exact) == (
            "partial",
            "0.00005",
        )  # 25 input tokens at 2 USD/M, output unknown
    else:
        assert cost.exact is None
        assert cost.status == "unpriced"
        assert cost.reason


@pytest.mark.parametrize("case", EVERY, ids=IDS)
def test_the_cost_is_exact(case: dict[str, Any]) -> None:
    check(case, cost_of(case))


STREAMED = [(case, stream) for case in EVERY if (stream := events(case["payload"])) is not None]


@pytest.mark.parametrize(("case", "stream"), STREAMED, ids=[case["id"] for case, _ in STREAMED])
def test_the_same_payload_as_a_stream_costs_the_same(
    case: dict[str, Any], stream: list[dict[str, Any]]
) -> None:
    check(case, cost_of(case | {"payload": {"stream_events": stream}}))


OWN_PRICES = {"contract", "deployments", "profiles"}
PLAIN = [case for case in EVERY if not OWN_PRICES & set(case.get("request_context", {}))]
"""Cases without prices of the reader's own, which are not on a span."""


@pytest.mark.parametrize("case", PLAIN, ids=[case["id"] for case in PLAIN])
def test_a_call_that_travelled_as_a_span_costs_the_same(case: dict[str, Any]) -> None:
    call, cost = price_case(case, PRICES, NOW)
    arrived = from_attributes(to_attributes(call), started_at=call.started_at)
    again = price(arrived, PRICES)
    assert (again.status, again.exact, again.list_atto, again.reason) == (
        cost.status,
        cost.exact,
        cost.list_atto,
        cost.reason,
    )
    assert set(again.components) == set(cost.components)


@pytest.mark.parametrize("case", [case for case in EVERY if case["expected_usd"] is not None])
def test_components_sum_to_the_total_and_each_is_its_own_arithmetic(case: dict[str, Any]) -> None:
    cost = cost_of(case)
    for line in cost.components:
        assert line.atto == round(Fraction(line.quantity) * Fraction(line.unit_price) / line.per * ATTO)
    if cost.status != "reported":
        assert sum(line.atto for line in cost.components) == cost.effective_atto


@pytest.mark.parametrize("case", [case for case in OWN if "derivation" in case], ids=lambda case: case["id"])
def test_our_cases_agree_with_the_arithmetic_written_beside_them(case: dict[str, Any]) -> None:
    assert Fraction(case["expected_usd"]) == by_hand(case["derivation"])
    cost = cost_of(case)
    assert Fraction(cost.effective_atto or 0, ATTO) == by_hand(case["derivation"])


def test_the_fixture_holds_every_public_case() -> None:
    file = SHARED / "pricing" / "hard_cases.json"
    if not file.exists():
        pytest.skip("the shared data is not here")
    import json

    shared = {case["id"]: case for case in json.loads(file.read_text(), parse_float=Decimal)["cases"]}
    assert {case["id"] for case in PUBLIC} == set(shared)
    for case in PUBLIC:
        assert case["payload"] == shared[case["id"]]["payload"]
        assert case["expected_usd"] == shared[case["id"]]["expected_usd"]
