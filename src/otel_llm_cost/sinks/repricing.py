"""Reprice slice by slice: by whoever holds the store, the collector or this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.ledger.reprice import Difference, Outcome, Slice, corrections, judge
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.wire import decimal_text


def reprice_slice(
    sink: ClickHouseSink,
    price: Callable[[Call], Cost],
    price_version: str,
    part: Slice,
    *,
    models: tuple[str, ...] = (),
    write: bool,
) -> Outcome:
    """Judge the calls of a slice and, when told to, append their corrections. Raises StoreError.

    models: only these, all when empty. A slice that is done again writes nothing: all is corrected by then.
    """
    outcome = Outcome()
    params = {**part.params(), "filters": {"model": list(models)}}
    answer = sink.query("reprice_calls" if write else "reprice_rows", params)
    changes = judge(answer.columns, answer.rows, price, outcome)
    if not write:
        for _ in changes:
            pass
        return outcome
    batch_id, rows = corrections(changes, price_version, time.time_ns())
    if rows:
        # The same statement may still be landing from a try that was cut off: only what is missing is added.
        outcome.written = sink.write_again(batch_id, rows, query_id=batch_id)
    return outcome


# how an outcome travels: the collector answers a job with it


def to_json(outcome: Outcome, price_version: str) -> dict[str, Any]:
    """The outcome as plain data."""
    return {
        "calls": outcome.calls,
        "changed": outcome.changed,
        "skipped": outcome.skipped,
        "written": outcome.written,
        "price_version": price_version,
        "differences": [
            {
                "month": month,
                "provider": provider,
                "model": model,
                "calls": changes.calls,
                "newly_priced": changes.newly_priced,
                "no_longer_priced": changes.no_longer_priced,
                "before_usd": decimal_text(changes.before),
                "after_usd": decimal_text(changes.after),
                "difference_usd": decimal_text(changes.after - changes.before),
            }
            for (month, provider, model), changes in sorted(outcome.differences.items())
        ],
    }


def from_json(values: Mapping[str, Any]) -> Outcome:
    """The outcome that `to_json` told of. Raises KeyError, TypeError or ValueError when it is none."""
    return Outcome(
        values["calls"],
        values["changed"],
        values["skipped"],
        values["written"],
        {
            (line["month"], line["provider"], line["model"]): Difference(
                line["calls"],
                line["newly_priced"],
                line["no_longer_priced"],
                Decimal(line["before_usd"]),
                Decimal(line["after_usd"]),
            )
            for line in values["differences"]
        },
    )


def job_of(part: Slice, models: tuple[str, ...], *, write: bool) -> dict[str, Any]:
    """A slice as the parameters of the collector's job."""
    return {
        "since": part.since.isoformat(),
        "until": part.until.isoformat(),
        "bucket": part.bucket,
        "buckets": part.buckets,
        "models": list(models),
        "write": write,
    }


def part_of(job: Mapping[str, Any]) -> tuple[Slice, tuple[str, ...], bool]:
    """The slice, models and intent of a job. Raises ConfigError for what is no job."""
    try:
        part = Slice(
            datetime.fromisoformat(job["since"]),
            datetime.fromisoformat(job["until"]),
            int(job["bucket"]),
            int(job["buckets"]),
        )
        return part, tuple(map(str, job["models"])), job["write"] is True
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"this is no reprice job: {error}") from None
