"""A call travels as attributes and comes back the same: what holds the app and the collector together."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm_cost.core import semconv
from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import Cost, Status, from_text, to_text
from otel_llm_cost.core.units import UNIT
from otel_llm_cost.core.usage import Usage

texts = st.text(max_size=12)
names = st.text("abcdefgh_.", min_size=1, max_size=8)
whole = st.integers(0, 10**12)
part = st.decimals("0.001", "1000000", places=3, allow_nan=False)
TOKENS = sorted(name for name, unit in UNIT.items() if unit.family in ("input", "output"))
FEES = sorted(name for name, unit in UNIT.items() if unit.family == "fee")


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage as `pricing.normalise` makes it: reasoning is a part of output."""
    found: dict[str, Any] = draw(st.dictionaries(st.sampled_from(TOKENS), whole, max_size=5))
    if found.get("output"):
        found["reasoning"] = draw(st.integers(0, found["output"]))
    found.update(draw(st.dictionaries(st.sampled_from(FEES), st.one_of(whole, part), max_size=3)))
    return Usage(found)


atto = st.one_of(st.none(), st.integers(0, 10**30))


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    """A cost; its components are not sent, and without an amount there is none of any kind."""
    status = draw(st.sampled_from(get_args(Status)))
    more = {
        "reason": draw(texts),
        "price_id": draw(texts),
        "price_version": draw(texts),
        "price_source": draw(texts),
    }
    if status == "unpriced":
        return Cost(status, **more)
    effective = draw(st.integers(0, 10**30))
    listed, contracted = draw(atto), draw(atto)
    return Cost(
        status,
        effective,
        effective if listed is None else listed,
        effective if contracted is None else contracted,
        draw(atto.filter(lambda amount: amount != effective)),
        **more,
    )


calls = st.builds(
    Call,
    provider=texts,
    operation=texts,
    request_model=texts,
    api=texts,
    response_model=texts,
    response_id=texts,
    request_id=texts,
    attempt=st.integers(1, 9),
    stream=st.booleans(),
    server_address=texts,
    server_port=st.one_of(st.none(), st.integers(0, 65535)),
    started_at=whole,
    ended_at=st.one_of(st.none(), whole),
    time_to_first_chunk_s=st.one_of(st.none(), st.floats(0, 1e6)),
    max_tokens=st.one_of(st.none(), whole),
    usage=usages(),
    usage_source=st.sampled_from(["provider", "stream", "estimated", "missing"]),
    parts=st.lists(st.builds(Part, texts, usages()), max_size=2).map(tuple),
    terms=st.dictionaries(names, texts, max_size=3),
    reported_cost=texts,
    raw_usage=texts,
    usage_flags=st.lists(texts, max_size=2).map(tuple),
    cost=st.one_of(st.none(), costs()),
    tags=st.dictionaries(st.one_of(st.sampled_from(semconv.WELL_KNOWN_TAGS), names), texts, max_size=5),
    conversation_id=texts,
    prompt_hash=texts,
    billing_account=texts,
    project=texts,
    api_key_hash=texts,
    deployment=texts,
    finish_reasons=st.lists(texts, max_size=2).map(tuple),
    error_type=texts,
    status_code=st.one_of(st.none(), st.integers(100, 599)),
    denied_by=texts,
)


@settings(max_examples=300)
@given(calls)
def test_a_call_comes_back_as_it_went(call: Call) -> None:
    back = semconv.from_attributes(
        semconv.to_attributes(call), started_at=call.started_at, ended_at=call.ended_at
    )
    assert back == call


@settings(max_examples=100)
@given(calls)
def test_attributes_are_what_opentelemetry_can_send(call: Call) -> None:
    for name, value in semconv.to_attributes(call).items():
        assert name
        assert isinstance(value, str | bool | int | float) or (
            isinstance(value, tuple) and all(isinstance(item, str) for item in value)
        )


def test_totals_follow_the_conventions_cached_tokens_included() -> None:
    usage = Usage(
        input_uncached=100, cache_read=50, cache_write_5m=7, cache_write_1h=3, output=20, reasoning=5
    )
    sent = semconv.to_attributes(Call("anthropic", "chat", "m", usage=usage))
    assert sent[semconv.INPUT_TOKENS] == 160
    assert sent[semconv.CACHE_READ] == 50
    assert sent[semconv.CACHE_WRITE] == sent[semconv.CACHE_WRITE_DEPRECATED] == 10
    assert sent[semconv.OUTPUT_TOKENS] == 20
    assert sent[semconv.REASONING] == 5
    assert sent["llm_cost.usage.cache_write_1h"] == 3


def test_what_is_not_known_is_not_sent() -> None:
    call = Call("openai", "chat", "m", call_id="c")
    assert semconv.to_attributes(call) == {
        semconv.OPERATION: "chat",
        semconv.PROVIDER: "openai",
        semconv.REQUEST_MODEL: "m",
        semconv.CALL_ID: "c",
        semconv.USAGE_SOURCE: "missing",
        "llm_cost.attempt": 1,
    }


def test_a_cost_is_sent_as_an_exact_text_and_as_a_number() -> None:
    call = Call("openai", "chat", "m", cost=Cost("priced", from_text("0.00352"), from_text("0.00352")))
    sent = semconv.to_attributes(call)
    assert sent[semconv.COST_EXACT] == "0.00352"
    assert sent["llm_cost.cost.total"] == 0.00352
    assert sent["llm_cost.cost.currency"] == "USD"


def test_an_unknown_cost_is_never_a_number() -> None:
    sent = semconv.to_attributes(Call("openai", "chat", "m", cost=Cost.unknown("no price for m")))
    assert sent[semconv.COST_STATUS] == "unpriced"
    assert sent["llm_cost.cost.reason"] == "no price for m"
    assert not any(
        name.startswith("llm_cost.cost.") and isinstance(value, float) for name, value in sent.items()
    )


@given(st.integers(-(10**40), 10**40))
def test_money_as_text_is_exact_and_plain(atto_dollars: int) -> None:
    text = to_text(atto_dollars)
    assert from_text(text) == atto_dollars
    assert "E" not in text.upper()
    assert Decimal(text) * 10**18 == atto_dollars or abs(atto_dollars) >= 10**28


@given(calls)
def test_another_attempt_repeats_the_question_and_forgets_the_answer(call: Call) -> None:
    again = call.next_attempt(started_at=7)
    assert again.attempt == call.attempt + 1
    assert again.call_id != call.call_id
    fresh = Call(call_id=again.call_id)
    asked = {
        name: getattr(call, name)
        for name in (
            *("provider", "operation", "request_model", "api", "stream", "server_address", "server_port"),
            *("max_tokens", "tags", "conversation_id", "prompt_hash", "billing_account", "project"),
            *("api_key_hash", "deployment"),
        )
    }
    assert again == replace(fresh, **asked, attempt=call.attempt + 1, started_at=7)
