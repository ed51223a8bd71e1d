"""Values of a facts file, read one by one: each error says where the value stands and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.pricing.calendar import DAY, SECOND, Windows, nanoseconds

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands, for error texts."""

    file: str
    lines: Mapping[Path, int]
    path: Path = ()

    def at(self, *steps: str | int) -> Place:
        """A place below this one."""
        return replace(self, path=(*self.path, *steps))

    def __str__(self) -> str:
        path = self.path
        while path and path not in self.lines:
            path = path[:-1]
        line = self.lines.get(path)
        return f"{self.file}:{line}" if line else self.file

    def wrong(self, expected: str) -> ConfigError:
        """The error for a wrong value here."""
        key = ".".join(str(step) for step in self.path)
        return ConfigError(f"{self}: {key}: {expected}")


def price(value: Any, place: Place) -> Fraction:
    """A number that is not negative."""
    price = number(value, place)
    if price < 0:
        raise place.wrong(f"a price cannot be negative, got {value}")
    return price


def number(value: Any, place: Place) -> Fraction:
    """A number as written, exactly: a YAML float by its digits."""
    try:
        if isinstance(value, bool) or value is None:
            raise InvalidOperation
        return Fraction(Decimal(str(value)))
    except (InvalidOperation, ValueError, OverflowError):
        raise place.wrong(f"expected a number, got {value!r}") from None


def moment(value: Any, place: Place, otherwise: int) -> int:
    """A date (its first moment in UTC) or a time as Unix nanoseconds; `otherwise` when it is absent."""
    if value is None:
        return otherwise
    if isinstance(value, date):  # a datetime is one too
        return nanoseconds(value)
    try:
        text = str(value)
        if len(text) == 10:
            return nanoseconds(date.fromisoformat(text))
        return nanoseconds(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        raise place.wrong(
            f"expected a date (2026-08-16) or a UTC time (2026-08-16T16:00:00Z), got {value!r}"
        ) from None


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def calendar(entry: Any, place: Place) -> Windows:
    """Recurring hours: `utc: ["01:00-04:00"]`, with `weekdays`, `except` (dates) and `utc_offset_hours`."""
    days = mapping(entry, place)
    hours: list[tuple[int, int]] = []
    for window in texts(days.get("utc")):
        first, _, last = window.partition("-")
        start, end = _clock(first, place.at("utc")), _clock(last, place.at("utc"))
        hours += [(start, end)] if start < end else [(start, DAY), (0, end)]  # over midnight
    weekdays = texts(days.get("weekdays")) or WEEKDAYS
    for day in weekdays:
        if day not in WEEKDAYS:
            raise place.at("weekdays").wrong(f"expected days out of {', '.join(WEEKDAYS)}, got {day!r}")
    holidays = (moment(day, place.at("except"), 0) // DAY for day in days.get("except") or ())
    offset = number(days.get("utc_offset_hours", 0), place.at("utc_offset_hours"))
    return Windows(
        tuple(hours),
        frozenset(WEEKDAYS.index(day) for day in weekdays),
        frozenset(holidays),
        int(offset * 3600) * SECOND,
    )


def _clock(text: str, place: Place) -> int:
    hour, _, minute = text.partition(":")
    if not (hour.isdigit() and minute.isdigit()):
        raise place.wrong(f"expected hours as 01:00-04:00, got {text!r}")
    return (int(hour) * 3600 + int(minute) * 60) * SECOND


def mapping(value: Any, place: Place) -> Mapping[str, Any]:
    """A mapping; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise place.wrong("expected `key: value` pairs")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them; none when absent."""
    if value is None:
        return ()
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else (str(value),)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or nothing."""
    close = difflib.get_close_matches(str(word), list(words), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
