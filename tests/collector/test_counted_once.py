"""The same request told several times, in any order, in one batch or hours apart, is one paid call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from running import Collector, post
from sending import CALL_COST, call, records, request

from otel_llm_cost.core.semconv import COUNTED_BY, to_attributes

PROTOBUF = {"content-type": "application/x-protobuf"}
NATIVE = "com.anthropic.sdk.python"


def send(collector: Collector, message: Any, signal: str = "traces") -> None:
    """Send one request and wait until it is booked, so that the next comes in a later batch."""
    assert post(f"http://{collector.http}/v1/{signal}", message.SerializeToString(), PROTOBUF)[0] == 200
    collector.settle()


def foreign(team: str, **attributes: Any) -> dict[str, Any]:
    """What another instrumentation tells of `sending.call`."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1008,
        "gen_ai.usage.output_tokens": 100,
        "llm_cost.team": team,
        **attributes,
    }


def summary(collector: Collector, team: str) -> tuple[int, int, str]:
    """Calls, duplicates and cost of a team."""
    (total,) = collector.spend("team", team=team)
    return total["calls"], total["duplicates"], total["effective_cost"]


def test_a_span_and_a_record_of_one_call_are_one(collector: Collector, team: str) -> None:
    sent = to_attributes(call(team))
    send(collector, request([sent]))
    send(collector, records([sent]), "logs")
    assert summary(collector, team) == (1, 1, CALL_COST)
    first, second = collector.rows(team)
    assert (second["kind"], second["effective_cost"], second["calls"]) == ("duplicate", "0", 0)
    assert second["duplicate_of"] == first["call_id"] == second["call_id"]


def test_a_request_sent_twice_is_taken_once(collector: Collector, team: str) -> None:
    message = request([to_attributes(call(team))])
    before = collector.health()["items_resent_total"]
    for _ in range(3):
        send(collector, message)
    assert summary(collector, team) == (1, 0, CALL_COST)
    assert collector.health()["items_resent_total"] == before + 2


def test_a_span_sent_again_in_another_request_is_a_duplicate(collector: Collector, team: str) -> None:
    span = {**to_attributes(call(team)), "trace_id": os.urandom(16), "span_id": os.urandom(8)}
    send(collector, request([span]))
    send(collector, request([span, to_attributes(call(team))]))
    assert summary(collector, team) == (2, 1, "0.00702")


def test_a_native_span_that_ours_counts_is_passed_over(collector: Collector, team: str) -> None:
    native = foreign(team, **{COUNTED_BY: "0123456789abcdef"})
    send(collector, request([native], scope=NATIVE))
    send(collector, request([to_attributes(call(team))]))
    assert summary(collector, team) == (1, 0, CALL_COST)


@pytest.mark.parametrize("ours_first", [True, False])
def test_two_emitters_with_one_response_id_are_one_call_and_the_richer_counts(
    collector: Collector, team: str, ours_first: bool
) -> None:
    ours = call(team)
    theirs = foreign(team, **{"gen_ai.response.id": ours.response_id})  # knows nothing of the cache
    messages = [request([to_attributes(ours)]), request([theirs], scope="other")]
    for message in messages if ours_first else reversed(messages):
        send(collector, message)
    assert summary(collector, team) == (1, 1, CALL_COST)


def test_the_richer_copy_corrects_with_its_own_tags(collector: Collector, team: str) -> None:
    ours = call(team)
    theirs = foreign("", **{"gen_ai.response.id": ours.response_id})
    untagged = {"since": "2020-01-01", "until": "2100-01-01", "by": [], "filters": {"team": [""]}}
    collector.settle()
    before = collector.query("spend_by", **untagged)
    send(collector, request([theirs], scope="other"))
    send(collector, request([to_attributes(ours)]))
    assert summary(collector, team) == (1, 0, CALL_COST)
    after = collector.query("spend_by", **untagged)
    assert after[0]["calls"] == before[0]["calls"]
    assert Decimal(after[0]["effective_cost"] or 0) == Decimal(before[0]["effective_cost"] or 0)


def test_the_same_short_response_id_is_no_proof(collector: Collector, team: str) -> None:
    """Ollama's OpenAI endpoint draws response ids from a range of 999."""
    one = foreign(team, **{"gen_ai.response.id": "chatcmpl-7"})
    send(collector, request([one, one, {**one, "gen_ai.usage.output_tokens": 7}], scope="other"))
    assert summary(collector, team)[:2] == (3, 0)


def chain(team: str, *levels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Spans of one trace, each below the one before."""
    trace, parent, spans = os.urandom(16), b"", []
    for level in levels:
        span = {**level, "trace_id": trace, "span_id": os.urandom(8), "parent": parent}
        parent = span["span_id"]
        spans.append(span)
    return spans


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_an_ancestors_copy_is_a_duplicate_even_through_an_agent_and_with_other_usage(
    collector: Collector, team: str, order: tuple[int, ...]
) -> None:
    spans = chain(
        team,
        foreign(team, **{"gen_ai.usage.output_tokens": 101}),
        foreign(team, **{"gen_ai.operation.name": "invoke_agent"}),
        foreign(team, **{"gen_ai.usage.cache_read.input_tokens": 8}),
    )
    for index in order:
        send(collector, request([spans[index]], scope=f"emitter.{index}"))
    assert summary(collector, team) == (1, 1, CALL_COST)


def agent_of_two(team: str) -> list[dict[str, Any]]:
    """A chat-like wrapper that adds up the two calls below it."""
    trace, outer = os.urandom(16), os.urandom(8)
    inner = [
        foreign(
            team, trace_id=trace, parent=outer, **{"gen_ai.response.id": f"chatcmpl-{os.urandom(14).hex()}"}
        )
        for _ in range(2)
    ]
    wrapper = foreign(
        team,
        trace_id=trace,
        span_id=outer,
        **{"gen_ai.usage.input_tokens": 2016, "gen_ai.usage.output_tokens": 200},
    )
    return [wrapper, *inner]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize("together", [True, False])
def test_a_span_that_adds_up_its_childrens_calls_is_never_paid(
    collector: Collector, team: str, order: tuple[int, ...], together: bool
) -> None:
    spans = agent_of_two(team)
    ordered = [spans[index] for index in order]
    for batch in [ordered] if together else [[span] for span in ordered]:
        send(collector, request(batch, scope="other"))
    assert summary(collector, team) == (2, 1, "0.00704")


def test_a_failed_attempt_below_a_served_call_stays_one(collector: Collector, team: str) -> None:
    served = call(team)
    failed = call(team, usage=type(served.usage)(), response_id="", error_type="429", attempt=1)
    send(collector, records([to_attributes(failed)]), "logs")
    send(collector, request([to_attributes(served)]))
    (total,) = collector.spend("team", team=team)
    assert (total["calls"], total["failed_attempts"], total["effective_cost"]) == (1, 1, CALL_COST)


def test_a_copy_that_comes_after_a_restart_is_recognised(tmp_path: Any, team: str) -> None:
    from running import running

    sent = to_attributes(call(team))
    for message, signal in ((request([sent]), "traces"), (records([sent]), "logs")):
        with running(tmp_path) as collector:
            send(collector, message, signal)
            totals: Iterable[Any] = summary(collector, team)
            assert collector.stop() == 0
    assert totals == (1, 1, CALL_COST)
