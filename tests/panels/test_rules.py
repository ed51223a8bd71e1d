"""Alert rules on simulated weeks: when each crosses, and that a usual week makes no sound.

What Grafana does with a crossing is not claimed: its statements and thresholds are evaluated as it would.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost, from_text
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Booking, Row, kind_of, row
from otel_llm_cost.panels.alerting import rule_sql, rules_text
from otel_llm_cost.panels.rules import RULES, Rule

from .conftest import NOW, Engine
from .grafana import expand

MONDAY = datetime(2026, 11, 23, tzinfo=timezone.utc)
"""The morning after five usual weeks."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMED = {rule.name: rule for rule in RULES}


def call(when: datetime, cents: float = 10, *, late: timedelta = timedelta(seconds=2), **about: Any) -> Row:
    started = int(when.timestamp() * 1e6) * 1000
    usage = about.pop("usage", Usage(input_uncached=500, cache_read=500, output=50))
    cost = about.pop("cost", Cost("priced", from_text(f"{cents / 100:.6f}")))
    made = Call(
        **{
            "provider": "openai",
            "request_model": "m",
            "started_at": started,
            "usage": usage,
            "cost": cost if usage else None,
            "tags": {"team": "search"},
            **about,
        }
    )
    booked = started + int(late.total_seconds() * 1e9)
    return row(made, Booking("b", 0, booked, kind_of(made), service="app"))


def busy(hour: datetime) -> float:
    """Calls an hour: more by day than by night, few at weekends."""
    by_day = 2 + 18 * max(0.0, math.sin((hour.hour - 6) / 12 * math.pi))
    return by_day * (0.3 if hour.weekday() >= 5 else 1)


def usual(weeks: int = 5, after: timedelta = DAY) -> list[Row]:
    """Weeks that differ from hour to hour by a fifth or so, up to a day after MONDAY."""
    chance, rows = random.Random(11), []
    hour = MONDAY - timedelta(weeks=weeks)
    while hour < MONDAY + after:
        number = max(1, round(busy(hour) * chance.uniform(0.85, 1.2)))
        rows += [call(hour + HOUR * (n + 0.5) / number, chance.uniform(8, 12)) for n in range(number)]
        hour += HOUR
    return rows


class Weeks:
    """A ledger of usual weeks and an incident on MONDAY, which rules are asked about minute by minute."""

    def __init__(self, folder: Path, name: str, incident: list[Row], rows: list[Row]) -> None:
        self.engine = Engine(folder, name, [*rows, *incident])

    def fires(self, rule: Rule, at: datetime) -> list[dict[str, Any]]:
        sql = expand(rule_sql(rule), at - timedelta(seconds=rule.range_s), at, interval_s=60)
        return [found for found in self.engine.run(sql) if found["value"] > rule.above]

    def first(
        self, rule: Rule, since: datetime, until: datetime, step: timedelta = MINUTE
    ) -> datetime | None:
        at = since
        while at <= until:
            if self.fires(rule, at):
                return at
            at += step
        return None


@pytest.fixture(scope="module")
def quiet_rows() -> list[Row]:
    return usual()


@pytest.fixture(scope="module")
def quiet(folder: Path, quiet_rows: list[Row]) -> Iterator[Weeks]:
    weeks = Weeks(folder, "quiet", [], quiet_rows)
    yield weeks
    weeks.engine.sink.close()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_usual_week_makes_no_sound(rule: Rule, quiet: Weeks) -> None:
    step = 2 * HOUR if rule.query == "surge" else 4 * HOUR
    at = MONDAY - timedelta(days=7)
    while at <= MONDAY + DAY:
        assert quiet.fires(rule, at + 7 * MINUTE) == [], f"at {at}"
        at += step


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_empty_ledger_makes_no_sound(rule: Rule, empty: Engine) -> None:
    assert empty.run(expand(rule_sql(rule), NOW - timedelta(seconds=rule.range_s), NOW)) == []


TEN = MONDAY + 10 * HOUR

INCIDENTS: dict[str, tuple[list[Row], timedelta, timedelta]] = {
    # What happens from ten o'clock on, and between when and when after it the rule must cross.
    "surge": ([call(TEN + MINUTE * n, 200) for n in range(60)], HOUR, HOUR),
    "retry-storm": (
        [
            call(TEN + MINUTE * n / 4, usage=Usage(), error_type="rate_limit", status_code=429)
            for n in range(200)
        ],
        timedelta(minutes=5),
        timedelta(minutes=9),
    ),
    "unpriced-model": (
        [call(TEN, cost=Cost.unknown("no price"), request_model="new")],
        timedelta(minutes=1),
        timedelta(minutes=1),
    ),
    "unattributed": ([call(TEN, 9000, tags={})], timedelta(minutes=1), timedelta(minutes=1)),
    "cache-drop": (
        [call(TEN + MINUTE * n / 2, usage=Usage(input_uncached=2000, output=50)) for n in range(400)],
        HOUR,
        4 * HOUR,
    ),
    "late-rows": (
        [call(TEN + MINUTE * n / 5, late=timedelta(minutes=20)) for n in range(100)],
        timedelta(minutes=20),
        timedelta(minutes=22),
    ),
}


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_crosses_when_it_should_and_not_before(
    name: str, folder: Path, quiet_rows: list[Row]
) -> None:
    incident, earliest, latest = INCIDENTS[name]
    weeks = Weeks(folder, name.replace("-", "_"), incident, quiet_rows)
    try:
        rule = NAMED[name]
        crossed = weeks.first(rule, TEN - 5 * MINUTE, TEN + latest + 5 * MINUTE)
        assert crossed is not None
        assert TEN + earliest <= crossed <= TEN + latest
    finally:
        weeks.engine.sink.close()


def test_silence_crosses_an_hour_after_the_last_call(folder: Path) -> None:
    rule, last = NAMED["silence"], MONDAY + 11 * HOUR
    chance = random.Random(3)
    rows = [
        call(MONDAY - DAY * day + MINUTE * minute + chance.random() * MINUTE)
        for day in range(8)
        for minute in range(9 * 60, 15 * 60)
        if day or minute < 11 * 60
    ]
    weeks = Weeks(folder, "silence", [], rows)
    try:
        crossed = weeks.first(rule, MONDAY + 10 * HOUR, MONDAY + 13 * HOUR)
        assert crossed is not None
        assert last + HOUR - MINUTE <= crossed <= last + HOUR + MINUTE
        assert weeks.fires(rule, crossed)[0]["service"] == "app"
    finally:
        weeks.engine.sink.close()


def test_rules_are_sound_for_grafana() -> None:
    model = json.loads(rules_text())
    rules = [rule for group in model["groups"] for rule in group["rules"]]
    assert (
        len({rule["uid"] for rule in rules})
        == len({rule["title"] for rule in rules})
        == len(rules)
        == len(RULES)
    )
    for rule in rules:
        query, condition = rule["data"]
        assert rule["condition"] == condition["refId"]
        assert condition["model"]["expression"] == query["refId"]
        sql = query["model"]["rawSql"]
        assert not re.search(r"\$\{|\$__(conditionalAll|adHocFilters|interval)", sql), (
            "unknown to Grafana's backend"
        )
        assert set(re.findall(r"\$__\w+", sql)) <= {"$__fromTime_ms", "$__toTime_ms"}
        assert rule["annotations"]["description"].endswith(".")
        assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_rules_read_the_datasource_that_is_provisioned() -> None:
    provisioned = (Path(__file__).parents[2] / "dashboards/provisioning/datasources/ledger.yaml").read_text()
    uids = set(re.findall(r'"datasourceUid": "([^"]+)"', rules_text())) - {"__expr__"}
    assert len(uids) == 1
    assert f"uid: {uids.pop()}\n" in provisioned
