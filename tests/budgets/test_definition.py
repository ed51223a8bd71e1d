"""What a budget in the file means, and what a wrong one answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from otel_llm_cost.budgets.definition import Budget, read_budget, read_budgets
from otel_llm_cost.budgets.measure import amount_text
from otel_llm_cost.budgets.names import doubts
from otel_llm_cost.budgets.period import Calendar, Rolling, Whole
from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.core.errors import ConfigError


def budget(**values: Any) -> Budget:
    return read_budget({"name": "b", "limit": "10 USD", **values})


@pytest.mark.parametrize(
    ("written", "amount", "measure"),
    [
        ("500 USD", 500 * ATTO, "usd"),
        ("$0.10", ATTO // 10, "usd"),
        (12.5, 125 * ATTO // 10, "usd"),
        ({"usd": "1,250.75"}, 125075 * ATTO // 100, "usd"),
        ("2M tokens", 2_000_000, "tokens"),
        ("1.5k token", 1500, "tokens"),
        ({"calls": 10}, 10, "calls"),
    ],
)
def test_a_limit_is_read_exactly(written: Any, amount: int, measure: str) -> None:
    limit = budget(limit=written).limit
    assert (limit.amount, limit.measure) == (amount, measure)


def test_another_currency_needs_a_rate() -> None:
    assert read_budget({"name": "b", "limit": "100 EUR"}, {"EUR": Decimal("1.0823")}).limit.amount == (
        10823 * ATTO // 100
    )
    with pytest.raises(
        ConfigError, match=r"no rate for EUR; add `currency_rates: \{EUR: <USD for one EUR>\}`"
    ):
        budget(limit="100 EUR")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"limit": "0 USD"}, "above zero"),
        ({"limit": "-5 USD"}, "above zero"),
        ({"limit": "ten dollars"}, "cannot read the limit 'ten dollars'"),
        ({"limit": "1.5 calls"}, "whole number of calls"),
        ({"limit": "20000000 USD"}, "at most 9007199"),
        ({"window": {"every": "day", "timezone": "Europe/Berln"}}, "did you mean Europe/Berlin"),
        ({"window": "fortnight"}, "expected one of hour, day, week, month, quarter"),
        ({"window": {"every": "day", "rolling": "3h"}}, "either `every`"),
        ({"window": "rolling 0h"}, "expected a duration"),
        ({"per": "trace", "window": "day"}, "per trace has no window"),
        ({"per": ["trace", "session"]}, "at most one of"),
        ({"action": "degrade"}, "`degrade_to` names the cheaper model"),
        ({"degrade_to": "gpt-5-mini"}, "`degrade_to` names the cheaper model"),
        ({"action": "explode"}, "action: expected 'block', 'warn', 'degrade' or 'cap_output'"),
        ({"perr": "team"}, "unknown key perr; did you mean per?"),
        ({"match": {"team": []}}, "match.team"),
        ({"name": "a b"}, "name"),
    ],
)
def test_a_wrong_budget_is_refused_in_one_sentence(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        budget(**wrong)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "budget (" in str(caught.value)


def test_two_budgets_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two budgets are called b"):
        read_budgets([{"name": "b", "limit": "1 USD"}, {"name": "b", "limit": "2 USD"}])


@pytest.mark.parametrize(
    ("written", "clock"),
    [
        ({}, Calendar("month", "UTC")),
        ({"window": "quarter"}, Calendar("quarter", "UTC")),
        ({"window": {"every": "day", "timezone": "Asia/Tokyo"}}, Calendar("day", "Asia/Tokyo")),
        ({"window": {"rolling": "24h"}}, Rolling(86400)),
        ({"window": "rolling 15m"}, Rolling(900)),
        ({"window": "never"}, Whole("forever")),
        ({"per": "conversation"}, Whole()),
        ({"per": ["customer_id", "trace"]}, Whole()),
    ],
)
def test_the_window_is_what_it_says(written: dict[str, Any], clock: object) -> None:
    assert budget(**written).clock == clock


def test_a_budget_blocks_everywhere_but_in_production_unless_told() -> None:
    assert [budget().action_in(name) for name in ("", "staging", "production", "prod")] == [
        "block",
        "block",
        "warn",
        "warn",
    ]
    assert budget(environments={"production": "block"}).action_in("production") == "block"


def test_a_budget_survives_the_trip_through_a_store() -> None:
    written = budget(
        match={"team": "search", "model": ["gpt-5*", "o3"]},
        per="customer_id",
        window={"every": "week", "timezone": "America/New_York"},
        contact="finops@example.com",
    )
    assert Budget.model_validate_json(written.model_dump_json()) == written


def test_doubts_name_the_near_miss() -> None:
    budgets = read_budgets(
        [
            {"name": "a", "limit": "1 USD", "match": {"taem": "search"}},
            {"name": "b", "limit": "1 USD", "match": {"model": "gpt-4o-mni"}},
            {"name": "c", "limit": "1 USD", "match": {"tenant": "x"}},
            {"name": "d", "limit": "9 USD", "match": {"tenant": "x"}},
            {"name": "e", "limit": "9 USD", "match": {"tenant": "x"}, "window": "day"},
        ]
    )
    assert doubts(budgets, tags=["tenant"], models=["gpt-4o", "gpt-4o-mini"]) == [
        "budget a: no call has carried the tag taem yet; did you mean team?",
        "budget b: no price is known for model gpt-4o-mni; did you mean gpt-4o-mini?",
        "budgets c and d watch the same calls in the same window; only the lower limit can be reached",
    ]


@pytest.mark.parametrize(
    ("amount", "measure", "text"),
    [(ATTO, "usd", "1.00 USD"), (ATTO // 8000, "usd", "0.000125 USD"), (3, "calls", "3 calls")],
)
def test_amounts_are_shown_without_rounding(amount: int, measure: Any, text: str) -> None:
    assert amount_text(amount, measure) == text
