"""Named queries against a plain sum over the same rows, on the real engine."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_store import NOW, a_call, a_row, ns
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import INDEX, Booking, Row, correction, queries
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.dsn import Embedded

FIRST = NOW - timedelta(hours=30)
NASTY = "it's \\ \"q\" -- `b` {p0:String} \t\n 🦊 ') OR 1=1 --"
COUNTS = (
    "calls",
    "failed_attempts",
    "estimated_calls",
    "unpriced_calls",
    "input_tokens",
    "cache_read_tokens",
)


def some_rows(count: int) -> list[Row]:
    """Calls of thirty hours, of every kind, some on the edge of an hour."""
    chance, rows = random.Random(3), []
    for number in range(count):
        moment = FIRST + timedelta(seconds=chance.randrange(30 * 3600), microseconds=chance.randrange(10**6))
        if number % 10 == 0:
            moment = moment.replace(minute=0, second=0, microsecond=number % 20 // 10)
        usage = Usage(input_uncached=chance.randrange(5000), cache_read=chance.randrange(900), output=7)
        about: dict[str, Any] = {
            "call_id": f"call{number}",
            "started_at": ns(moment),
            "usage": usage,
            "tags": {"team": ("", "search", NASTY)[number % 3], "tier": ("gold", NASTY)[number % 2]},
        }
        if number % 7 == 0:
            about["cost"] = Cost.unknown("no price")
        elif number % 7 == 1:
            about |= {"error_type": "timeout", "usage": Usage(), "cost": None}
        elif number % 7 == 2:
            about["cost"] = Cost("estimated", 10**15 + number)
        kind = {"kind": "duplicate", "duplicate_of": "call0"} if number % 11 == 5 else {}
        rows.append(a_row(a_call(**about), batch_id=f"b{number // 100}", **kind))
    fixed = correction(
        a_row(a_call(call_id="call7", started_at=1)),
        [row for row in rows if row[INDEX["call_id"]] == "call7"],
        Booking("fix", 0, ns(NOW) + 60 * 10**9, reason="repriced"),
    )
    assert fixed is not None
    return [*rows, fixed]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return some_rows(700)


@pytest.fixture(scope="module")
def full(ledger_folder: Any, rows: list[Row]) -> Iterator[ClickHouseSink]:
    with ClickHouseSink(Embedded(ledger_folder, "queries")) as sink:
        sink.migrate()
        for start in range(0, len(rows), 100):
            sink.write(rows[start : start + 100])
        yield sink


def plain_sum(rows: list[Row], since: datetime, until: datetime, *keys: str) -> dict[tuple[Any, ...], Any]:
    """What `spend_by` must say, without any SQL."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        named = dict(zip(INDEX, row, strict=True))
        if ns(since) // 1000 <= named["started_at"] < ns(until) // 1000:
            key = tuple(named[key] if key in named else named["tags"].get(key, "") for key in keys)
            groups.setdefault(key, []).append(named)
    answer = {}
    for key, members in groups.items():
        sums = {name: sum(member[name] for member in members) for name in COUNTS}
        known = [member["effective_cost"] for member in members if member["effective_cost"] is not None]
        all_unpriced = sums["calls"] > 0 and sums["unpriced_calls"] == sums["calls"]
        answer[key] = {**sums, "effective_cost": sum(known) if known and not all_unpriced else None}
    return answer


moments = st.datetimes(
    min_value=(FIRST - timedelta(hours=2)).replace(tzinfo=None),
    max_value=(NOW + timedelta(hours=2)).replace(tzinfo=None),
).map(lambda moment: moment.replace(tzinfo=timezone.utc))
on_the_hour = moments.map(lambda moment: moment.replace(minute=0, second=0, microsecond=0))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments | on_the_hour,
    moments | on_the_hour,
    st.sampled_from([(), ("team",), ("tier", "team"), ("model",)]),
)
def test_whole_hours_and_edges_together_are_the_plain_sum(
    full: ClickHouseSink, rows: list[Row], one: datetime, other: datetime, keys: tuple[str, ...]
) -> None:
    since, until = sorted((one, other))
    records = full.query("spend_by", {"since": since, "until": until, "by": list(keys)}).records()
    told = {
        tuple(record[key] for key in keys): {name: record[name] for name in (*COUNTS, "effective_cost")}
        for record in records
    }
    expected = plain_sum(rows, since, until, *keys)
    if not keys and not expected:
        expected = {(): {**dict.fromkeys(COUNTS, 0), "effective_cost": None}}
    assert told == expected


def test_whole_hours_are_answered_by_the_rollup_and_edges_by_the_rows(full: ClickHouseSink) -> None:
    for by in (["team"], ["day", "model", "feature"], ["hour"], []):
        bound = queries.bind(
            "spend_by",
            {
                "since": FIRST,
                "until": NOW,
                "by": by,
                "filters": {"team": ["search"], "model": ["gpt-4o-2024-08-06"]},
            },
        )
        plan = full._client("read").query(f"EXPLAIN {bound.sql}", parameters=bound.params).result_rows
        text = "\n".join(line for (line,) in plan)
        assert text.count("ReadFromMergeTree (by_hour)") == 1, text
        assert text.count("ReadFromMergeTree (queries.ledger)") == 1, text


def test_a_filter_finds_exactly_its_value_and_the_empty_text_the_untagged(full: ClickHouseSink) -> None:
    span = {"since": FIRST, "until": NOW}
    every = {row["team"]: row for row in full.query("spend_by", {**span, "by": ["team"]}).records()}
    assert set(every) == {"", "search", NASTY}
    for team, wanted in every.items():
        for key, value in (("team", team), ("tier", "gold")):
            filters = {key: [value]} if key == "team" else {"team": [team], key: ["gold", NASTY]}
            found = full.query("spend_by", {**span, "by": ["team"], "filters": filters}).records()
            assert found == [wanted]
    assert full.query("spend_by", {**span, "by": ["team"], "filters": {"team": [f"{NASTY}'"]}}).rows == []


@pytest.mark.parametrize("key", [NASTY, "tags", "team) FROM ledger --", "customer-id", "ключ"])
def test_a_key_that_nobody_set_is_untagged_whatever_it_looks_like(full: ClickHouseSink, key: str) -> None:
    answer = full.query("spend_by", {"since": FIRST, "until": NOW, "by": [key], "filters": {"k": [""]}})
    (record,) = answer.records()
    assert record[key] == ""
    assert record["calls"] > 0


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("spend", {}, "there is no query spend"),
        ("spend_by", {"until": NOW}, "needs the parameter since"),
        ("spend_by", {"since": NOW, "until": NOW, "sql": "x"}, "has no parameter sql"),
        ("spend_by", {"since": "yesterday", "until": NOW}, "since must be an instant"),
        ("spend_by", {"since": 5, "until": NOW}, "since must be an instant"),
        ("spend_by", {"since": NOW, "until": NOW, "by": "team"}, "by must be a list"),
        ("spend_by", {"since": NOW, "until": NOW, "by": ["team", "team"]}, "each once"),
        ("spend_by", {"since": NOW, "until": NOW, "by": [" "]}, "a key is empty"),
        ("spend_by", {"since": NOW, "until": NOW, "by": [["team"]]}, "by must be a list"),
        ("spend_by", {"since": NOW, "until": NOW, "filters": {"team": "search"}}, "must be a list"),
        ("spend_by", {"since": NOW, "until": NOW, "filters": ["team"]}, "must be an object"),
        ("spend_by", {"since": NOW, "until": NOW, "limit": "ten"}, "limit must be a whole number"),
    ],
)
def test_wrong_parameters_are_refused_in_one_sentence(name: str, params: dict[str, Any], told: str) -> None:
    with pytest.raises(queries.BadQuery) as error:
        queries.bind(name, params)
    assert told in str(error.value)


def test_rows_of_a_call_come_in_the_order_they_were_booked(full: ClickHouseSink) -> None:
    first, fix = full.query("call_by_id", {"call_id": "call7"}).records()
    assert (first["kind"], fix["kind"], fix["booking_reason"]) == ("usage", "correction", "repriced")
    assert first["usage"] == {unit: Decimal(amount) for unit, amount in first["usage"].items()}
    assert first["started_at"] == fix["started_at"]
    assert full.query("call_by_id", {"call_id": "' OR 1"}).rows == []


def test_a_list_of_calls_is_the_newest_ones(full: ClickHouseSink, rows: list[Row]) -> None:
    records = full.query("calls", {"since": FIRST, "until": NOW, "limit": 5}).records()
    newest = sorted((row[INDEX["started_at"]] for row in rows), reverse=True)[:5]
    assert [int(record["started_at"].timestamp() * 10**6) for record in records] == pytest.approx(
        newest, abs=1
    )


def test_unpriced_models_are_listed_with_the_reason_until_a_correction_prices_them(
    full: ClickHouseSink,
) -> None:
    by_reason = {
        row["reason"]: row for row in full.query("unpriced", {"since": FIRST, "until": NOW}).records()
    }
    assert by_reason.keys() == {"no price"}
    span = {"since": FIRST, "until": NOW, "by": []}
    (total,) = full.query("spend_by", span).records()
    assert by_reason["no price"]["unpriced_calls"] == total["unpriced_calls"]


def test_tag_keys_in_use_are_known(full: ClickHouseSink) -> None:
    assert [key for key, _ in full.query("tag_keys", {"since": FIRST, "until": NOW}).rows] == ["tier"]


def test_hours_and_days_are_utc_whatever_the_zone_of_the_process(
    new_ledger: Callable[[], ClickHouseSink], tmp_path: Any
) -> None:
    script = """
import sys
from datetime import datetime, timezone
from ledger_store import a_call, a_row, ns
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
late = datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=timezone.utc)
with ClickHouseSink("chdb://" + sys.argv[1]) as sink:
    sink.migrate()
    sink.write([a_row(a_call(call_id="c", started_at=ns(late)))])
    span = {"since": "2026-11-23T00:00:00Z", "until": "2026-11-24T01:00:00+01:00"}
    (row,) = sink.query("spend_by", {**span, "by": ["day", "hour", "month"]}).records()
    print(row["day"], row["hour"].isoformat(), row["month"], row["calls"])
    print(sink.query("call_by_id", {"call_id": "c"}).records()[0]["started_at"].isoformat())
"""
    for zone in ("America/New_York", "Asia/Kathmandu"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / zone)],
            capture_output=True, text=True, timeout=60,
            env={"TZ": zone, "PYTHONPATH": ":".join(sys.path), "PATH": ""},
        )  # fmt: skip
        assert done.stdout.splitlines() == [
            "2026-11-23 2026-11-23T23:00:00+00:00 2026-11-01 1",
            "2026-11-23T23:59:59.999999+00:00",
        ], done.stderr
