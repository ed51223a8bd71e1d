"""Which window an instant falls into: calendar periods in a time zone, rolling windows, or no window at all.

Pure arithmetic on Unix seconds. The periods of one window never overlap and leave no gap, whatever the zone
does (daylight saving, half-hour shifts, a skipped or repeated midnight); a property test holds that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Every = Literal["hour", "day", "week", "month", "quarter"]

FOREVER = "forever"
"""Key of the period of a budget that never starts over."""

ROLLING_SLOTS = 60
"""A rolling window forgets spend in this many steps; see `Rolling`."""


class Period(NamedTuple):
    """Where an instant falls. `start` and `end` are Unix seconds, `end` excluded; `end` is None for "never".

    key: tells the periods of one window apart, and is readable.
    """

    key: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """One hour, day, week (from Monday), month or quarter of the civil calendar of `zone`."""

    every: Every
    zone: str = "UTC"

    def period(self, now: int) -> Period:
        """The period that `now` (Unix seconds) falls into."""
        zone = _zone(self.zone)
        start, end = _hour(now, zone) if self.every == "hour" else _dates(now, zone, self.every)
        return Period(_utc(start).strftime("%Y-%m-%dT%H:%M:%SZ"), start, end)

    def __str__(self) -> str:
        return f"calendar {self.every} in {self.zone}"


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last `seconds`, at every instant.

    Spend is kept in `ROLLING_SLOTS` slots and forgotten slot by slot, only once all of it is older than the
    window: a limit holds in *every* stretch of that length, and room comes back at most one slot late.
    """

    seconds: int

    @property
    def slot(self) -> int:
        """Length of one slot in seconds, at least one."""
        return max(1, self.seconds // ROLLING_SLOTS)

    def period(self, now: int) -> Period:  # noqa: ARG002 - every window answers the same question
        """There is one period only: what has aged out leaves it slot by slot."""
        return Period("rolling", 0, None)

    def __str__(self) -> str:
        return f"rolling {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Whole:
    """No window: the limit is for the whole life of a trace, session or conversation, or for good."""

    key: str = "whole"

    def period(self, now: int) -> Period:  # noqa: ARG002 - every window answers the same question
        """The one and only period."""
        return Period(self.key, 0, None)

    def __str__(self) -> str:
        return "no window"


Window = Calendar | Rolling | Whole


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _zone(name: str) -> tzinfo:
    return timezone.utc if name == "UTC" else ZoneInfo(name)


def _offset(seconds: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    assert offset is not None  # an aware datetime has one
    return int(offset.total_seconds())


def _midnight(day: date, zone: tzinfo) -> int:
    # fold=0 reads a repeated midnight as its first occurrence and a skipped one as the instant of the jump.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _first_of_month(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


# first day of the period that holds a day, and the first day of the next period
_BOUNDS: dict[str, Callable[[date], tuple[date, date]]] = {
    "day": lambda day: (day, day + timedelta(days=1)),
    "week": lambda day: (
        day - timedelta(days=day.weekday()),
        day + timedelta(days=7 - day.weekday()),
    ),
    "month": lambda day: (_first_of_month(day, 0), _first_of_month(day, 1)),
    "quarter": lambda day: (
        _first_of_month(day, -((day.month - 1) % 3)),
        _first_of_month(day, 3 - (day.month - 1) % 3),
    ),
}


def _dates(now: int, zone: tzinfo, every: str) -> tuple[int, int]:
    day = datetime.fromtimestamp(now, zone).date()
    while True:
        first, following = _BOUNDS[every](day)
        start, end = _midnight(first, zone), _midnight(following, zone)
        # A clock that is set back across midnight shows yesterday's date again; the later day has begun.
        if now >= end:
            day = following
        elif now < start:
            day = first - timedelta(days=1)
        else:
            return start, end


def _hour(now: int, zone: tzinfo) -> tuple[int, int]:
    """The stretch around `now` that shows the same hour at the same offset: 60 minutes, less at a jump."""
    offset = _offset(now, zone)
    start = now - (now + offset) % 3600
    end = start + 3600
    if _offset(start, zone) != offset:
        start = _jump(start, now, zone)
    if _offset(end - 1, zone) != offset:
        end = _jump(now, end - 1, zone)
    return start, end


def _jump(before: int, after: int, zone: tzinfo) -> int:
    """The first second with the offset of `after`; `before` has another."""
    offset = _offset(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            after = middle
        else:
            before = middle
    return after
