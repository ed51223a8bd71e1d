"""Storms are stopped within dollars and seconds; a normal day is not disturbed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_llm_cost import wiring
from otel_llm_cost.budgets.storm_settings import Breakers, Velocity
from otel_llm_cost.budgets.storms import (
    Attempt,
    Breaker,
    ErrorStorms,
    Loops,
    Outcome,
    RetryStorms,
    Velocities,
)
from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.core.errors import BreakerOpen, CallDenied
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.pipeline import Pipeline
from otel_llm_cost.policies.breaker import BreakCircuits, _repeats
from otel_llm_cost.policies.price import Price
from otel_llm_cost.policies.trace import Trace

CENT = ATTO // 100
DEFAULTS = Breakers()


def test_the_loop_that_burned_72000_dollars_is_stopped_in_seconds() -> None:
    """A retry loop without backoff: 20 calls a second of 5 cents for 20 hours, 72,000 USD if not stopped."""
    breaker = Breaker(RetryStorms(DEFAULTS.retry_storm))
    attempt = Attempt(7, "", "openai/gpt-5", {"feature": "summary"})
    made, first_stop, now = 0, None, 0.0
    while now < 20 * 3600:
        if breaker.check(attempt, now) is None:
            made += 1
            breaker.tell(attempt, Outcome(5 * CENT, False), now)
        elif first_stop is None:
            first_stop = (now, made)
        now += 0.05
    assert first_stop is not None
    seconds, calls = first_stop
    assert seconds <= 2.0
    assert calls * 5 * CENT <= 2 * ATTO
    assert made * 5 * CENT < 10 * ATTO  # probes of 20 hours included


def test_a_breaker_closes_by_itself_once_the_storm_is_over() -> None:
    breaker = Breaker(RetryStorms(DEFAULTS.retry_storm))
    attempt = Attempt(7, "", "r", {})
    storm = [breaker.check(attempt, index * 0.1) for index in range(60)]
    assert storm[0] is None
    assert storm[-1] is not None
    assert "the same request was made 40 times within 3.9 s" in storm[-1].reason
    assert breaker.check(attempt, 200.0) is None  # half open
    assert breaker.check(attempt, 300.0) is None
    assert breaker.opened == {}


def test_a_storm_that_goes_on_is_stopped_for_longer_each_time() -> None:
    breaker = Breaker(RetryStorms(DEFAULTS.retry_storm))
    attempt = Attempt(7, "", "r", {})
    stops = []
    was_open = False
    for tick in range(40_000):
        is_open = breaker.check(attempt, tick * 0.1) is not None
        if is_open and not was_open:
            stops.append(tick * 0.1)
        was_open = is_open
    pauses = [later - earlier for earlier, later in pairwise(stops)]
    assert pauses == sorted(pauses)
    assert pauses[1] > 1.9 * pauses[0]


def normal_day(seed: int) -> Iterator[tuple[float, Attempt, Outcome]]:
    """A day of 120,000 calls: a chat where greetings repeat, a nightly batch, agents, a health check, and a
    minute in which one call in three fails and is retried with backoff."""
    dice = random.Random(seed)
    events: list[tuple[float, Attempt, Outcome]] = []
    for _ in range(80_000):  # chat, busy at noon
        at = min(max(dice.gauss(13, 3.5), 0), 23.99) * 3600
        customer = dice.randrange(4000)
        text = "hello" if dice.random() < 0.2 else dice.random()
        failed = 43_200 < at < 43_260 and dice.random() < 0.33
        cost = int(abs(dice.gauss(2, 1)) * CENT) // 10
        tags = {"feature": "chat", "customer_id": str(customer)}
        attempt = Attempt(hash((customer, text)), f"s{customer}-{int(at // 600)}", "openai/gpt-4o", tags)
        events.append((at, attempt, Outcome(0 if failed else cost, failed)))
        if failed:  # the SDK tries twice more, with backoff
            events += [(at + wait, attempt, Outcome(cost, False)) for wait in (0.5, 1.5)]
    for number in range(20_000):  # a batch at night: as fast as it goes, every document once
        attempt = Attempt(hash(("doc", number)), "", "openai/gpt-4o-mini", {"feature": "index"})
        events.append((2 * 3600 + number * 0.1, attempt, Outcome(CENT // 50, False)))
    for agent in range(400):  # agents of up to 60 steps, which call a tool twice in a row now and then
        at = dice.random() * 86_000
        for step in range(dice.randrange(3, 60)):
            attempt = Attempt(
                hash((agent, step)),
                f"a{agent}",
                "anthropic/claude",
                {"feature": "agent"},
                dice.choice((0, 1, 2, 3)),
            )
            at += dice.random() * 4
            events.append((at, attempt, Outcome(int(abs(dice.gauss(3, 2)) * CENT), False)))
    for minute in range(1440):  # a health check: the same prompt every 15 seconds, all day
        for quarter in range(4):
            attempt = Attempt(99, "", "openai/gpt-4o-mini", {"feature": "health"})
            events.append((minute * 60 + quarter * 15.0, attempt, Outcome(CENT // 1000, False)))
    return iter(sorted(events, key=lambda event: event[0]))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_normal_day_passes_without_a_false_alarm(seed: int) -> None:
    detectors: list[Any] = [
        RetryStorms(DEFAULTS.retry_storm),
        Loops(DEFAULTS.loop),
        Velocities(DEFAULTS.velocity),
        ErrorStorms(DEFAULTS.error_storm),
    ]
    breakers = [Breaker(detector) for detector in detectors]
    calls, alarms = 0, []
    for now, attempt, outcome in normal_day(seed):
        calls += 1
        alarms += [trip for breaker in breakers if (trip := breaker.check(attempt, now))]
        for breaker in breakers:
            breaker.tell(attempt, outcome, now)
    assert calls > 110_000
    assert alarms == []


def spend(breaker: Breaker, usd_cents: int, minutes: range) -> list[str]:
    """One call every ten seconds; the reasons of those that were stopped."""
    attempt = Attempt(1, "", "r", {"feature": "f"})
    reasons = []
    for minute in minutes:
        for ten in range(6):
            now = minute * 60.0 + ten * 10
            trip = breaker.check(attempt, now)
            if trip is not None:
                reasons.append(trip.reason)
            else:
                breaker.tell(attempt, Outcome(usd_cents * CENT // 6, False), now)
    return reasons


def test_velocity_is_stopped_at_its_cap() -> None:
    breaker = Breaker(Velocities(Velocity.model_validate({"cap": "1 USD"})))
    assert spend(breaker, 90, range(10)) == []
    reasons = spend(breaker, 600, range(10, 12))
    assert reasons
    assert "feature=f spent" in reasons[0]
    assert "the cap is 1.00 USD" in reasons[0]


def test_velocity_is_stopped_when_it_leaves_its_own_past_far_behind() -> None:
    breaker = Breaker(Velocities(Velocity()))
    assert spend(breaker, 50, range(120)) == []
    assert spend(breaker, 400, range(120, 125)) == []  # eight times, and below the least
    reasons = spend(breaker, 3000, range(125, 127))
    assert reasons
    assert "usual is" in reasons[0]


def test_a_route_where_everything_fails_is_given_a_rest() -> None:
    breaker = Breaker(ErrorStorms(DEFAULTS.error_storm))
    attempt = Attempt(1, "", "openai/gpt-4o", {})
    answers = []
    for index in range(150):
        answers.append(breaker.check(attempt, index * 0.5))
        breaker.tell(attempt, Outcome(0, True), index * 0.5)
    stopped = [trip for trip in answers if trip]
    assert len(answers) - len(stopped) == 100
    assert stopped[0].reason == "100 of the last 100 calls of openai/gpt-4o failed"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": "f", "arguments": "{}"}}]},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "y", "name": "f", "input": {}}]},
    ],
)
def test_a_tool_call_that_repeats_is_counted_in_every_dialect(message: dict[str, Any]) -> None:
    answer = {"role": "tool", "content": "no"}
    assert _repeats({"messages": [message, answer] * 5}) == 5
    assert _repeats({"input": [message, answer] * 3}) == 3
    other = {"role": "assistant", "tool_calls": [{"function": {"name": "g", "arguments": "{}"}}]}
    assert _repeats({"messages": [message, answer, other, answer, message]}) == 1
    assert _repeats({"messages": "text"}) == 0


@pytest.fixture
def storming(provider: Provider) -> Iterator[tuple[openai.OpenAI, InMemorySpanExporter]]:
    spans = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    settings = Breakers.model_validate({"retry_storm": {"attempts": 5}, "loop": {"repeated_tool_calls": 4}})
    pipeline = Pipeline((Trace(tracers.get_tracer("t"), lambda *_: None), BreakCircuits(settings), Price()))
    wiring.instrument_sdk("openai", pipeline=pipeline)
    yield openai.OpenAI(base_url=provider.openai_url, api_key="k"), spans
    wiring.uninstrument_sdk("openai")


def test_a_real_loop_is_refused_and_says_who(
    storming: tuple[openai.OpenAI, InMemorySpanExporter], provider: Provider
) -> None:
    client, spans = storming

    def again() -> None:
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "again"}],
            extra_headers={"x-litellm-tags": "team:search"},
        )

    for _ in range(4):
        again()
    with pytest.raises(BreakerOpen) as caught:
        again()
    assert len(provider.requests) == 4
    assert isinstance(caught.value, CallDenied)
    assert "breaker retry_storm is open: the same request was made 5 times" in str(caught.value)
    assert "team=search" in str(caught.value)
    attributes = dict(spans.get_finished_spans()[-1].attributes or {})
    assert attributes["llm_cost.denied_by"] == "breaker"
    assert attributes["llm_cost.breaker.name"] == "retry_storm"
    for number in range(20):  # other requests go on
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"another {number}"}]
        )
