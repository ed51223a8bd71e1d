"""Ledgers for tests on the real engine, and calls to put into them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Component, Cost, from_text
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Booking, Row, kind_of, row
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.dsn import Embedded

NOW = datetime(2026, 11, 24, 15, 20, 30, tzinfo=timezone.utc)
SECOND = 10**9
RATES = {"input_uncached": "2.5", "cache_read": "1.25", "cache_write_5m": "3.75", "output": "10"}
"""USD per million; other units have no price here."""

_numbers = itertools.count()


def ns(moment: datetime) -> int:
    """Unix nanoseconds, exactly."""
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def cost_of(usage: Usage, **about: Any) -> Cost:
    """The usage at RATES."""
    lines = tuple(
        Component(
            unit, quantity, Decimal(RATES[unit]), 10**6, from_text(Decimal(RATES[unit]) * quantity / 10**6)
        )
        for unit, quantity in usage.items()
        if quantity and unit in RATES
    )
    total = sum(line.atto for line in lines)
    values: dict[str, Any] = {
        "status": "priced",
        "effective_atto": total,
        "list_atto": total,
        "contracted_atto": total,
        "price_id": "openai/gpt-4o",
        "price_version": "2026-11-20",
        "price_source": "genai-prices",
    }
    return Cost(**{**values, "components": lines, **about})


def a_call(**about: Any) -> Call:
    """A priced call of a team, changed as told."""
    usage = about.pop("usage", Usage(input_uncached=176, cache_read=1024, output=180))
    values: dict[str, Any] = {
        "provider": "openai",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "usage": usage,
        "usage_source": "provider",
        "started_at": ns(NOW),
        "ended_at": ns(NOW) + SECOND,
        "tags": {"team": "search", "feature": "rank"},
    }
    values["cost"] = cost_of(usage) if usage else None
    return Call(**{**values, **about})


def a_row(call: Call | None = None, **booking: Any) -> Row:
    """The row of a call, booked five seconds after NOW."""
    call = call or a_call()
    about = {
        "batch_id": "b",
        "row_no": next(_numbers),
        "booked_at": ns(NOW) + 5 * SECOND,
        "kind": kind_of(call),
    }
    return row(call, Booking(**{**about, **booking}))


@pytest.fixture(scope="package")
def ledger_folder() -> Iterator[Path]:
    """One folder for all: a process can have only one open, so every ledger is a database in it."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "ledger"


@pytest.fixture
def new_ledger(ledger_folder: Path) -> Iterator[Callable[[], ClickHouseSink]]:
    """Makes empty, unmigrated ledgers, each a database of its own."""
    sinks: list[ClickHouseSink] = []

    def make() -> ClickHouseSink:
        sinks.append(ClickHouseSink(Embedded(ledger_folder, f"d{next(_numbers)}")))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


@pytest.fixture
def ledger(new_ledger: Callable[[], ClickHouseSink]) -> ClickHouseSink:
    """An empty, migrated ledger."""
    sink = new_ledger()
    sink.migrate()
    return sink
