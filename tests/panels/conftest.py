"""Ledgers for panels: an empty one and one with a month of calls, on the real engine."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
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

NOW = datetime(2026, 11, 24, 15, 20, tzinfo=timezone.utc)
NASTY = 'it\'s \\ "q" -- /* <b>&amp; 🦊 ${team} $__fromTime {p1:String} %41 (x)'
"""A tag value with everything in it that means something to SQL, HTML, an address, a macro or a comment."""
LONG = "x" * 10_000

EARLIER = int((NOW - timedelta(days=50)).timestamp()) * 10**9
"""Before any plausible call of the month."""

_RATES = {
    "input_uncached": Decimal(3),
    "cache_read": Decimal("0.3"),
    "cache_write_5m": Decimal("3.75"),
    "output": Decimal(15),
}


def cost_of(usage: Usage, price_id: str = "list") -> Cost:
    """What the usage costs at the rates above, per million."""
    components = tuple(
        Component(unit, quantity, _RATES[unit], 10**6, from_text(_RATES[unit] * quantity / 10**6))
        for unit, quantity in usage.items()
        if quantity
    )
    total = sum(component.atto for component in components)
    return Cost("priced", total, total, total, components=components, price_id=price_id)


@dataclass
class Book:
    """Rows as they were booked, and a plain list of what they are, to check queries against."""

    rows: list[Row] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def add(self, call: Call, **booking: Any) -> None:
        told_at = call.ended_at or call.started_at
        booked_at = (told_at if told_at > EARLIER else EARLIER) + 2 * 10**9
        number = len(self.rows)
        kind = booking.pop("kind", None) or kind_of(call)
        self.rows.append(row(call, Booking(f"b{number // 1000}", number % 1000, booked_at, kind, **booking)))
        if kind == "usage":
            self.calls.append(call)

    def cost(self, **tags: str) -> Decimal:
        """The known cost of calls with these tags, by a plain sum; an empty text means untagged."""
        chosen = [call for call in self.calls if all(call.tags.get(k, "") == v for k, v in tags.items())]
        return sum((call.cost.effective or Decimal(0) for call in chosen if call.cost), Decimal(0))


def month(days: int = 40, per_day: int = 24) -> Book:
    """Calls of several teams, customers and models up to NOW, with one of everything that is not plain."""
    chance, book = random.Random(7), Book()
    for number in range(days * per_day):
        when = NOW - timedelta(minutes=1 + number * (24 * 60 // per_day) + chance.randint(0, 9))
        team = ("search", "support", NASTY, "")[number % 4]
        tags = {
            "feature": f"f{number % 5}",
            "customer_id": f"c{int(chance.paretovariate(1.1)) % 60}",
            "tier": "gold",
        }
        if team:
            tags["team"] = team
        usage = Usage(
            input_uncached=chance.randint(50, 9000),
            cache_read=chance.choice((0, 4000)),
            cache_write_5m=chance.choice((0, 0, 2000)),
            output=chance.randint(1, 900),
        )
        started = int(when.timestamp() * 10**9)
        call = Call(
            provider="openai" if number % 2 else "anthropic",
            request_model=f"model-{number % 12}",
            started_at=started,
            ended_at=started + chance.randint(2, 90) * 10**8,
            time_to_first_chunk_s=chance.random() * 3 if number % 3 else None,
            stream=bool(number % 3),
            usage=usage,
            usage_source="provider",
            cost=cost_of(usage, "new" if number < 200 else "old"),
            tags=tags,
            attempt=2 if number % 50 == 7 else 1,
            prompt_hash=f"h{number % 240}",
            conversation_id=f"s{number // 6}" if number % 3 else "",
            error_type="stream_broken" if number % 90 == 11 else "",
            usage_flags=("odd_total",) if number % 70 == 3 else (),
        )
        told = cost_of(Usage(output=7)) if number % 80 == 5 else call.cost
        about = {"service": "app", "emitter": "otel_llm_cost", "emitter_version": "1", "rule": "own"}
        book.add(call, trace_id=f"{number // 3:032x}", app_cost=told, **about)
    _oddities(book)
    return book


def _oddities(book: Book) -> None:
    started = int((NOW - timedelta(hours=3)).timestamp() * 10**9)
    usage = Usage(input_uncached=10, output=5)

    def call(**about: Any) -> Call:
        return Call(
            **{"provider": "openai", "request_model": "odd", "started_at": started, "usage": usage, **about}
        )

    book.add(call(cost=Cost.unknown("no price for odd"), tags={"team": "search", "feature": LONG}))
    book.add(call(cost=cost_of(usage), tags={"team": "search"}), kind="duplicate", duplicate_of="x")
    book.add(call(usage=Usage(), error_type="rate_limit", status_code=429, tags={"team": "search"}))
    book.add(call(usage=Usage(), denied_by="budget", tags={"team": "search"}))
    book.add(call(cost=Cost("estimated", effective_atto=10**15), usage_source="estimated", tags={}))
    book.add(call(cost=cost_of(usage), started_at=1, tags={}))  # a clock that cannot be right


class Engine:
    """A ledger on the real engine; `run` takes a statement as it would reach ClickHouse."""

    def __init__(self, folder: Path, database: str, rows: list[Row]) -> None:
        self.sink = ClickHouseSink(Embedded(folder, database))
        self.sink.migrate()
        self.sink.write(rows)

    def run(self, sql: str) -> list[dict[str, Any]]:
        answer = self.sink._client("read").query(sql)
        return [dict(zip(answer.column_names, line, strict=True)) for line in answer.result_rows]

    def ask(self, name: str, **params: Any) -> list[dict[str, Any]]:
        return self.sink.query(name, params).records()


@pytest.fixture(scope="package")
def book() -> Book:
    return month()


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "ledger"


@pytest.fixture(scope="package")
def full(folder: Path, book: Book) -> Iterator[Engine]:
    engine = Engine(folder, "full", book.rows)
    yield engine
    engine.sink.close()


@pytest.fixture(scope="package")
def empty(folder: Path) -> Iterator[Engine]:
    engine = Engine(folder, "empty", [])
    yield engine
    engine.sink.close()
