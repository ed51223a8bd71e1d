"""Instants and recurring windows: when a price holds, always in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

SECOND = 10**9
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def nanoseconds(moment: datetime | date) -> int:
    """An instant as Unix nanoseconds; a bare date is its first moment in UTC, a naive time is UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=timezone.utc)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def instant(moment: int) -> datetime:
    """Unix nanoseconds as a UTC time, to the microsecond, rounded down."""
    return _EPOCH + timedelta(microseconds=moment // 1000)


@dataclass(frozen=True, slots=True)
class Windows:
    """Hours that recur daily, on some weekdays, except on holidays.

    hours: (start, end) in nanoseconds since midnight UTC, half-open. weekdays: 0 is Monday. utc_offset: of
    the calendar that weekdays and holidays are counted in, in nanoseconds.
    """

    hours: tuple[tuple[int, int], ...]
    weekdays: frozenset[int] = frozenset(range(7))
    holidays: frozenset[int] = frozenset()
    utc_offset: int = 0

    def holds(self, moment: int) -> bool:
        """Whether the instant is inside a window."""
        day = (moment + self.utc_offset) // DAY
        if (day + 3) % 7 not in self.weekdays or day in self.holidays:  # 1970-01-01 was a Thursday
            return False
        return any(start <= moment % DAY < end for start, end in self.hours)

    def edges(self, moment: int) -> list[int]:
        """Instants around `moment` where the answer may change: the last before it and the next after it."""
        midnight = moment - moment % DAY
        found = [
            midnight - self.utc_offset % DAY,
            midnight - self.utc_offset % DAY + DAY,
            midnight,
            midnight + DAY,
        ]
        for start, end in self.hours:
            found += [midnight + start, midnight + end]
        return found
