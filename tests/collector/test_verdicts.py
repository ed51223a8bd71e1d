"""Laws of counting once: random trees of emitters give the same sum as one emitter, in any order."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm_cost.collector.recognise import SCHEMA, Recogniser
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.normalise import OWN, Billable, Emitted, Passed, default_tables


@dataclass
class Truth:
    """What really happened: the tokens of each request, and all that was told of them."""

    tokens: list[int]
    told: list[Billable | Passed]


@st.composite
def tellings(draw: st.DrawFn) -> Truth:
    """A trace in which emitters stand above each other, above agents, and above several requests."""
    ids = iter(range(1, 10_000))
    truth = Truth([], [])
    trace = f"{draw(st.integers(1, 2**64)):032x}"

    def span(parent: str) -> Emitted:
        return Emitted({}, trace_id=trace, span_id=f"{next(ids) + 2**60:016x}", parent_span_id=parent)

    def request(parent: str) -> None:
        """One request, told by a chain of emitters, of which one at least knows the response id."""
        tokens = 1000 + len(truth.tokens)
        truth.tokens.append(tokens)
        response_id = f"chatcmpl-{next(ids):025d}"
        emitters = draw(st.lists(st.sampled_from(["own", "id", "bare", "agent"]), min_size=1, max_size=4))
        if not any(emitter in ("own", "id") for emitter in emitters):
            emitters.append("id")
        for index, emitter in enumerate(emitters):
            if emitter == "own" and "own" in emitters[:index]:
                continue  # our own innermost boundary makes the call, others only add tags (design D2)
            source = span(parent)
            parent = source.span_id
            if emitter == "agent":
                truth.told.append(Passed("agent", source))
                continue
            truth.told.append(
                Billable(
                    Call(
                        provider="openai",
                        request_model="m",
                        call_id=f"{next(ids):032x}",
                        response_id="" if emitter == "bare" else response_id,
                        usage=Usage(input_uncached=tokens, output=0),
                        usage_source="provider",
                    ),
                    OWN if emitter == "own" else emitter,
                    "",
                    source,
                    "",
                )
            )

    def wrapper(parent: str, level: int) -> None:
        """An agent, or a span that adds up what is below it, around requests and other wrappers."""
        source = span(parent)
        children = draw(st.integers(2, 3))
        first = len(truth.tokens)
        for _ in range(children):
            if level and draw(st.booleans()):
                wrapper(source.span_id, level - 1)
            else:
                request(source.span_id)
        if draw(st.booleans()):
            truth.told.append(Passed("agent", source))
            return
        total = sum(truth.tokens[first:])
        truth.told.append(
            Billable(
                Call(
                    provider="openai",
                    request_model="m",
                    call_id=f"{next(ids):032x}",
                    usage=Usage(input_uncached=total, output=0),
                    usage_source="provider",
                ),
                "framework",
                "",
                source,
                "",
            )
        )

    wrapper("", draw(st.integers(0, 2)))
    return truth


@given(truth=tellings(), order=st.randoms(use_true_random=False), batches=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_whoever_tells_and_in_whichever_order_the_sum_is_that_of_the_requests(
    truth: Truth, order: random.Random, batches: int
) -> None:
    told = list(truth.told)
    order.shuffle(told)
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(SCHEMA)
    counting: dict[int, int] = {}
    tokens: dict[int, int] = {}
    cuts = sorted(order.randint(0, len(told)) for _ in range(batches - 1))
    for start, end in zip([0, *cuts], [*cuts, len(told)], strict=True):
        recogniser = Recogniser(database, default_tables())
        verdict = recogniser.decide(told[start:end])
        for decision in verdict.decisions:
            counting[decision.copy.number] = decision.copy.counts
            tokens[decision.copy.number] = decision.copy.tokens
            assert decision.copy.counts == (not decision.duplicate_of)
        for change in verdict.changes:
            assert counting[change.copy.number] != change.copy.counts
            counting[change.copy.number] = change.copy.counts
        for sql, rows in recogniser.statements(1, {}):
            database.executemany(sql, rows)
    database.close()
    counted = sorted(tokens[number] for number, counts in counting.items() if counts)
    assert counted == sorted(truth.tokens)
