"""Corrections on the real engine: sums are what the prices say now, and a second time writes nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger_store import NOW, SECOND, a_call, a_row, ns
from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import COLUMNS, Booking, Row, correction
from otel_llm_cost.ledger.reprice import HOUR, Outcome, Slice, plan
from otel_llm_cost.pricing import PriceList, price
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.repricing import from_json, job_of, part_of, reprice_slice, to_json

START = datetime(2026, 11, 24, 15, tzinfo=timezone.utc)
DAY = Slice(START, START + timedelta(hours=2))
BASE = PriceList.default()
DEARER = PriceList.of(
    {
        "prices": [
            {
                "provider": "openai",
                "model": "gpt-4o",
                "input_mtok": 5,
                "cache_read_mtok": "2.5",
                "output_mtok": 20,
            }
        ]
    }
)


def booked(call: Call, prices: PriceList = BASE, **booking: Any) -> Row:
    """The row of a call, priced as it was then."""
    if booking.get("kind", "usage") == "usage":
        call.cost = price(call, prices)
    return a_row(call, **booking)


def run(
    sink: ClickHouseSink, prices: PriceList, part: Slice = DAY, *, write: bool = True, **more: Any
) -> Outcome:
    return reprice_slice(sink, lambda call: price(call, prices), prices.version, part, write=write, **more)


def total(sink: ClickHouseSink) -> dict[str, Any]:
    return sink.query("spend_by", {"since": START, "until": DAY.until}).records()[0]


def rows_of(sink: ClickHouseSink, call_id: str) -> list[dict[str, Any]]:
    return sink.query("call_by_id", {"call_id": call_id}).records()


def test_the_sums_become_what_the_new_prices_say_and_a_second_run_writes_nothing(
    ledger: ClickHouseSink,
) -> None:
    ledger.write([booked(a_call(call_id=f"c{number}", tags={"team": "search"})) for number in range(5)])
    before = total(ledger)
    looked = run(ledger, DEARER, write=False)
    assert (looked.calls, looked.changed, looked.written) == (5, 5, 0)
    assert total(ledger) == before
    ((key, change),) = looked.differences.items()
    assert key == ("2026-11", "openai", "gpt-4o-2024-08-06")
    assert (change.calls, change.before, change.after) == (
        5,
        before["effective_cost"],
        2 * before["effective_cost"],
    )

    assert run(ledger, DEARER).written == 5
    after = total(ledger)
    assert after["effective_cost"] == 2 * before["effective_cost"]
    assert (after["calls"], after["input_tokens"]) == (5, before["input_tokens"])
    again = run(ledger, DEARER)
    assert (again.calls, again.changed, again.written) == (5, 0, 0)
    assert total(ledger) == after


def test_a_correction_has_its_calls_time_tags_and_id_and_says_why(ledger: ClickHouseSink) -> None:
    ledger.write([booked(a_call(call_id="c", tags={"team": "search", "tier": "gold"}))])
    run(ledger, DEARER)
    first, fix = rows_of(ledger, "c")
    assert (fix["kind"], fix["charge_class"], fix["booking_reason"]) == (
        "correction",
        "Correction",
        "repriced",
    )
    for name in ("started_at", "team", "tags", "model", "service", "trace_id"):
        assert fix[name] == first[name]
    assert fix["booked_at"] > first["booked_at"]
    assert (fix["price_id"], fix["price_source"]) == ("openai/gpt-4o", "override")
    assert (fix["usage"], fix["calls"]) == ({}, 0)
    assert fix["components"] != first["components"]


def test_back_to_the_old_prices_takes_the_corrections_back(ledger: ClickHouseSink) -> None:
    ledger.write([booked(a_call(call_id="c"))])
    before = total(ledger)
    run(ledger, DEARER)
    assert run(ledger, BASE).written == 1
    assert total(ledger) == before
    assert len(rows_of(ledger, "c")) == 3


def test_a_call_without_a_price_gets_one_and_leaves_the_unpriced(ledger: ClickHouseSink) -> None:
    ledger.write([booked(a_call(call_id="c", request_model="gpt-99", response_model=""))])
    assert (total(ledger)["effective_cost"], total(ledger)["unpriced_calls"]) == (None, 1)
    own = PriceList.of(
        {
            "prices": [
                {
                    "provider": "openai",
                    "model": "gpt-99",
                    "input_mtok": 1,
                    "output_mtok": 2,
                    "cache_read_mtok": 1,
                }
            ]
        }
    )
    outcome = run(ledger, own)
    (change,) = outcome.differences.values()
    assert (change.newly_priced, change.before, change.after) == (1, 0, Decimal("0.00156"))
    assert (total(ledger)["effective_cost"], total(ledger)["unpriced_calls"]) == (Decimal("0.00156"), 0)
    assert run(ledger, own).written == 0
    outcome = run(ledger, BASE)  # the price was a mistake and is withdrawn
    assert [change.no_longer_priced for change in outcome.differences.values()] == [1]
    assert total(ledger)["unpriced_calls"] == 1
    assert run(ledger, BASE).written == 0


def test_what_is_no_call_is_left_alone(ledger: ClickHouseSink) -> None:
    ledger.write(
        [
            booked(a_call(call_id="failed", usage=Usage(), error_type="rate_limit"), kind="failed_attempt"),
            booked(a_call(call_id="denied", usage=Usage(), denied_by="budget"), kind="denial"),
            booked(a_call(call_id="copied")),
            booked(a_call(call_id="copied"), kind="duplicate", duplicate_of="copied", signal="log"),
        ]
    )
    outcome = run(ledger, DEARER)
    assert (outcome.calls, outcome.changed, outcome.written) == (1, 1, 1)


def test_a_call_that_was_taken_back_and_booked_elsewhere_is_repriced_where_it_counts(
    ledger: ClickHouseSink,
) -> None:
    old = booked(a_call(call_id="c", tags={"team": "a"}), span_id="1", booked_at=ns(NOW))
    copy = booked(
        a_call(call_id="c", tags={"team": "b"}), kind="duplicate", span_id="2", booked_at=ns(NOW) + 1000
    )
    taken = list(old)
    gone = correction(
        tuple(column_nothing(taken)),
        [old],
        Booking("fix", 0, ns(NOW) + 2 * SECOND, "correction", reason="copy"),
    )
    counts = correction(
        booked(a_call(call_id="c", tags={"team": "b"}), span_id="2"),
        [copy],
        Booking("fix", 1, ns(NOW) + 2 * SECOND, "correction"),
    )
    assert gone is not None
    assert counts is not None
    ledger.write([old, copy, gone, counts])
    before = total(ledger)["effective_cost"]
    assert run(ledger, DEARER).written == 1
    assert rows_of(ledger, "c")[-1]["team"] == "b"
    assert total(ledger)["effective_cost"] == 2 * before
    assert run(ledger, DEARER).written == 0


def column_nothing(values: list[Any]) -> list[Any]:
    """A row as a duplicate would have it."""
    return [column.nothing if column.summed else value for column, value in zip(COLUMNS, values, strict=True)]


def test_terms_parts_flags_and_reported_money_come_back_from_the_ledger(ledger: ClickHouseSink) -> None:
    """Priced with the same list, nothing differs: whatever decides a price is stored."""
    calls = [
        a_call(call_id="batch", terms={"processing": "batch"}),
        a_call(call_id="parts", parts=(Part("gpt-image-1", Usage(output_image=1000)),)),
        a_call(call_id="flags", usage_flags=("output_missing",)),
        a_call(
            call_id="ticks",
            provider="x_ai",
            request_model="grok-4",
            response_model="",
            reported_cost="0.0037756",
        ),
        a_call(
            call_id="seconds",
            request_model="whisper-1",
            response_model="",
            usage=Usage(audio_seconds=Decimal("9.5")),
        ),
        a_call(
            call_id="host", request_model="gpt-5.4", response_model="", server_address="eu.api.openai.com"
        ),
        a_call(call_id="estimated", usage_source="estimated"),
        a_call(call_id="hinted", hinted_cost="0.5", server_address="litellm.internal"),
        a_call(call_id="silent", usage=Usage(), usage_source="missing"),
    ]
    ledger.write([booked(call) for call in calls])
    outcome = run(ledger, BASE)
    assert (outcome.calls, outcome.changed) == (len(calls), 0)


def test_only_the_models_that_are_asked_for(ledger: ClickHouseSink) -> None:
    ledger.write(
        [booked(a_call(call_id="a")), booked(a_call(call_id="b", response_model="gpt-4o-2024-11-20"))]
    )
    outcome = run(ledger, DEARER, models=("gpt-4o-2024-11-20",))
    assert (outcome.calls, outcome.written) == (1, 1)


def test_a_run_that_was_cut_off_between_two_slices_is_simply_started_again(ledger: ClickHouseSink) -> None:
    ledger.write([booked(a_call(call_id=f"c{number}")) for number in range(40)])
    before = total(ledger)["effective_cost"]
    parts = [Slice(START, DAY.until, bucket, 4) for bucket in range(4)]
    first = run(ledger, DEARER, parts[1]).written
    assert 0 < first < 40
    assert first + sum(run(ledger, DEARER, part).written for part in parts) == 40
    assert total(ledger)["effective_cost"] == 2 * before


def test_an_insert_that_lands_twice_is_one_insert(ledger: ClickHouseSink, monkeypatch: Any) -> None:
    """The answer of the insert is lost: the same batch, asked for again, adds nothing."""
    ledger.write([booked(a_call(call_id=f"c{number}")) for number in range(3)])
    stale = ledger.query("reprice_calls", DAY.params())
    run(ledger, DEARER)
    asked = ledger.query
    monkeypatch.setattr(
        ledger, "query", lambda name, params=None: stale if name == "reprice_calls" else asked(name, params)
    )
    assert run(ledger, DEARER).written == 0


def test_an_outcome_and_a_job_travel_whole(ledger: ClickHouseSink) -> None:
    ledger.write([booked(a_call(call_id="c"))])
    outcome = run(ledger, DEARER, write=False)
    assert from_json(to_json(outcome, "v")) == outcome
    assert part_of(job_of(DAY, ("m",), write=True)) == (DAY, ("m",), True)


hours = st.lists(st.integers(1, 100_000), max_size=30)


@given(hours, st.integers(5_000, 50_000))
def test_slices_cover_every_row_once_and_none_is_large(counts: list[int], most: int) -> None:
    there = [(START + n * HOUR, rows) for n, rows in enumerate(counts)]
    parts = plan(there, START + HOUR / 2, START + 31 * HOUR, most)
    assert all(part.rows <= most for part in parts)
    for n, (hour, _) in enumerate(there):
        moment = max(hour, START + HOUR / 2) if n == 0 else hour
        covering = [part for part in parts if part.since <= moment < part.until]
        assert sorted(part.bucket for part in covering) == list(range(covering[0].buckets))


def test_any_history_of_prices_ends_at_the_sum_of_the_last_ones(ledger: ClickHouseSink) -> None:
    random.seed(7)
    calls = [
        a_call(
            call_id=f"c{n}",
            usage=Usage(input_uncached=random.randrange(10**6), output=random.randrange(10**5)),
        )
        for n in range(50)
    ]
    ledger.write([booked(call) for call in calls])
    lists = [BASE, DEARER, PriceList.of({"contract": [{"provider": "openai", "discount": "0.15"}]})]
    for _ in range(6):
        prices = random.choice(lists)
        run(ledger, prices)
        wanted = sum_of([price(call, prices) for call in calls])
        found = total(ledger)
        assert {name: found[name] for name in wanted} == wanted


def sum_of(costs: Sequence[Cost]) -> dict[str, Decimal]:
    def amount(atto: int) -> Decimal:
        return Decimal(atto).scaleb(-18)

    return {
        "effective_cost": amount(sum(cost.effective_atto or 0 for cost in costs)),
        "list_cost": amount(sum(cost.list_atto or 0 for cost in costs)),
        "contracted_cost": amount(sum(cost.contracted_atto or 0 for cost in costs)),
    }


def test_reported_money_that_differs_by_more_than_half_a_percent_is_listed(ledger: ClickHouseSink) -> None:
    usage = Usage(input_uncached=1_000_000)
    own = PriceList.of({"prices": [{"provider": "x_ai", "model": "m", "input_mtok": 1, "output_mtok": 1}]})
    for number, reported in enumerate(("1", "1.005", "0.995", "1.01", "0.5", "0")):
        call = a_call(
            call_id=f"c{number}",
            provider="x_ai",
            request_model="m",
            response_model="",
            usage=usage,
            reported_cost=reported,
        )
        ledger.write([booked(call, own)])
    (line,) = ledger.query("reported_drift", {"since": START, "until": DAY.until}).records()
    # 0.995 is further from 1 than half a percent of itself
    assert (line["calls"], line["reported_cost"], line["computed_cost"]) == (4, Decimal("2.505"), Decimal(4))
    assert line["difference"] == Decimal("-1.495")
