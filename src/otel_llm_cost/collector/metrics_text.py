"""The collector's own numbers in the Prometheus text format, and as the JSON of /healthz."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.spool import Spool

PREFIX = "llm_cost_collector_"


class Gauge(NamedTuple):
    """One metric: its name without prefix, its type, its help line, its value."""

    name: str
    kind: str
    meaning: str
    value: float


def gauges(counters: Counters, spool: Spool) -> list[Gauge]:
    """Every number, in the order of the path."""
    oldest = spool.oldest
    age = 0.0 if oldest is None else max(0.0, (time.time_ns() - oldest) / 1e9)
    c = counters
    return [
        Gauge("requests_total", "counter", "OTLP requests understood", c.requests),
        Gauge("items_received_total", "counter", "Spans and records in them", c.received),
        Gauge("items_kept_total", "counter", "Of these, GenAI spans and records", c.kept),
        Gauge("items_resent_total", "counter", "Of these, in requests that had come before", c.resent),
        Gauge("spool_requests", "gauge", "Acknowledged requests not yet in the ledger", spool.requests),
        Gauge("spool_items", "gauge", "Spans and records in them", spool.items),
        Gauge("spool_bytes", "gauge", "Their size", spool.bytes),
        Gauge("spool_age_seconds", "gauge", "Age of the oldest", age),
        Gauge("rows_booked_total", "counter", "Ledger rows inserted", c.booked),
        Gauge("duplicates_total", "counter", "Copies of calls booked already", c.duplicates),
        Gauge("corrections_total", "counter", "Corrections booked", c.corrections),
        Gauge("passed_total", "counter", "Spans that are no billable request", c.passed),
        Gauge("unpriced_total", "counter", "Calls booked without a known cost", c.unpriced),
        Gauge("rejected_total", "counter", "Spans and records in the dead-letter file", c.rejected),
        Gauge("inserts_total", "counter", "Inserts into the ledger", c.inserts),
        Gauge("insert_failures_total", "counter", "Inserts that had to be repeated", c.failed_inserts),
        Gauge("insert_lag_seconds", "gauge", "Arrival to ledger, of the last batch", c.insert_lag_s),
    ]


def exposition(counters: Counters, spool: Spool) -> bytes:
    """The text format, version 0.0.4."""
    lines: list[str] = []
    for gauge in gauges(counters, spool):
        name = PREFIX + gauge.name
        lines += [
            f"# HELP {name} {gauge.meaning}",
            f"# TYPE {name} {gauge.kind}",
            f"{name} {_plain(gauge.value)}",
        ]
    name = f"{PREFIX}requests_refused_total"
    lines += [f"# HELP {name} OTLP requests refused, by reason", f"# TYPE {name} counter"]
    lines += [f'{name}{{reason="{reason}"}} {count}' for reason, count in sorted(counters.refused.items())]
    return ("\n".join(lines) + "\n").encode()


def health(counters: Counters, spool: Spool) -> dict[str, Any]:
    """What /healthz says. `degraded`: data is taken and kept, but the ledger cannot be reached."""
    return {
        "status": "degraded" if counters.store_error else "ok",
        "store_error": counters.store_error,
        "refused": counters.refused,
        **{gauge.name: gauge.value for gauge in gauges(counters, spool)},
    }


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
