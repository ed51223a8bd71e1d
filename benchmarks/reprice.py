"""Reprice: rows per second, and memory above the engine's own; every call is repriced, then none.

`python -m benchmarks reprice`; OTEL_LLM_COST_BENCH_ROWS=1000000 for the whole size.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Booking, Row, row
from otel_llm_cost.ledger.reprice import Slice, plan
from otel_llm_cost.pricing import PriceList, price
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.repricing import reprice_slice

ROWS = int(os.environ.get("OTEL_LLM_COST_BENCH_ROWS", "200000"))
LIMIT = "1M rows in 60 s on two cores, 300 MiB above the engine"
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
END = START + timedelta(days=20)
MODELS = (("openai", "gpt-4o"), ("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5"))
DEARER = {
    "prices": [
        {"provider": provider, "model": model, "input_mtok": 3, "cache_read_mtok": 1, "output_mtok": 20}
        for provider, model in MODELS
    ]
}


def _rows(prices: PriceList) -> Iterator[list[Row]]:
    step = int((END - START).total_seconds() * 10**9) // ROWS
    first = int(START.timestamp()) * 10**9
    batch: list[Row] = []
    for number in range(ROWS):
        provider, model = MODELS[number % len(MODELS)]
        call = Call(
            provider,
            "chat",
            model,
            usage=Usage(input_uncached=100 + number % 999, cache_read=number % 1000, output=1 + number % 500),
            usage_source="provider",
            started_at=first + number * step,
            ended_at=first + number * step + 10**9,
            tags={
                "team": f"team{number % 20}",
                "feature": f"f{number % 50}",
                "customer_id": f"c{number % 5000}",
            },
            response_id=f"chatcmpl-{number:024x}",
            raw_usage='{"prompt_tokens":1200,"completion_tokens":180,"total_tokens":1380}',
        )
        call.cost = price(call, prices)
        batch.append(row(call, Booking(f"b{number // 20_000}", number % 20_000, call.started_at + 2 * 10**9)))
        if len(batch) == 20_000:
            yield batch
            batch = []
    yield batch


def _memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def _parts(sink: ClickHouseSink) -> list[Slice]:
    return plan(sink.query("reprice_hours", {"since": START, "until": END}).rows, START, END)


def run() -> Iterator[tuple[str, str, str]]:
    """(what, measured, limit) of comparing, of correcting every call, and of finding nothing to do."""
    with tempfile.TemporaryDirectory() as folder, ClickHouseSink(f"chdb://{folder}/ledger") as sink:
        sink.migrate()
        for batch in _rows(PriceList.default()):
            sink.write(batch)
        prices = PriceList.of(DEARER)
        for part in _parts(sink)[:2]:
            sink.query("reprice_calls", part.params())  # the engine has its own memory by now
        gc.collect()
        before = _memory()
        for what, write in (("compared", False), ("corrected, all of them", True), ("compared again", False)):
            begun, used, most, changed = time.perf_counter(), time.process_time(), 0, 0
            for part in _parts(sink):
                changed += reprice_slice(
                    sink, lambda call: price(call, prices), prices.version, part, write=write
                ).changed
                most = max(most, _memory())
            took = time.perf_counter() - begun
            cpu = (time.process_time() - used) / ROWS * 1e6
            yield (
                f"reprice: {ROWS:,} calls {what}",
                f"{took / ROWS * 1e6:.0f} s for 1M, {cpu:.0f} µs CPU, {most - before:+} MiB",
                LIMIT,
            )
