"""The provider's bill, against sums worked out by hand; and its price table against the price database."""

from __future__ import annotations

from decimal import Decimal

import pytest
from anthropic import Anthropic
from genai_prices import Usage, calc_price
from openai import OpenAI

from otel_llm_cost.demo.provider import Bill, Line, Provider, Quantities
from otel_llm_cost.demo.provider.bill import usd
from otel_llm_cost.demo.provider.prices import LONGEST_PROMPT, MODELS, Model

ASK = [{"role": "user", "content": "Hello"}]
NOT_LISTED = {"gpt-next-preview", "claude-next-preview"}
LISTED_AS = {"fireworks_ai": "fireworks", "together_ai": "together"}
"""The price database's names of providers, where they differ from OpenTelemetry's."""
LISTED = {
    name: model for name, model in MODELS.items() if name not in NOT_LISTED and model.provider != "writer"
}


@pytest.mark.parametrize(
    ("provider", "model", "quantities", "expected"),
    [
        # 1,000 x $0.15/M + 500 x $0.60/M
        ("openai", "gpt-4o-mini-2024-07-18", Quantities(input=1_000, output=500), "0.00045"),
        # 300 x $2.00/M + 1,024 x $0.50/M + 7 x $8.00/M
        ("openai", "gpt-4.1", Quantities(input=300, cache_read=1_024, output=7), "0.001168"),
        # 476 x $0.10/M + 1,024 x $0.125/M + 3 x $0.50/M
        ("openai", "gpt-6-luna", Quantities(input=476, cache_write=1_024, output=3), "0.0001771"),
        # reasoning is a part of the output: 10 x $0.05/M + 100 x $0.40/M
        ("openai", "gpt-5-nano", Quantities(input=10, output=100, reasoning=64), "0.0000405"),
        # 1 x $0.02/M
        ("openai", "text-embedding-3-small", Quantities(input=1), "0.00000002"),
        # 5 x $1 + 2,001 x $2 (1 h) + 301 x $1.25 (5 min) + 4,096 x $0.10 + 49 x $5, per million
        (
            "anthropic",
            "claude-haiku-4-5-20251001",
            Quantities(input=5, cache_read=4_096, cache_write_5m=301, cache_write_1h=2_001, output=49),
            "0.00503785",
        ),
        # 10 x $2/M + 20 x $10/M + 3 searches at $10 a thousand
        ("anthropic", "claude-sonnet-5-5", Quantities(input=10, output=20, web_searches=3), "0.03022"),
        ("openai", "gpt-4o", Quantities(), "0"),
    ],
)
def test_a_line_is_worth_what_a_hand_works_out(
    provider: str, model: str, quantities: Quantities, expected: str
) -> None:
    assert Line(provider, model, "req", "id", quantities).usd == expected


def test_the_total_is_the_sum_of_the_lines_and_nothing_is_rounded() -> None:
    bill = Bill()
    for _ in range(3):
        bill.add(Line("openai", "gpt-5-nano", "req", "id", Quantities(cache_read=1)))
    assert bill.picodollars == 15_000
    assert bill.usd == "0.000000015"
    assert usd(10**12) == "1"
    assert usd(123 * 10**12 + 1) == "123.000000000001"


@pytest.mark.parametrize(("name", "model"), LISTED.items(), ids=list(LISTED))
def test_every_price_is_the_published_one(name: str, model: Model) -> None:
    units = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_tokens",
        "cache_write": "cache_write_tokens",
        "cache_write_5m": "cache_write_tokens",
        "cache_write_1h": "cache_1h_write_tokens",
    }
    for unit, price in model.prices.items():
        quantities = {units[unit]: 1_000}
        if unit.startswith("cache"):
            quantities["input_tokens"] = 1_000
        if unit == "cache_write_1h":
            quantities = {"input_tokens": 1_000, "cache_write_tokens": 1_000, "cache_write_1h_tokens": 1_000}
        published = calc_price(Usage(**quantities), model_ref=model.served_as, provider_id=_listed(model))
        assert published.total_price == Decimal(price) * 1_000 / 10**12, f"{name} {unit}"


@pytest.mark.parametrize("name", sorted(NOT_LISTED))
def test_tomorrows_models_are_in_no_price_list(name: str) -> None:
    with pytest.raises(LookupError):
        calc_price(Usage(input_tokens=1), model_ref=name, provider_id=MODELS[name].provider)


def test_what_a_response_says_is_what_the_bill_charges(provider: Provider) -> None:
    quantities = "input=100,cache_read=2048,output=60,reasoning=20"
    provider.script(quantities, quantities, f"{quantities},cache_write_5m=7,cache_write_1h=11")
    with OpenAI(base_url=provider.openai_url, api_key="any") as openai:
        chat = openai.chat.completions.create(model="gpt-4.1", messages=ASK).usage
        response = openai.responses.create(model="gpt-4.1", input="Hello").usage
    with Anthropic(base_url=provider.anthropic_url, api_key="any") as anthropic:
        message = anthropic.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=ASK).usage
    assert (chat.prompt_tokens, chat.prompt_tokens_details.cached_tokens) == (2_148, 2_048)
    assert (response.input_tokens, response.output_tokens) == (2_148, 60)
    assert (message.input_tokens, message.cache_read_input_tokens) == (100, 2_048)
    assert message.cache_creation_input_tokens == 18
    openai_usd = (100 * 2_000_000 + 2_048 * 500_000 + 60 * 8_000_000) * 2
    anthropic_usd = 100 * 1_000_000 + 2_048 * 100_000 + 7 * 1_250_000 + 11 * 2_000_000 + 60 * 5_000_000
    assert provider.bill.picodollars == openai_usd + anthropic_usd
    assert {line.complete for line in provider.bill} == {True}


def test_no_prompt_is_so_long_that_its_price_would_rise() -> None:
    for model in LISTED.values():
        if model.prices["output"]:
            usage = Usage(input_tokens=LONGEST_PROMPT)
            at_most = calc_price(usage, model_ref=model.served_as, provider_id=_listed(model))
            assert at_most.total_price == Decimal(LONGEST_PROMPT * model.prices["input"]) / 10**12


def _listed(model: Model) -> str:
    return LISTED_AS.get(model.provider, model.provider)
