"""Real SDKs against a local provider that keeps its own books: what it billed never passes the limit."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_llm_cost import wiring
from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.stores.memory import MemoryStore
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import BudgetExceeded, CallDenied
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.pipeline import Pipeline
from otel_llm_cost.policies.budget import EnforceBudgets
from otel_llm_cost.policies.price import Price
from otel_llm_cost.policies.trace import Trace

MESSAGES: Any = [{"role": "user", "content": "Say something about budgets."}]


class World:
    """An instrumented process: its spans, its records, its book."""

    def __init__(self, provider: Provider, *budgets: dict[str, Any]) -> None:
        self.provider = provider
        self.spans = InMemorySpanExporter()
        self.records: list[Call] = []
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.store = MemoryStore()
        self.book = Book(self.store, read_budgets(budgets))
        pipeline = Pipeline(
            (
                Trace(tracers.get_tracer("test"), lambda call, _context=None: self.records.append(call)),
                EnforceBudgets(self.book),
                Price(),
            )
        )
        for sdk in ("openai", "anthropic"):
            wiring.instrument_sdk(sdk, pipeline=pipeline)
        self.openai = openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=2)
        self.async_openai = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="k", max_retries=2)
        self.anthropic = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="k", max_retries=2)

    def chat(self, **more: Any) -> Any:
        more = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": MESSAGES, **more}
        return self.openai.chat.completions.create(**more)

    def spent(self) -> tuple[Decimal, int]:
        """Settled USD, and calls still holding a reservation."""
        wiring.flush(idle_s=0)
        self.book.tick()
        states = [state for state in self.store.states() if state.account.measure == "usd"]
        held = sum(share.held > 0 for share in self.book._refill.shares.values())
        return Decimal(states[0].spent).scaleb(-9), held

    def unknown(self) -> Decimal:
        wiring.flush(idle_s=0)
        self.book.tick()
        return Decimal(self.store.states()[0].unknown).scaleb(-9)

    def billed(self) -> Decimal:
        return Decimal(self.provider.bill.usd)


@pytest.fixture
def world(provider: Provider) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*budgets: dict[str, Any]) -> World:
        made.append(World(provider, *budgets))
        return made[-1]

    yield make
    for sdk in ("openai", "anthropic"):
        wiring.uninstrument_sdk(sdk)
    for each in made:
        each.book.close()


def test_a_call_is_settled_to_what_the_provider_billed(world: Callable[..., World]) -> None:
    here = world({"name": "all", "limit": "5 USD"})
    here.chat()
    list(here.chat(stream=True))
    here.openai.responses.create(model="gpt-4o-mini", input="hello", max_output_tokens=50)
    here.openai.embeddings.create(model="text-embedding-3-small", input="hello")
    here.anthropic.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=MESSAGES)
    spent, held = here.spent()
    assert held == 0
    assert abs(spent - here.billed()) < Decimal("2e-9")


def test_a_call_that_could_pass_the_limit_is_not_made(world: Callable[..., World]) -> None:
    here = world({"name": "tiny", "limit": "0.00001 USD", "contact": "finops@example.com"})
    with pytest.raises(BudgetExceeded) as caught:
        here.chat()
    error = caught.value
    assert here.provider.requests == []
    assert "budget tiny has no room: of 0.00001 USD, 0.00 USD are spent" in str(error)
    assert "it starts over at" in str(error)
    assert "ask finops@example.com" in str(error)
    assert (error.budget, error.limit, error.spent) == ("tiny", Decimal("0.00001"), 0)
    assert isinstance(error, CallDenied)
    assert not isinstance(error, openai.OpenAIError)
    (span,) = here.spans.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert attributes["llm_cost.denied_by"] == "budget"
    assert attributes["error.type"] == "BudgetExceeded"
    assert "llm_cost.cost.total" not in attributes


def test_the_error_survives_the_trip_to_another_process(world: Callable[..., World]) -> None:
    here = world({"name": "tiny", "limit": "0.00001 USD"})
    with pytest.raises(BudgetExceeded) as caught:
        here.chat()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.limit, copy.budget) == (str(caught.value), Decimal("0.00001"), "tiny")


def test_the_sdk_does_not_retry_against_our_own_wall(world: Callable[..., World]) -> None:
    here = world({"name": "tiny", "limit": "0.00001 USD"})
    with pytest.raises(BudgetExceeded):
        here.chat()
    assert len(here.spans.get_finished_spans()) == 1


def test_a_hundred_threads_use_a_budget_for_ten_calls_and_no_more(world: Callable[..., World]) -> None:
    here = world({"name": "all", "limit": "10 calls"}, {"name": "usd", "limit": "5 USD"})
    allowed: list[object] = []

    def one(_: int) -> None:
        with suppress(BudgetExceeded):
            allowed.append(here.chat(max_tokens=16))

    with ThreadPoolExecutor(25) as pool:
        list(pool.map(one, range(100)))
    assert len(allowed) == 10
    assert len(here.provider.requests) == 10


async def test_a_hundred_tasks_spend_what_there_is_and_no_more(world: Callable[..., World]) -> None:
    limit = Decimal("0.0004")
    here = world({"name": "usd", "limit": f"{limit} USD"})

    async def one() -> bool:
        try:
            await here.async_openai.chat.completions.create(
                model="gpt-4o-mini", max_tokens=20, messages=MESSAGES
            )
        except BudgetExceeded:
            return False
        return True

    answers = await asyncio.gather(*(one() for _ in range(60)))
    assert 0 < sum(answers) < 60
    assert here.billed() <= limit
    while True:  # one after the other the rest of the budget can be used, up to less than one bound
        if not await one():
            break
    assert here.billed() <= limit
    assert here.billed() > limit * 8 // 10
    await here.async_openai.close()


def test_every_attempt_reserves_anew_and_a_refused_one_gives_back(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "usd", "limit": "5 USD"})
    provider.script("status=429 | ok")
    here.chat()
    spent, held = here.spent()
    assert (held, here.unknown()) == (0, 0)
    assert abs(spent - here.billed()) < Decimal("2e-9")


def test_an_attempt_whose_outcome_is_unknown_stays_charged(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "usd", "limit": "5 USD"})
    provider.script("dies=true | ok")
    here.chat()
    assert here.unknown() > 0
    assert here.spent()[1] == 0


def test_a_refused_connection_costs_nothing(world: Callable[..., World]) -> None:
    here = world({"name": "usd", "limit": "5 USD"})
    nobody = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=1)
    with pytest.raises(openai.APIConnectionError):
        nobody.chat.completions.create(model="gpt-4o-mini", max_tokens=5, messages=MESSAGES)
    assert here.spent() == (0, 0)
    assert here.unknown() == 0


def test_an_aborted_stream_stays_charged_at_its_bound(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "usd", "limit": "5 USD"})
    provider.script("chunks=40")
    stream = here.chat(stream=True, max_tokens=100)
    next(iter(stream))
    stream.close()
    assert here.unknown() >= here.billed()
    assert here.spent()[1] == 0


def test_a_stream_closed_in_another_thread_settles_once(world: Callable[..., World]) -> None:
    here = world({"name": "usd", "limit": "5 USD"})
    stream = here.chat(stream=True)
    reader = threading.Thread(target=lambda: [None for _ in stream])
    reader.start()
    reader.join()
    stream.close()
    spent, held = here.spent()
    assert held == 0
    assert abs(spent - here.billed()) < Decimal("2e-9")


async def test_a_retry_on_an_event_loop_reserves_without_blocking_it(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "calls", "limit": "1 calls"}, {"name": "usd", "limit": "5 USD"})
    provider.script("status=500 | ok")
    with pytest.raises(BudgetExceeded, match="budget calls has no room"):
        await here.async_openai.chat.completions.create(model="gpt-4o-mini", max_tokens=5, messages=MESSAGES)
    assert len(provider.requests) == 1
    assert sum(share.held for share in here.book._refill.shares.values()) == 0
    await here.async_openai.close()


def test_a_budget_per_customer_stops_only_that_customer(world: Callable[..., World]) -> None:
    here = world({"name": "each", "limit": "2 calls", "per": "customer_id"})
    for customer in ("a", "b"):
        for _ in range(2):
            here.chat(user=customer)
    with pytest.raises(BudgetExceeded) as caught:
        here.chat(user="a")
    assert "budget each (customer_id=a) has no room" in str(caught.value)
    here.chat(user="c")


def test_all_matching_budgets_must_agree(world: Callable[..., World]) -> None:
    here = world(
        {"name": "company", "limit": "100 calls"},
        {"name": "mini", "match": {"model": "gpt-4o-mini*"}, "limit": "1 calls"},
    )
    here.chat()
    with pytest.raises(BudgetExceeded, match="budget mini"):
        here.chat()
    here.chat(model="gpt-4o")
    assert {share.budget.name: share.spent for share in here.book._refill.shares.values()} == {
        "company": 2,
        "mini": 1,
    }


def test_a_budget_that_warns_lets_the_call_through_and_says_so(world: Callable[..., World]) -> None:
    here = world({"name": "soft", "limit": "1 calls", "action": "warn"})
    here.chat()
    here.chat()
    first, second = (dict(span.attributes or {}) for span in here.spans.get_finished_spans())
    assert "llm_cost.budget.action" not in first
    assert second["llm_cost.budget.action"] == "warn"
    assert second["llm_cost.budget.name"] == "soft"


def test_production_is_warned_and_staging_is_stopped(world: Callable[..., World]) -> None:
    here = world({"name": "b", "limit": "1 calls"})
    headers = {"x-litellm-tags": "environment:production"}
    for _ in range(3):
        here.chat(extra_headers=headers)
    with pytest.raises(BudgetExceeded):
        here.chat(extra_headers={"x-litellm-tags": "environment:staging"})


def test_a_budget_that_degrades_asks_the_cheaper_model(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "b", "limit": "0.001 USD", "action": "degrade", "degrade_to": "gpt-4.1-nano"})
    answer = here.chat(model="gpt-4o", max_tokens=200)
    assert answer.model.startswith("gpt-4.1-nano")
    (span,) = here.spans.get_finished_spans()
    assert dict(span.attributes or {})["llm_cost.budget.action"] == "degrade"
    assert abs(here.spent()[0] - here.billed()) < Decimal("2e-9")


def test_a_budget_that_caps_lowers_the_output_limit_to_what_is_left(
    world: Callable[..., World], provider: Provider
) -> None:
    here = world({"name": "b", "limit": "0.0002 USD", "action": "cap_output"})
    here.chat(max_tokens=5000)
    sent = (
        json.loads(provider.requests[0].body)
        if isinstance(provider.requests[0].body, bytes | str)
        else provider.requests[0].body
    )
    assert 16 <= sent["max_tokens"] < 400
    assert here.billed() <= Decimal("0.0002")


def test_near_the_limit_the_prompt_is_counted_exactly(world: Callable[..., World]) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 60  # 2,700 bytes, about 600 tokens
    here = world({"name": "tokens", "limit": "1500 tokens"})
    here.chat(messages=[{"role": "user", "content": text}], max_tokens=50)
    assert len(here.provider.requests) == 1


def test_calls_that_cannot_be_bounded_are_refused_where_the_budget_says_so(
    world: Callable[..., World],
) -> None:
    here = world({"name": "strict", "limit": "100 USD", "unbounded": "deny"})
    image: Any = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
    ]
    with pytest.raises(BudgetExceeded, match=r"refuses calls whose cost has no upper bound .*: an image"):
        here.chat(messages=image)
    with pytest.raises(BudgetExceeded, match="no price for model gpt-next-preview"):
        here.chat(model="gpt-next-preview")
    with pytest.raises(BudgetExceeded, match="an earlier answer that the provider keeps"):
        here.openai.responses.create(
            model="gpt-4o-mini", input="x", max_output_tokens=9, previous_response_id="r"
        )
    assert here.provider.requests == []


def test_a_raise_is_seen_by_a_running_process(world: Callable[..., World]) -> None:
    from otel_llm_cost.budgets.lease import Raise

    here = world({"name": "b", "limit": "1 calls"})
    here.chat()
    with pytest.raises(BudgetExceeded):
        here.chat()
    here.store.add_raise(Raise("b", 1, 2**40, "launch", "ann", 0))
    here.book.tick()  # our thread does so every two seconds
    here.chat()
    with pytest.raises(BudgetExceeded):
        here.chat()
