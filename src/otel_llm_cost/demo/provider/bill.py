"""What the provider charges: quantity times price in integers, to the last digit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .prices import WEB_SEARCH, model_named
from .quantities import Quantities

PICODOLLARS = 10**12
"""To the dollar."""


@dataclass
class Line:
    """One charged call. It grows while a stream runs; `complete` once the whole answer was written.

    response_id: as in the body; empty for embeddings, which have none. `time`: when it was asked, UTC.
    """

    provider: str
    model: str
    request_id: str
    response_id: str
    quantities: Quantities
    complete: bool = False
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def picodollars(self) -> int:
        """Quantity times price, unit by unit."""
        model = model_named(self.model, self.provider)
        assert model is not None
        used = self.quantities
        charge = used.web_searches * WEB_SEARCH
        for unit in ("input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "output"):
            if quantity := getattr(used, unit):
                charge += quantity * model.prices[unit]
        return charge

    @property
    def usd(self) -> str:
        """The same as an exact plain decimal."""
        return usd(self.picodollars)


class Bill:
    """Every charged call, in the order they were asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[Line] = []

    def add(self, line: Line) -> Line:
        """Put one call on the bill."""
        with self._lock:
            self._lines.append(line)
        return line

    def clear(self) -> None:
        """Start an empty bill; lines of streams that still run belong to the old one."""
        with self._lock:
            self._lines = []

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is on it now."""
        with self._lock:
            return tuple(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def picodollars(self) -> int:
        """The total."""
        return sum(line.picodollars for line in self.lines)

    @property
    def usd(self) -> str:
        """The total as an exact plain decimal."""
        return usd(self.picodollars)


def usd(picodollars: int) -> str:
    """Picodollars as a plain decimal string of US dollars, without trailing zeros."""
    whole, rest = divmod(picodollars, PICODOLLARS)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
