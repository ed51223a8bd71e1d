"""LiteLLM's budgets as ours: what is understood, and what is honestly said not to be."""

from __future__ import annotations

from typing import Any

import pytest

from otel_llm_cost.budgets import litellm
from otel_llm_cost.budgets.definition import read_budgets


def test_team_budgets_become_budgets_that_match_the_team() -> None:
    found = litellm.read(
        {
            "team_budgets": {
                "search": {"max_budget": 100, "budget_duration": "30d"},
                "ads": {"max_budget": 0.5, "budget_duration": "1d", "tpm_limit": 1000},
                "ops": {"max_budget": 9},
                "odd": {"budget_duration": "30d"},
                "bad": {"max_budget": 1, "budget_duration": "soon"},
            }
        }
    )
    assert found.budgets == [
        {"name": "team-search", "match": {"team": "search"}, "window": "month", "limit": "100 USD"},
        {"name": "team-ads", "match": {"team": "ads"}, "window": "day", "limit": "0.5 USD"},
        {"name": "team-ops", "match": {"team": "ops"}, "window": "never", "limit": "9 USD"},
    ]
    assert found.not_understood == {
        "team_budgets.ads.tpm_limit": "this setting has no counterpart",
        "team_budgets.odd": "no max_budget above zero",
        "team_budgets.bad.budget_duration": (
            "the duration 'soon' is not known; write 30s, 30m, 30h, 30d or 1mo"
        ),
    }
    assert len(read_budgets(found.budgets)) == 3


@pytest.mark.parametrize(
    ("config", "budgets"),
    [
        (
            {"litellm_settings": {"max_budget": 10, "budget_duration": "7d"}},
            [{"name": "proxy", "match": {}, "window": "week", "limit": "10 USD"}],
        ),
        (
            {
                "router_settings": {
                    "provider_budget_config": {"azure": {"budget_limit": 5, "time_period": "12h"}}
                }
            },
            [
                {
                    "name": "provider-azure",
                    "match": {"provider": "azure.ai.openai"},
                    "window": "rolling 12h",
                    "limit": "5 USD",
                }
            ],
        ),
        (
            {
                "litellm_settings": {
                    "tag_budget_config": {"product:chat": {"max_budget": 3, "budget_duration": "1mo"}}
                }
            },
            [{"name": "product-chat", "match": {"product": "chat"}, "window": "month", "limit": "3 USD"}],
        ),
        (
            {
                "litellm_settings": {
                    "default_team_settings": [{"team_id": "x", "max_budget": 4, "soft_budget": 2}]
                }
            },
            [
                {"name": "team-x", "match": {"team": "x"}, "window": "never", "limit": "4 USD"},
                {
                    "name": "team-x-soft",
                    "match": {"team": "x"},
                    "window": "never",
                    "limit": "2 USD",
                    "action": "warn",
                },
            ],
        ),
        (
            {
                "model_list": [
                    {"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", "max_budget": 1}}
                ]
            },
            [{"name": "model-gpt-4o", "match": {"model": "gpt-4o"}, "window": "never", "limit": "1 USD"}],
        ),
    ],
)
def test_the_other_shapes_are_read_too(config: dict[str, Any], budgets: list[dict[str, Any]]) -> None:
    found = litellm.read(config)
    assert found.budgets == budgets
    assert found.not_understood == {}
    read_budgets(found.budgets)


@pytest.mark.parametrize(
    "odd", [{}, {"team_budgets": None}, {"team_budgets": {"a": None}}, {"model_list": "x"}]
)
def test_odd_files_do_not_break_it(odd: dict[str, Any]) -> None:
    assert litellm.read(odd).budgets == []
