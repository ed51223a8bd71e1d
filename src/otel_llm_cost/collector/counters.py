"""What the collector counts about itself, for /metrics and the health page.

Each number has one thread that changes it (the event loop those of receiving, the writer those of booking),
so plain integers are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Since the start of this process. Spans and records are both "items"."""

    requests: int = 0
    received: int = 0
    kept: int = 0
    resent: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    booked: int = 0
    duplicates: int = 0
    passed: int = 0
    unpriced: int = 0
    rejected: int = 0
    corrections: int = 0
    inserts: int = 0
    failed_inserts: int = 0
    insert_lag_s: float = 0.0
    store_error: str = ""
