"""Calendar periods: no gap, no overlap, and the dates a person would say."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.budgets.period import Calendar, Rolling, Whole

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Kiritimati",  # +14
    "Etc/GMT+12",  # -12
    "Etc/GMT-14",
    "Pacific/Apia",  # skipped 30 December 2011
    "Australia/Lord_Howe",  # shifts by 30 minutes
    "America/Sao_Paulo",  # shifted at midnight until 2019
    "America/Havana",  # repeats midnight
    "Asia/Kathmandu",  # +05:45
    "Africa/Casablanca",
    "America/Scoresbysund",  # moved its rule to midnight in 2024
)
EVERY = ("hour", "day", "week", "month", "quarter")


def at(text: str, zone: str = "UTC") -> int:
    """Civil time as Unix seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@given(st.integers(at("2010-01-01"), at("2040-01-01")), st.sampled_from(ZONES), st.sampled_from(EVERY))
def test_every_instant_lies_in_exactly_one_period(now: int, zone: str, every: str) -> None:
    window = Calendar(every, zone)  # type: ignore[arg-type]
    period = window.period(now)
    assert period.end is not None
    assert period.start <= now < period.end
    assert window.period(period.start) == period
    assert window.period(period.end - 1) == period
    assert window.period(period.end).start == period.end
    assert window.period(period.start - 1).end == period.start


@pytest.mark.parametrize(
    ("every", "zone", "now", "start", "end"),
    [
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),  # 23 hours
        ("day", "Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:00", "2026-10-26T00:00"),  # 25 hours
        ("month", "UTC", "2028-02-29T23:59", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("day", "UTC", "2028-02-29T00:00", "2028-02-29T00:00", "2028-03-01T00:00"),
        ("month", "Pacific/Kiritimati", "2026-01-31T23:59", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("month", "Etc/GMT+12", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("quarter", "America/New_York", "2026-06-30T23:59", "2026-04-01T00:00", "2026-07-01T00:00"),
        ("week", "Asia/Kathmandu", "2026-01-01T00:00", "2025-12-29T00:00", "2026-01-05T00:00"),
        ("hour", "Asia/Kathmandu", "2026-01-01T05:50", "2026-01-01T05:00", "2026-01-01T06:00"),
    ],
)
def test_periods_are_those_of_the_wall_calendar(
    every: str, zone: str, now: str, start: str, end: str
) -> None:
    period = Calendar(every, zone).period(at(now, zone))  # type: ignore[arg-type]
    assert (period.start, period.end) == (at(start, zone), at(end, zone))


def test_the_longest_and_shortest_day_have_25_and_23_hours() -> None:
    berlin = Calendar("day", "Europe/Berlin")
    hours = [
        (period.end - period.start) / 3600
        for noon in ("2026-03-29T12:00", "2026-10-25T12:00")
        if (period := berlin.period(at(noon, "Europe/Berlin"))).end is not None
    ]
    assert hours == [23, 25]


def test_the_same_instant_is_another_day_at_the_other_end_of_the_world() -> None:
    now = at("2026-11-24T11:00")
    assert Calendar("day", "Pacific/Kiritimati").period(now).start == at(
        "2026-11-25T00:00", "Pacific/Kiritimati"
    )
    assert Calendar("day", "Etc/GMT+12").period(now).start == at("2026-11-23T00:00", "Etc/GMT+12")


def test_windows_without_a_calendar_have_one_period() -> None:
    assert Rolling(3600).period(1) == Rolling(3600).period(10**9)
    assert Whole().period(1) == Whole().period(10**9)
    assert Rolling(3600).slot == 60
    assert Rolling(30).slot == 1


@pytest.mark.parametrize(
    ("zone", "jump"),
    [
        ("Pacific/Apia", "2011-12-30T10:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00"),
        ("America/Sao_Paulo", "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2019-02-17T02:00"),
        ("America/Havana", "2026-11-01T05:00"),
        ("America/Scoresbysund", "2024-03-31T01:00"),
    ],
)
@pytest.mark.parametrize("every", EVERY)
def test_a_jump_of_the_clock_makes_no_gap_and_no_overlap(zone: str, jump: str, every: str) -> None:
    window = Calendar(every, zone)  # type: ignore[arg-type]
    now, last = at(jump) - 3 * 86400, at(jump) + 3 * 86400
    period = window.period(now)
    while now < last:
        following = window.period(now)
        assert following.start == period.start or following.start == period.end
        assert following.end is not None
        assert following.start <= now < following.end
        period = following
        now += 600
