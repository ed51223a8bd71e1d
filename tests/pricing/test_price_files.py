"""Files with prices: what is refused, and that the text names file, line, key and what was expected."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import get_args

import pytest
from tests.pricing.calls import AT, call, cost

from otel_llm_cost import config
from otel_llm_cost.core.cost import Status
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing import PriceList

GOOD = """\
prices:
  - provider: openai
    model: gpt-6.3-sol
    from: 2026-11-18
    input_mtok: 2
    output_mtok: 10
    above:
      272000: {input_mtok: 4, output_mtok: 15}
contract:
  - {provider: openai, scope: tokens, discount: 0.1, from: 2026-01-01, until: 2027-01-01}
providers:
  azure:
    deployments:
      my-resource/prod: {model: gpt-4o, type: DataZoneStandard, zone: eu}
"""


def load(tmp_path: Path, text: str) -> PriceList:
    file = tmp_path / "prices.yaml"
    file.write_text(text, encoding="utf-8")
    return PriceList.load(file)


def test_a_file_holds_prices_contract_and_deployments(tmp_path: Path) -> None:
    prices = load(tmp_path, GOOD)
    assert cost(call(model="gpt-6.3-sol"), prices).exact == "0.003"  # your price is final: no discount on it
    assert cost(call(model="gpt-5"), prices).exact == "0.002025"
    prod = call(provider="azure", model="prod", server_address="my-resource.openai.azure.com")
    assert cost(prod, prices).exact == "0.00385"  # 1.1 × Global; the contract is with OpenAI, not Azure


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "input_mtok: 2",
            "input_mtk: 2",
            ["prices.yaml:5", "prices.0.input_mtk", "did you mean 'input_mtok'"],
        ),
        ("input_mtok: 2", "input_mtok: two", ["prices.yaml:5", "input_mtok", "expected a number", "two"]),
        ("input_mtok: 2", "input_mtok: -2", ["prices.yaml:5", "cannot be negative"]),
        ("input_mtok: 2", "input_mtok: .nan", ["prices.yaml:5", "expected a number"]),
        ("input_mtok: 2", "input_mtok: 0.000002", ["prices.yaml:5", "price per token", "2 as input_mtok"]),
        ("input_mtok: 2", "input_mtok: 0.002", ["prices.yaml:6", "5000 times apart", "per thousand"]),
        ("input_mtok: 2", "input_mtok: 2000000", ["prices.yaml:5", "dearer than any model"]),
        ("from: 2026-11-18", "from: soon", ["prices.yaml:4", "expected a date", "soon"]),
        ("provider: openai\n", "provider:\n", ["prices.yaml:2", "expected the provider"]),
        ("    model: gpt-6.3-sol\n", "", ["expected the model"]),
        ("272000: {input_mtok: 4", "lots: {input_mtok: 4", ["prices.yaml:8", "number of prompt tokens"]),
        ("272000: {input_mtok: 4", "272000: {input: 4", ["prices.yaml:8", "not a price key"]),
        ("discount: 0.1", "discount: 15", ["prices.yaml:10", "share between 0 and 1"]),
        ("scope: tokens", "scope: everything", ["prices.yaml:10", "expected one of tokens, tools, all"]),
        ("until: 2027-01-01", "until: 2025-01-01", ["prices.yaml:10", "after `from`"]),
        ("prices:", "price:", ["prices.yaml:1", "price", "did you mean 'prices'"]),
        ("prices:\n  - provider", "prices:\n  provider", ["prices.yaml"]),
    ],
)
def test_a_wrong_entry_is_refused_with_file_line_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, says: list[str]
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        load(tmp_path, GOOD.replace(old, new, 1))
    for text in says:
        assert text in str(error.value)


def test_a_suspicious_price_that_is_right_can_be_confirmed(tmp_path: Path) -> None:
    text = GOOD.replace("input_mtok: 2", "input_mtok: 0.0001\n    confirm_unit: true", 1)
    assert cost(call(model="gpt-6.3-sol"), load(tmp_path, text)).exact == "0.0010001"


def test_a_price_a_thousand_times_off_the_published_one_is_refused(tmp_path: Path) -> None:
    text = "prices:\n  - {provider: openai, model: gpt-5, input_mtok: 1250}\n"
    with pytest.raises(ConfigError, match=r"1000 times off the published 1\.25"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from: 2026-01-01, until: 2026-06-02", "from: 2026-06-01"),
        ("until: 2026-06-01T00:00:01Z", "from: 2026-06-01"),
        ("input_mtok: 1", "from: 2026-06-01"),
    ],
)
def test_overlapping_dates_name_both_entries(tmp_path: Path, first: str, second: str) -> None:
    text = f"prices:\n  - {{provider: openai, model: gpt-5, input_mtok: 1, {first}}}\n"
    text = text.replace("input_mtok: 1, input_mtok: 1", "input_mtok: 1")
    text += f"  - {{provider: openai, model: gpt-5, input_mtok: 2, {second}}}\n"
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert "prices.yaml:2" in str(error.value)
    assert "prices.yaml:3" in str(error.value)
    assert "same time" in str(error.value)


def test_dates_that_touch_do_not_overlap(tmp_path: Path) -> None:
    text = "prices:\n  - {provider: openai, model: gpt-5, input_mtok: 1, until: 2026-06-01}\n"
    load(tmp_path, text + "  - {provider: openai, model: gpt-5, input_mtok: 2, from: 2026-06-01}\n")


def test_a_main_configuration_may_hold_the_same_sections_among_others(tmp_path: Path) -> None:
    file = tmp_path / "otel-llm-cost.yaml"
    file.write_text("grpc_port: 0\ncontract:\n  - {provider: openai, discount: 0.5}\n")
    assert cost(call(), PriceList.of_settings(config.load(file, {}))).exact == "0.001125"
    own = tmp_path / "prices.yaml"
    own.write_text("prices:\n  - {provider: openai, model: gpt-5, output_mtok: 20}\n")
    file.write_text(f"{file.read_text()}price_overrides: {own}\n")
    assert cost(call(), PriceList.of_settings(config.load(file, {}))).exact == "0.002625"


def test_a_wrong_price_in_the_main_configuration_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "otel-llm-cost.yaml"
    file.write_text("grpc_port: 0\ncontract:\n  - {provider: openai, discount: 50}\n")
    with pytest.raises(ConfigError, match=r"otel-llm-cost\.yaml:3: contract\.0\.discount"):
        config.load(file, {})


def test_own_windows_may_pass_midnight(tmp_path: Path) -> None:
    text = """\
calendars:
  night: {utc: ["22:00-06:00"], weekdays: [mon, tue, wed, thu, fri]}
prices:
  - {provider: mine, model: m, input_mtok: 2}
  - {provider: mine, model: m, input_mtok: 1, during: night}
"""
    prices = load(tmp_path, text)
    usage = Usage(input_uncached=1_000_000)
    for hour, dollars in ((21, "2"), (22, "1"), (23, "1"), (5, "1"), (6, "2")):
        assert cost(call("mine", "m", AT.replace(hour=hour), usage=usage), prices).exact == dollars
    for wrong, says in (("mon, tue", "moon, tue"), ("22:00-06:00", "late")):
        with pytest.raises(ConfigError, match=r"prices\.yaml:2: calendars\.night"):
            load(tmp_path, text.replace(wrong, says))


def test_rules_are_the_overlays_business(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rules"):
        load(tmp_path, "rules:\n  - {rule: multiply, provider: openai, factor: 0}\n")


GUIDE = Path(__file__).parents[2] / "docs/pricing.md"


def test_the_example_of_the_guide_prices_as_it_says(tmp_path: Path) -> None:
    example = GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    prices = load(tmp_path, example)
    usage = Usage(input_uncached=1_000_000, output=1_000_000)
    assert cost(call("openai", "gpt-99", usage=usage), prices).exact == "19"  # above 272,000: 4 + 15
    small = Usage(input_uncached=1000, cache_read=1000, output=1000)
    assert cost(call("openai", "gpt-99-2026-11-05", usage=small), prices).exact == "0.0122"
    batch = call(
        "openai", "gpt-99", usage=Usage(input_uncached=1000, output=1000), terms={"processing": "batch"}
    )
    assert cost(batch, prices).exact == "0.006"
    assert (
        cost(call("openai", "gpt-99", datetime(2026, 10, 31, 23, tzinfo=timezone.utc)), prices).status
        == "unpriced"
    )
    discounted = cost(call("anthropic", "claude-sonnet-4-5"), prices)
    assert discounted.contracted_atto * 100 == discounted.list_atto * 85
    assert cost(call("openai", "gpt-5", usage=Usage(output=1_000_000)), prices).exact == "9"
    deployed = call(
        "azure.ai.openai", "chat", server_address="my-resource.openai.azure.com", deployment="chat"
    )
    assert cost(deployed, prices).exact == "0.00385"  # Data Zone: 10 % above 2.50 and 10
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    assert cost(call("aws.bedrock", arn), prices).exact == "0.00495"


def test_the_guide_names_every_status() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [status for status in get_args(Status) if f"| `{status}` |" not in text] == []
