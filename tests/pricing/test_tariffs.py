"""What the tariff engine does where no single case shows it: gaps, layers, contracts, caching over time."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from tests.pricing.calls import AT, call, cost

from otel_llm_cost.core.call import Part
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.pricing.calendar import DAY, Windows, nanoseconds

# gaps are visible


def test_a_unit_without_a_rate_makes_the_call_partial_and_says_what_to_add() -> None:
    found = cost(
        call(
            model="gpt-4o-search-preview",
            usage=Usage(input_uncached=1000, output=100, input_uncached_audio=50),
        )
    )
    assert found.status == "partial"
    assert found.exact == "0.0285"  # tokens and the search that every request is; audio is missing
    assert "input_audio_mtok" in found.reason
    assert "prices" in found.reason


def test_audio_without_a_rate_is_never_priced_as_text() -> None:
    assert (
        cost(call(usage=Usage(input_uncached=1000, input_uncached_audio=50, output=100))).status == "partial"
    )


def test_images_in_a_prompt_cost_what_text_does_where_the_model_has_no_image_rate() -> None:
    assert cost(call(usage=Usage(input_uncached_image=1000, output=0))).exact == "0.00125"


def test_a_tool_fee_without_a_rate_is_not_free() -> None:
    found = cost(
        call(
            provider="groq",
            model="openai/gpt-oss-120b",
            usage=Usage(input_uncached=1000, output=100, web_searches=1),
        )
    )
    assert found.status == "partial"
    assert "web_searches_kcount" in found.reason


@pytest.mark.parametrize(
    ("provider", "model", "says"),
    [
        ("openai", "gpt-99-foo", "model: gpt-99-foo"),
        ("", "gpt-5", "names no provider"),
        ("openai", "", "names no model"),
        ("my-vllm", "llama", "provider: my-vllm"),
        ("my-openai-proxy", "gpt-5", "provider: my-openai-proxy"),
        ("azure", "my-deployment", "providers.azure.deployments"),
        ("aws", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "providers.bedrock.profiles"),
        ("cerebras", "qwen-3-coder-480b", "add it under"),
    ],
)
def test_an_unknown_model_is_unpriced_and_the_reason_says_what_to_add(
    provider: str, model: str, says: str
) -> None:
    found = cost(call(provider=provider, model=model))
    assert (found.status, found.effective_atto) == ("unpriced", None)
    assert says in found.reason


def test_an_unknown_model_with_known_fees_is_not_a_zero_either() -> None:
    assert (
        cost(
            call(provider="anthropic", model="claude-99", usage=Usage(input_uncached=5, web_searches=1))
        ).status
        == "unpriced"
    )


def test_no_usage_is_unpriced_and_zero_usage_is_zero() -> None:
    assert cost(call(usage=Usage(), usage_source="missing")).status == "unpriced"
    assert cost(call(usage=Usage(input_uncached=0, output=0))).exact == "0"


def test_a_call_without_a_start_time_is_unpriced() -> None:
    found = cost(call(at=datetime(1970, 1, 1, tzinfo=timezone.utc)))
    assert found.status == "unpriced"
    assert "start time" in found.reason


def test_a_part_by_an_unknown_model_makes_the_call_partial() -> None:
    found = cost(call(parts=(Part("gpt-99", Usage(input_uncached=1, output=1)),)))
    assert found.status == "partial"
    assert found.exact == "0.00225"
    assert "gpt-99" in found.reason


def test_contradicting_usage_is_a_lower_bound() -> None:
    found = cost(call(usage_flags=("cached tokens exceeds prompt_tokens",)))
    assert found.status == "partial"
    assert "contradicts" in found.reason


@pytest.mark.parametrize("flag", ["aborted", "cache_ttl_assumed"])
def test_flags_that_only_inform_leave_the_cost_alone(flag: str) -> None:
    assert cost(call(usage_flags=(flag,))).status == "priced"


def test_estimated_quantities_give_an_estimated_cost() -> None:
    found = cost(call(usage_source="estimated"))
    assert (found.status, found.exact) == ("estimated", "0.00225")


# provider-reported money


def test_reported_money_wins_and_ours_is_kept_beside_it() -> None:
    found = cost(call(provider="x_ai", model="grok-4.6", reported_cost="0.0026"))
    assert (found.status, found.exact, found.price_source) == ("reported", "0.0026", "reported")
    assert found.computed_atto == 2600 * 10**12
    assert found.reason == ""


@pytest.mark.parametrize(
    ("reported", "drifts"), [("0.002613", False), ("0.002614", True), ("0.00259", False), ("0.0025", True)]
)
def test_drift_above_half_a_percent_is_said(reported: str, drifts: bool) -> None:
    assert (
        "reported" in cost(call(provider="x_ai", model="grok-4.6", reported_cost=reported)).reason
    ) == drifts


def test_reported_money_stands_where_we_have_no_price() -> None:
    found = cost(call(provider="openrouter", model="nobody/knows", reported_cost="0.5"))
    assert (found.status, found.exact, found.computed_atto) == ("reported", "0.5", None)


def test_reported_zero_for_an_unknown_model_is_the_providers_word() -> None:
    assert cost(call(provider="openrouter", model="nobody/knows", reported_cost="0")).exact == "0"


# layers


def own(**sections: object) -> PriceList:
    return PriceList.of(sections)


NEW = {"provider": "openai", "model": "gpt-6.3", "input_mtok": 2, "output_mtok": 10}


def test_an_override_beats_everything_below_and_leaves_other_units_alone() -> None:
    prices = own(
        prices=[{"provider": "openai", "model": "gpt-5", "input_mtok": 1}],
        contract=[{"provider": "openai", "discount": "0.5"}],
    )
    found = cost(call(), prices)
    assert found.exact == "0.0015"  # 1000 × 1 (yours, final) + 100 × 10 × 0.5
    assert found.price_source == "contract"
    assert found.list_atto == 2250 * 10**12


def test_a_contract_beats_the_overlay_and_genai_prices() -> None:
    found = cost(
        call(model="gpt-6.2-sol"),
        own(contract=[{"provider": "openai", "models": ["gpt-6.2-sol"], "output_mtok": 5}]),
    )
    assert (found.exact, found.price_source) == ("0.0025", "contract")


def test_a_discountable_override_still_gets_the_discount() -> None:
    found = cost(
        call(model="gpt-6.3"),
        own(
            prices=[{**NEW, "discountable": True}],
            contract=[{"provider": "openai", "discount": "0.1", "scope": "tokens"}],
        ),
    )
    assert found.exact == "0.0027"


def test_a_new_model_gets_the_rules_of_its_provider() -> None:
    prices = own(prices=[NEW])
    assert cost(call(model="gpt-6.3", terms={"processing": "batch"}), prices).exact == "0.0015"
    assert cost(call(model="gpt-6.3-2026-11-20", terms={"residency": "eu"}), prices).exact == "0.0033"
    assert cost(call(model="gpt-6.3", terms={"service_tier": "priority"}), prices).status == "unpriced"


def test_list_contracted_and_effective_are_kept_apart() -> None:
    found = cost(call(terms={}), own(contract=[{"provider": "openai", "discount": "0.2", "scope": "tokens"}]))
    assert (found.list_atto, found.contracted_atto, found.effective_atto) == (
        2250 * 10**12,
        1800 * 10**12,
        1800 * 10**12,
    )
    committed = cost(
        call(provider="azure", model="gpt-4o", terms={"deployment_type": "ProvisionedManaged"}),
        own(contract=[{"provider": "azure", "discount": "0.5"}]),
    )
    assert (committed.list_atto, committed.contracted_atto, committed.effective_atto) == (
        3500 * 10**12,
        1750 * 10**12,
        0,
    )


def test_a_dated_override_holds_from_its_instant_on() -> None:
    prices = own(
        prices=[
            {**NEW, "until": "2026-11-20T12:00:00Z"},
            {**NEW, "input_mtok": 1, "from": "2026-11-20T12:00:00Z"},
        ]
    )
    usage = Usage(input_uncached=1_000_000)
    assert cost(call(model="gpt-6.3", usage=usage), prices).exact == "1"
    assert cost(call(model="gpt-6.3", usage=usage, at=AT - timedelta(microseconds=1)), prices).exact == "2"


def test_before_a_dated_first_price_there_is_no_price() -> None:
    prices = own(prices=[{**NEW, "from": "2026-11-20"}])
    assert cost(call(model="gpt-6.3", at=AT - timedelta(days=2)), prices).status == "unpriced"


def test_overrides_may_name_own_hosts_and_tiers() -> None:
    prices = own(
        prices=[
            {
                "provider": "my-vllm",
                "models": ["llama*"],
                "input_mtok": "0.1",
                "output_mtok": "0.2",
                "above": {1000: {"input_mtok": "0.4"}},
            }
        ]
    )
    assert (
        cost(call(provider="my-vllm", model="llama-3", usage=Usage(input_uncached=1000)), prices).exact
        == "0.0001"
    )
    assert (
        cost(call(provider="my-vllm", model="llama-3", usage=Usage(input_uncached=1001)), prices).exact
        == "0.0004004"
    )


# the cache


def test_one_price_list_answers_any_order_of_instants_like_a_fresh_one() -> None:
    shared = PriceList.default()
    moments = [AT + timedelta(hours=17 * n) for n in range(-200, 60)]
    calls = [
        call("deepseek", "deepseek-v4-pro", moment)
        for moment in [*moments, *reversed(moments), *moments[::7]]
    ]
    fresh = PriceList.of({})
    assert [cost(c, shared) for c in calls] == [
        cost(c, PriceList.of({}) if n % 50 == 0 else fresh) for n, c in enumerate(calls)
    ]


@pytest.mark.parametrize(
    "model", ["gpt-5.6-sol", "gemini-4-argon", "deepseek-v4-pro", "claude-sonnet-4-6", "o3"]
)
def test_a_cached_vector_never_outlives_its_validity(model: str) -> None:
    provider = (
        {"g": "openai", "o": "openai", "d": "deepseek", "c": "anthropic"}[model[0]]
        if "gemini" not in model
        else "google"
    )
    prices = PriceList.of({})
    for n in range(-700, 60, 3):
        moment = AT + timedelta(days=n, hours=n % 24, minutes=n % 60)
        vector = prices.vector(call(provider, model, moment))
        assert vector.valid_from <= nanoseconds(moment) < vector.valid_until
        for edge in (vector.valid_from, vector.valid_until - 1):
            if 0 < edge < 1 << 62:
                again = PriceList.of({}).vector(
                    call(
                        provider,
                        model,
                        datetime.fromtimestamp(
                            edge // 10**9 + 1 if edge == vector.valid_from else edge // 10**9, timezone.utc
                        ),
                    )
                )
                assert again.base == vector.base


def test_terms_are_part_of_the_key() -> None:
    prices = PriceList.default()
    assert cost(call(terms={"service_tier": "flex"}), prices).exact != cost(call(terms={}), prices).exact


def test_another_models_part_does_not_run_in_fast_mode() -> None:
    found = cost(
        call(
            "anthropic",
            "claude-opus-5-5",
            terms={"speed": "fast"},
            parts=(Part("claude-haiku-4-5", Usage(input_uncached=1000, output=0)),),
        )
    )
    assert found.exact == "0.013"  # 1000 × 8 + 100 × 40 + 1000 × 1


def test_importing_pricing_loads_neither_the_price_data_nor_yaml() -> None:
    script = "import sys, otel_llm_cost.pricing; print({'genai_prices', 'yaml', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# windows


def test_windows_count_weekdays_and_holidays_in_their_own_zone() -> None:
    hour = DAY // 24
    windows = Windows(
        ((0, 24 * hour),),
        frozenset(range(5)),
        frozenset({nanoseconds(date(2026, 10, 1)) // DAY}),
        8 * hour,
    )
    at = lambda text: windows.holds(nanoseconds(datetime.fromisoformat(text)))  # noqa: E731
    assert at("2026-11-20T15:59:59+00:00")  # still Friday in Beijing
    assert not at("2026-11-20T16:00:00+00:00")  # Saturday there
    assert at("2026-11-22T16:00:00+00:00")  # Monday there
    assert not at("2026-09-30T16:00:00+00:00")  # the holiday there
    assert at("2026-10-01T16:00:00+00:00")


def test_a_price_is_independent_of_the_zone_the_instant_is_written_in() -> None:
    for hours in (-11, -3, 0, 5, 14):
        zone = timezone(timedelta(hours=hours))
        assert (
            cost(call("deepseek", "deepseek-v4-pro", AT.astimezone(zone))).exact
            == cost(call("deepseek", "deepseek-v4-pro")).exact
        )


def test_quantities_may_be_fractions() -> None:
    assert cost(call(model="whisper-1", usage=Usage(audio_seconds=Decimal("1.5")))).exact == "0.00015"
